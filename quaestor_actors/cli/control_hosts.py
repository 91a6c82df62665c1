"""Commanding members on several hosts: first all are found, or nothing is done; then each host is told."""

from __future__ import annotations

from pathlib import Path

import click

from quaestor_actors.actors.agent_messages import Command
from quaestor_actors.actors.root_messages import CommandRequest
from quaestor_actors.cli.asking_hosts import ask_hosts, ask_status_of_hosts, chosen_on, why_not
from quaestor_actors.cli.exit_codes import ExitCode


def command_on_hosts(directory: Path, command: Command, selectors: tuple[str, ...]) -> None:
    """Command members, on whichever hosts they are, and tell who was told.

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
    for host in chosen.members:
        for member in answers[host].members if host in answers else ():
            click.echo(f"{command.value} {member}@{host}: requested")
    views = {host.name: host for host in found.hosts}
    for host in chosen.left_out:
        click.echo(f"quaestor: left out: {why_not(views[host])}", err=True)
    # Whoever was there a moment ago may have been taken out of the configuration.
    failed = [host for host in chosen.members if host not in answers or answers[host].unknown]
    for host in failed:
        why = "has no such member any more" if host in answers else "does not answer, and may have been told or not"
        click.echo(f"quaestor: {host} {why}", err=True)
    if failed:
        raise click.exceptions.Exit(ExitCode.FAILED)
