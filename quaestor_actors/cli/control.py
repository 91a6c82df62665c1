"""`quaestor start`, `stop` and `restart`: command members of a running cluster."""

from __future__ import annotations

from pathlib import Path

import click

from quaestor_actors.actors.agent_messages import Command
from quaestor_actors.actors.root_messages import CommandReply, CommandRequest
from quaestor_actors.cli.asking import ask_root, own_host, running_cluster
from quaestor_actors.cli.options import cluster_option
from quaestor_actors.cli.running_names import selector_names
from quaestor_actors.errors import ConflictError

selectors_argument = click.argument(
    "selectors", nargs=-1, required=True, metavar="SELECTOR...", shell_complete=selector_names
)


def _command(command: Command, selectors: tuple[str, ...], name: str | None) -> None:
    directory = running_cluster(name)
    if own_host(directory):
        from quaestor_actors.cli.control_hosts import command_on_hosts

        command_on_hosts(directory, command, selectors)
    else:
        _command_here(directory, command, selectors)


def _command_here(directory: Path, command: Command, selectors: tuple[str, ...]) -> None:
    reply = ask_root(
        directory,
        lambda request_id: CommandRequest(request_id=request_id, command=command, selectors=selectors),
        CommandReply,
    )
    if reply.unknown:
        names = ", ".join(repr(selector) for selector in reply.unknown)
        raise ConflictError(
            f"the cluster {directory.name!r} has no member {names}; nothing was done (`quaestor status` shows them)"
        )
    for member in reply.members:
        click.echo(f"{command.value} {member}: requested")


@click.command(short_help="Start members that were stopped or given up.")
@selectors_argument
@cluster_option
def start(selectors: tuple[str, ...], name: str | None) -> None:
    """Start members that were stopped or given up; a running one is left alone.

    SELECTOR is a member (Worker/2) or an agent (Worker, Worker/*), of several hosts on all of them, or on one
    (Worker/2@a3).

    Example: quaestor start Worker/2
    """
    _command(Command.START, selectors, name)


@click.command(short_help="Stop members; they stay stopped.")
@selectors_argument
@cluster_option
def stop(selectors: tuple[str, ...], name: str | None) -> None:
    """Stop members in order: deregistered, drained, ended. They stay stopped until started by hand.

    SELECTOR is a member (Worker/2) or an agent (Worker, Worker/*), of several hosts on all of them, or on one
    (Worker/2@a3).

    Example: quaestor stop Worker/2
    """
    _command(Command.STOP, selectors, name)


@click.command(short_help="Stop members in order, and start them again.")
@selectors_argument
@cluster_option
def restart(selectors: tuple[str, ...], name: str | None) -> None:
    """Stop members in order, and start them again; one that is stopped is started.

    SELECTOR is a member (Worker/2) or an agent (Worker, Worker/*), of several hosts on all of them, or on one
    (Worker/2@a3).

    Example: quaestor restart 'Worker/*'
    """
    _command(Command.RESTART, selectors, name)
