"""`quaestor status` and `quaestor tree`: show what a running cluster is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from quaestor_actors.actors.status_messages import StatusReply, StatusRequest
from quaestor_actors.adapters import runtime_directory
from quaestor_actors.cli.asking import ask_root, own_host, running_cluster
from quaestor_actors.cli.listing import Listing
from quaestor_actors.cli.options import cluster_option
from quaestor_actors.cli.output import Output, output_options
from quaestor_actors.cli.render import Shown, status_listing
from quaestor_actors.errors import NotRunningError


def fetch_tree(name: str | None) -> Shown:
    """Ask the root actor of a running cluster what there is, and the lock who launched it.

    Of several hosts the tree is the one of this host; what all of them have said is beside it.

    Raises:
        NotRunningError: no such cluster runs, or it does not answer.
    """
    directory = running_cluster(name)
    if own_host(directory):
        from quaestor_actors.cli.asking_hosts import fetch_hosts

        try:
            return fetch_hosts(directory)
        except NotRunningError as error:
            shown = _here(directory)
            click.echo(f"quaestor: this host alone answers, and says nothing of the others ({error})", err=True)
            return shown
    return _here(directory)


def fetch_here(name: str | None) -> Shown:
    """Ask the root actor of a running cluster on this host what there is here, also if there are other hosts.

    Raises:
        NotRunningError: no such cluster runs, or it does not answer.
    """
    return _here(running_cluster(name))


def _here(directory: Path) -> Shown:
    reply = ask_root(directory, lambda request_id: StatusRequest(request_id=request_id), StatusReply)
    return Shown(tree=reply.tree, launcher_pid=runtime_directory.launcher_of(directory), now=time.time())


@click.command(short_help="Show the members of a running cluster.")
@cluster_option
@output_options
def status(name: str | None, output: Output) -> None:
    """Show the members of a running cluster: state, since when, and why.

    Of several hosts it shows all, from any of them; one that does not answer is shown as it was last, and how old
    that is.

    Example: quaestor status -o json
    """
    output.show(lambda: _status_listing(fetch_tree(name)))


def _status_listing(shown: Shown) -> Listing[Any]:
    if not shown.hosts:
        return status_listing(shown)
    from quaestor_actors.cli.render_hosts import status_of_hosts

    return status_of_hosts(shown)


@click.command(short_help="Show the actors and members of a running cluster.")
@cluster_option
@output_options
def tree(name: str | None, output: Output) -> None:
    """Show the actors of a running cluster and the members below their agents.

    Example: quaestor tree
    """
    from quaestor_actors.cli.render_tree import tree_listing

    output.show(lambda: tree_listing(fetch_tree(name)))
