"""What members on several hosts have written."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import click

from quaestor_actors.actors.records_messages import MemberOutput, OutputReply, OutputRequest
from quaestor_actors.cli.host_records import HostRecords, Reply
from quaestor_actors.cli.logs import Writer
from quaestor_actors.core.host_selector import split
from quaestor_actors.errors import ConflictError, NotRunningError

POLL_S = 0.5


def show_logs_of_hosts(directory: Path, selectors: Sequence[str], *, count: int | None, is_followed: bool) -> None:
    """Show what members have written last on all hosts that answer, and go on with what they write next.

    Args:
        directory: the cluster's runtime directory.
        selectors: members or agents, with or without a host.
        count: lines of each member; None: all that this host has kept, and as much as another one gives.
        is_followed: whether to go on until Ctrl+C.

    Raises:
        ConflictError: a selector names nobody who has ever written anything.
        NotRunningError: this host's own root has ended, or does not answer.
    """
    records = HostRecords(directory)
    meant = records.by_host(selectors)
    answers = records.ask(
        {host: OutputRequest(request_id="", selectors=names, count=count) for host, names in meant.items()}
    )
    _check_known(selectors, records, answers)
    records.tell_who_is_left_out(meant, answers)
    found = _outputs(answers)
    writer = Writer(found)
    for name, output in found.items():
        if output.is_cut:
            click.echo(f"quaestor: {name}: there is more before this, on its host", err=True)
        writer.write(name, output.lines)
    if is_followed:
        _follow(records, found, writer)


def _check_known(selectors: Sequence[str], records: HostRecords, answers: dict[str, Reply]) -> None:
    replies = {host: reply for host, reply in answers.items() if isinstance(reply, OutputReply)}
    for text in selectors:
        name, where = split(text, records.hosts)
        asked = [host for host in records.hosts if where in {None, host}]
        if not any(host not in replies or name not in replies[host].unknown for host in asked):
            raise ConflictError(f"no member {text!r} has written anything on {', '.join(asked)}")


def _outputs(answers: dict[str, Reply]) -> dict[str, MemberOutput]:
    """Return what has come by `MEMBER@HOST`."""
    return {
        f"{output.member}@{host}": output
        for host, reply in answers.items()
        if isinstance(reply, OutputReply)
        for output in reply.outputs
    }


def _follow(records: HostRecords, first: dict[str, MemberOutput], writer: Writer) -> NoReturn:
    positions = {name: output.position for name, output in first.items()}
    while True:
        sys.stdout.flush()
        time.sleep(POLL_S)
        requests = {}
        for host in records.hosts:
            members = {name.rpartition("@")[0]: at for name, at in positions.items() if name.rpartition("@")[2] == host}
            if members:
                requests[host] = OutputRequest(
                    request_id="", selectors=tuple(members), positions=tuple(members.items())
                )
        found: dict[str, MemberOutput] = {}
        # Actors are replaced while members go on.
        with suppress(NotRunningError):
            found = _outputs(records.ask(requests))
        for name, output in found.items():
            writer.write(name, output.lines)
            positions[name] = output.position
