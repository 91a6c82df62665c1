"""`quaestor status` and `quaestor tree`: ask a running cluster's root actor, and start nothing."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import click

from quaestor_actors.actors.root import StatusReply, StatusRequest
from quaestor_actors.adapters import runtime_directory
from quaestor_actors.cli import render
from quaestor_actors.cli.render import Shown
from quaestor_actors.errors import NotRunningError, OperationError
from quaestor_actors.system import cookie, transport
from quaestor_actors.system.base import attach
from quaestor_actors.system.connection import Connection

ANSWER_TIMEOUT_S = 3.0

cluster_option = click.option("--cluster", "name", metavar="NAME", help="Which cluster, where more than one runs here.")
output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the output.",
)


def find_cluster(base: Path, name: str | None) -> Path:
    """Return the runtime directory of the running cluster that is meant.

    Raises:
        NotRunningError: none runs, or not the named one.
        OperationError: more than one runs, and none was named.
    """
    running = sorted(
        directory
        for directory in (base.iterdir() if base.is_dir() else ())
        if directory.is_dir() and runtime_directory.is_running(directory)
    )
    if name is not None:
        running = [directory for directory in running if directory.name == name]
    if not running:
        what = "no cluster is running" if name is None else f"no cluster {name!r} is running"
        raise NotRunningError(f"{what} here (looked in {base}); start one with: quaestor cluster")
    if len(running) > 1:
        names = ", ".join(directory.name for directory in running)
        raise OperationError(f"several clusters run here: {names}; name one with --cluster")
    return running[0]


def fetch_tree(name: str | None) -> Shown:
    """Ask the root actor of a running cluster what there is, and the lock who launched it.

    Raises:
        NotRunningError: no such cluster runs, or it does not answer.
    """
    directory = find_cluster(runtime_directory.base_directory(os.environ), name)
    record = runtime_directory.read_system_record(directory)
    if record is None:
        raise NotRunningError(f"the cluster {directory.name!r} has just ended")
    transport.configure(cookie=cookie.load_cookie(directory / "cookie"))
    connection = Connection(attach(record.admin_port))
    try:
        request = StatusRequest(request_id=uuid.uuid4().hex)
        reply = connection.ask(
            connection.address_of(record.root_address),
            request,
            timeout_s=ANSWER_TIMEOUT_S,
            match=lambda message: isinstance(message, StatusReply) and message.request_id == request.request_id,
        )
    finally:
        connection.close()
    if not isinstance(reply, StatusReply):
        raise NotRunningError(
            f"the cluster {directory.name!r} does not answer within {ANSWER_TIMEOUT_S:g} s; its log is in "
            f"{runtime_directory.log_directory(os.environ, directory.name)}"
        )
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
