"""`quaestor start`, `stop`, `restart` and `drain`: command members of a running cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from quaestor_actors.actors.agent_messages import Command
from quaestor_actors.actors.root_messages import CommandReply, CommandRequest
from quaestor_actors.cli.asking import ask_root, own_host, running_cluster
from quaestor_actors.cli.exit_codes import ExitCode
from quaestor_actors.cli.following import Order, follow
from quaestor_actors.cli.inspect import fetch_here
from quaestor_actors.cli.options import Seconds, cluster_option
from quaestor_actors.cli.render import words
from quaestor_actors.cli.running_names import selector_names
from quaestor_actors.cli.wishes import Goal, Outcome, Wish, wishes
from quaestor_actors.errors import ConflictError

TIMEOUT_S = 60.0

GOALS = {
    Command.START: Goal.SERVING,
    Command.STOP: Goal.STOPPED,
    Command.RESTART: Goal.RESTARTED,
    Command.RESTART_ROLLING: Goal.RESTARTED,
    Command.DRAIN: Goal.DRAINED,
}

selectors_argument = click.argument(
    "selectors", nargs=-1, required=True, metavar="SELECTOR...", shell_complete=selector_names
)


def wait_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the options about waiting until what it commands has come true."""
    no_wait = click.option("--no-wait", is_flag=True, help="End as soon as the cluster has been told.")
    timeout = click.option(
        "--timeout",
        "timeout_s",
        type=Seconds(min=0, max=86400),
        metavar="S",
        help="Seconds after which it waits no longer and ends with 124; what was begun goes on.",
    )
    return no_wait(timeout(command))


def _command(
    command: Command, selectors: tuple[str, ...], name: str | None, *, no_wait: bool, timeout_s: float | None
) -> None:
    directory = running_cluster(name)
    verb = command.value.partition("_")[0]
    if own_host(directory):
        from quaestor_actors.cli.control_hosts import command_on_hosts

        wished, has_failed = command_on_hosts(directory, command, selectors, GOALS[command])
    else:
        wished, has_failed = _command_here(directory, command, selectors), False

    def reached(outcome: Outcome) -> None:
        click.echo(f"{verb} {outcome.wish.who}: {words(outcome.state)}")

    if no_wait:
        for wish in wished:
            click.echo(f"{verb} {wish.who}: requested")
    elif wished:
        title = f"{verb} {' '.join(selectors)}"
        follow(Order(title=title, cluster=directory.name, wishes=wished, timeout_s=timeout_s, reached=reached))
    if has_failed:
        raise click.exceptions.Exit(ExitCode.FAILED)


def _command_here(directory: Path, command: Command, selectors: tuple[str, ...]) -> tuple[Wish, ...]:
    before = fetch_here(directory.name).tree
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
    return wishes(before, reply.members, GOALS[command], is_rolling=command is Command.RESTART_ROLLING)


def _or_default(timeout_s: float | None) -> float:
    return TIMEOUT_S if timeout_s is None else timeout_s


@click.command(short_help="Start members that were stopped or given up; put back those that are drained.")
@selectors_argument
@wait_options
@cluster_option
def start(selectors: tuple[str, ...], name: str | None, *, no_wait: bool, timeout_s: float | None) -> None:
    """Start members that were stopped or given up, and put those back that are drained.

    One that serves is left alone. It ends when they serve; after 60 s, or --timeout, it waits no longer. SELECTOR is
    a member (Worker/2) or an agent (Worker, Worker/*), of several hosts on all of them, or on one (Worker/2@a3).

    Example: quaestor start Worker/2
    """
    _command(Command.START, selectors, name, no_wait=no_wait, timeout_s=_or_default(timeout_s))


@click.command(short_help="Stop members; they stay stopped.")
@selectors_argument
@wait_options
@cluster_option
def stop(selectors: tuple[str, ...], name: str | None, *, no_wait: bool, timeout_s: float | None) -> None:
    """Stop members in order: deregistered, drained, ended. They stay stopped until started by hand.

    It ends when they have stopped; after 60 s, or --timeout, it waits no longer. SELECTOR is a member (Worker/2) or an
    agent (Worker, Worker/*), of several hosts on all of them, or on one (Worker/2@a3).

    Example: quaestor stop Worker/2
    """
    _command(Command.STOP, selectors, name, no_wait=no_wait, timeout_s=_or_default(timeout_s))


@click.command(short_help="Stop members in order, and start them again.")
@selectors_argument
@click.option("--rolling", is_flag=True, help="Never more than maxUnavailable of an agent at once, on each host.")
@wait_options
@cluster_option
def restart(
    selectors: tuple[str, ...], name: str | None, *, rolling: bool, no_wait: bool, timeout_s: float | None
) -> None:
    """Stop members in order, and start them again; one that is stopped is started.

    All at once, or with --rolling one after the other: the next one goes when the replacement serves, and if one does
    not, the rest is left as it is. It ends when they serve; after 60 s (with --rolling never), or --timeout, it waits
    no longer. SELECTOR is a member (Worker/2) or an agent (Worker, Worker/*), of several hosts on all of them, or on
    one (Worker/2@a3); with --rolling each host goes by itself.

    Example: quaestor restart Worker --rolling
    """
    command = Command.RESTART_ROLLING if rolling else Command.RESTART
    limit_s = timeout_s if rolling else _or_default(timeout_s)
    _command(command, selectors, name, no_wait=no_wait, timeout_s=limit_s)


@click.command(short_help="Take members out of discovery; they stay up.")
@selectors_argument
@wait_options
@cluster_option
def drain(selectors: tuple[str, ...], name: str | None, *, no_wait: bool, timeout_s: float | None) -> None:
    """Take members out of discovery: they stay up, finish their requests and get no new ones.

    They stay so through restarts, until `quaestor start` puts them back. It ends when no request is running; after
    60 s, or --timeout, it waits no longer. SELECTOR is a member (Worker/2) or an agent (Worker, Worker/*), of several
    hosts on all of them, or on one (Worker/2@a3).

    Example: quaestor drain Worker/2
    """
    _command(Command.DRAIN, selectors, name, no_wait=no_wait, timeout_s=_or_default(timeout_s))
