"""What has happened, for people and for whoever counts: one event for each change of state.

The log, `quaestor events`, `quaestor explain` and the counters are all fed from these.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from quaestor_actors.core.crossing import Crossing


class EventKind(StrEnum):
    """What an event is about."""

    MEMBER = "member"
    AGENT = "agent"
    ACTOR = "actor"
    REGISTRY = "registry"
    LOCATION = "location"
    HOST = "host"
    CONFIGURATION = "configuration"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Crossing):
    """One change."""

    at: float
    """Seconds since the epoch."""
    kind: EventKind
    subject: str
    """Whose change: `Worker/2`, an agent's type, an actor's name, `SERVICE at HOST:PORT`, the cluster's name."""
    before: str | None
    """The state it was in; None if it was not known before."""
    after: str
    """The state it is in now."""
    reason: str
    """Why, for people."""
    pid: int | None = None
    incarnation: int | None = None
    """Which of the processes that the member or actor has had, counted from 1."""
    restarts: int | None = None
    """How often a member has been started again since somebody started it."""


def to_document(event: Event) -> dict[str, Any]:
    """Return the event as plain data, without what it does not say."""
    return {name: value for name, value in asdict(event).items() if value is not None}


def from_document(document: object) -> Event:
    """Return the event of `to_document`; fields that a later version added are left out.

    Raises:
        KeyError: something is missing.
        TypeError: something is of another type than it must be.
        ValueError: it is of a kind that we do not know.
    """
    if not isinstance(document, dict):
        raise TypeError("no mapping")
    known: dict[str, Any] = {field.name: document.get(field.name) for field in fields(Event)}
    known |= {"at": float(document["at"]), "kind": EventKind(document["kind"])}
    event = Event(**known)
    texts = (event.subject, event.after, event.reason)
    numbers = (event.pid, event.incarnation, event.restarts)
    if not all(isinstance(text, str) for text in (*texts, event.before or "")):
        raise TypeError("no text where one must be")
    if not all(isinstance(number, int | None) for number in numbers):
        raise TypeError("no number where one must be")
    return event
