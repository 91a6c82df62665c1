"""Events as a list, and as lines that follow each other: pure functions, events in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, tzinfo
from typing import Any

from quaestor_actors.cli.listing import SCHEMA_VERSION, Column, Listing, Piece, Tier, colour_of_state
from quaestor_actors.cli.render import NOTHING, moment, number, words
from quaestor_actors.core.event import Event

_WHO_WIDTH = 12
_STATES_WIDTH = 24


def events_listing(events: Sequence[Event], *, cluster: str, zone: tzinfo | None = None) -> Listing[Event]:
    """Return events as a list.

    Args:
        events: the oldest first.
        cluster: whose they are.
        zone: of the times that people read; None: of this machine.
    """
    return Listing(
        columns=event_columns(zone),
        rows=events,
        document={
            "schemaVersion": SCHEMA_VERSION,
            "cluster": cluster,
            "events": [event_document(event) for event in events],
        },
        notes=() if events else ("no events",),
    )


def event_columns(zone: tzinfo | None) -> tuple[Column[Event], ...]:
    """Return the columns of a list of events."""
    return (
        Column(
            title="DATE",
            text=lambda one: f"{_local(one.at, zone):%b %d}",
            exact=lambda one: f"{_local(one.at, zone):%Y-%m-%d}",
            tier=Tier.CONDENSED,
        ),
        Column(title="TIME", text=lambda one: f"{_local(one.at, zone):%H:%M:%S}", exact=lambda one: moment(one.at)),
        Column(title="KIND", text=lambda one: one.kind.value, tier=Tier.WIDE),
        Column(title="WHO", text=lambda one: one.subject),
        Column(
            title="WAS",
            text=lambda one: words(one.before or NOTHING),
            exact=lambda one: one.before or NOTHING,
            tier=Tier.CONDENSED,
        ),
        Column(
            title="IS",
            text=lambda one: words(one.after),
            exact=lambda one: one.after,
            colour=lambda one: colour_of_state(one.after),
        ),
        Column(title="PID", text=lambda one: number(one.pid), tier=Tier.WIDE),
        Column(title="INCARNATION", text=lambda one: number(one.incarnation), tier=Tier.WIDE),
        Column(title="WHY", text=lambda one: one.reason, takes_rest=True),
    )


def event_document(event: Event) -> dict[str, Any]:
    """Return an event as JSON and YAML have it."""
    return {**asdict(event), "at": moment(event.at), "kind": event.kind.value}


def event_line(event: Event, *, zone: tzinfo | None = None) -> tuple[Piece, ...]:
    """Return an event as a line of its own, which can follow any other."""
    before, after = words(event.before or ""), words(event.after)
    arrow = f"{before} -> " if before else ""
    padding = " " * max(0, _STATES_WIDTH - len(arrow) - len(after))
    return (
        (f"{_local(event.at, zone):%b %d %H:%M:%S}  {event.subject:{_WHO_WIDTH}}  {arrow}", None),
        (after, colour_of_state(event.after)),
        (f"{padding}  {event.reason}", None),
    )


def _local(at: float, zone: tzinfo | None) -> datetime:
    """Return a time since the epoch as people read it who compare it with other logs."""
    return datetime.fromtimestamp(at).astimezone(zone)
