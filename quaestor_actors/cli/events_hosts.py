"""What has happened on several hosts, as one story: by the clocks of the hosts."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path
from typing import NoReturn

from quaestor_actors.actors.records_messages import EventsReply, EventsRequest
from quaestor_actors.cli.events import show_one
from quaestor_actors.cli.events_rendering import event_document, events_listing
from quaestor_actors.cli.forms import Form, rendered
from quaestor_actors.cli.host_records import HostRecords, Reply
from quaestor_actors.cli.listing import SCHEMA_VERSION, Listing
from quaestor_actors.cli.output import Output
from quaestor_actors.core.event import Event
from quaestor_actors.errors import NotRunningError

POLL_S = 0.5
LATENESS_S = 5.0
"""An event may be written so long after its time, and is not missed by whoever follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEvent:
    """An event on its host."""

    host: str
    event: Event


def show_events_of_hosts(
    directory: Path, selectors: Sequence[str], *, since: float, count: int | None, is_followed: bool, output: Output
) -> None:
    """Show the newest events of all hosts that answer, and go on with what happens next if that is wanted.

    Args:
        directory: the cluster's runtime directory.
        selectors: members, agents or actors, with or without a host; none: everybody's.
        since: not those from before, in seconds since the epoch.
        count: how many of the newest at most; None: as many as the hosts give.
        is_followed: whether to go on until Ctrl+C.
        output: how.
    """
    records = HostRecords(directory)
    meant = records.by_host(selectors)
    requests = {
        host: EventsRequest(request_id="", selectors=names, since=since, count=count) for host, names in meant.items()
    }
    answers = records.ask(requests)
    found = _merged(answers)
    found = found if count is None else found[max(0, len(found) - count) :]
    records.tell_who_is_left_out(meant, answers)
    cut = [host for host, answer in answers.items() if isinstance(answer, EventsReply) and answer.is_cut]
    notes = [f"there are older events on {host} itself" for host in cut]
    if not is_followed:
        output.show(lambda: host_events_listing(found, cluster=directory.name, notes=notes))
        return
    _follow(records, meant, found, cluster=directory.name, output=output)


def host_events_listing(
    found: Sequence[HostEvent], *, cluster: str, zone: tzinfo | None = None, notes: Sequence[str] = ()
) -> Listing[Event]:
    """Return events of several hosts as a list; who it was is written as a selector has it.

    Args:
        found: the oldest first.
        cluster: whose they are.
        zone: of the times that people read; None: of this machine.
        notes: what there is to say beside it.
    """
    rows = [replace(one.event, subject=f"{one.event.subject}@{one.host}") for one in found]
    listing = events_listing(rows, cluster=cluster, zone=zone)
    events = [{**event_document(one.event), "cluster_host": one.host} for one in found]
    document = {"schemaVersion": SCHEMA_VERSION, "cluster": cluster, "events": events}
    return replace(listing, document=document, notes=(*listing.notes, *notes))


def _merged(answers: dict[str, Reply]) -> list[HostEvent]:
    found = [
        HostEvent(host=host, event=event)
        for host, answer in answers.items()
        if isinstance(answer, EventsReply)
        for event in answer.events
    ]
    return sorted(found, key=lambda one: one.event.at)


def _follow(
    records: HostRecords,
    meant: dict[str, tuple[str, ...]],
    first: Sequence[HostEvent],
    *,
    cluster: str,
    output: Output,
) -> NoReturn:
    if output.form is Form.TSV:
        sys.stdout.write(rendered(host_events_listing((), cluster=cluster), Form.TSV) + "\n")
    now = time.time()
    seen = dict.fromkeys(first)
    newest = {host: max((one.event.at for one in first if one.host == host), default=now) for host in meant}
    found = list(first)
    while True:
        for one in found:
            listing = host_events_listing([one], cluster=cluster)
            show_one(listing.rows[0], listing, output)
        sys.stdout.flush()
        time.sleep(POLL_S)
        requests = {
            host: EventsRequest(request_id="", selectors=names, since=newest[host] - LATENESS_S)
            for host, names in meant.items()
        }
        found = []
        # Actors are replaced while members go on.
        with suppress(NotRunningError):
            found = [one for one in _merged(records.ask(requests)) if one not in seen]
        newest |= {one.host: max(newest[one.host], one.event.at) for one in found}
        seen = {one: None for one in (*seen, *found) if one.event.at >= newest[one.host] - LATENESS_S}
