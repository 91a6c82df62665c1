"""Commanding members on several hosts: first all are found, or nothing is done; then each host is told."""

from __future__ import annotations

from pathlib import Path

import click

from quaestor_actors.actors.agent_messages import Command
from quaestor_actors.actors.root_messages import CommandReply, CommandRequest
from quaestor_actors.cli.asking_hosts import ask_hosts, ask_status_of_hosts, chosen_on, why_not
from quaestor_actors.cli.wishes import Goal, Wish, wishes


def command_on_hosts(
    directory: Path, command: Command, selectors: tuple[str, ...], goal: Goal
) -> tuple[tuple[Wish, ...], bool]:
    """Command members, on whichever hosts they are.

    Args:
        directory: the cluster's runtime directory.
        command: what they are to do.
        selectors: who is meant.
        goal: what they come to by that.

    Returns:
        What is wished of those who were told, and whether some could not be told, which is said.

    Raises:
        ConflictError: a selector names nobody; nothing was done.
        OperationError: a selector names only members of a host that cannot be reached; nothing was done.
        NotRunningError: this host's own root has ended, or does not answer.
    """
    found = ask_status_of_hosts(directory)
    chosen = chosen_on(found.hosts, selectors, cluster=directory.name, undone="; nothing was done")
    asks = [
        (host, CommandRequest(request_id="", command=command, selectors=members))
        for host, members in chosen.members.items()
    ]
    answers = dict(ask_hosts(directory, asks).answers)
    views = {host.name: host for host in found.hosts}
    for host in chosen.left_out:
        click.echo(f"quaestor: left out: {why_not(views[host])}", err=True)
    failed = {host: why for host in chosen.members if (why := _why_failed(answers.get(host))) is not None}
    for host, why in failed.items():
        click.echo(f"quaestor: {host} {why}", err=True)
    wished: list[Wish] = []
    for host in chosen.members:
        tree = views[host].tree
        if host not in failed and tree is not None:
            is_rolling = command is Command.RESTART_ROLLING
            wished += wishes(tree, answers[host].members, goal, host=host, is_rolling=is_rolling)
    return tuple(wished), bool(failed)


def _why_failed(reply: CommandReply | None) -> str | None:
    if reply is None:
        return "does not answer, and may have been told or not"
    # Whoever was there a moment ago may have been taken out of the configuration.
    return "has no such member any more; nothing was done there" if reply.unknown else None
