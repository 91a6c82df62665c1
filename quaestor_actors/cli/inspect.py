"""`quaestor status` and `quaestor tree`: show what a running cluster is."""

from __future__ import annotations

import time

import click

from quaestor_actors.actors.root_messages import StatusReply, StatusRequest
from quaestor_actors.adapters import runtime_directory
from quaestor_actors.cli.asking import ask_root, running_cluster
from quaestor_actors.cli.options import cluster_option
from quaestor_actors.cli.output import Output, output_options
from quaestor_actors.cli.render import Shown, status_listing


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
@output_options
def status(name: str | None, output: Output) -> None:
    """Show the members of a running cluster: state, since when, and why.

    Example: quaestor status -o json
    """
    output.show(lambda: status_listing(fetch_tree(name)))


@click.command(short_help="Show the actors and members of a running cluster.")
@cluster_option
@output_options
def tree(name: str | None, output: Output) -> None:
    """Show the actors of a running cluster and the members below their agents.

    Example: quaestor tree
    """
    from quaestor_actors.cli.render_tree import tree_listing

    output.show(lambda: tree_listing(fetch_tree(name)))
