"""`quaestor status` and `quaestor tree`: show what a running cluster is."""

from __future__ import annotations

import time

import click

from quaestor_actors.actors.root_messages import StatusReply, StatusRequest
from quaestor_actors.adapters import runtime_directory
from quaestor_actors.cli import render
from quaestor_actors.cli.asking import ask_root, cluster_option, running_cluster
from quaestor_actors.cli.render import Shown

output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the output.",
)


def fetch_tree(name: str | None) -> Shown:
    """Ask the root actor of a running cluster what there is, and the lock who launched it.

    Raises:
        NotRunningError: no such cluster runs, or it does not answer.
    """
    directory = running_cluster(name)
    reply = ask_root(directory, lambda request_id: StatusRequest(request_id=request_id), StatusReply)
    return Shown(tree=reply.tree, launcher_pid=runtime_directory.launcher_of(directory), now=time.time())


@click.command(short_help="Show the members of a running cluster.")
@cluster_option
@output_option
def status(name: str | None, output: str) -> None:
    """Show the members of a running cluster: state, since when, and why.

    Example: quaestor status -o json
    """
    shown = fetch_tree(name)
    click.echo(render.tree_json(shown) if output == "json" else render.status_text(shown))


@click.command(short_help="Show the actors and members of a running cluster.")
@cluster_option
@output_option
def tree(name: str | None, output: str) -> None:
    """Show the actors of a running cluster and the members below their agents.

    Example: quaestor tree
    """
    shown = fetch_tree(name)
    click.echo(render.tree_json(shown) if output == "json" else render.tree_text(shown))
