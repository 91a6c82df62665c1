"""What is asked of a host's records: its events, and what its members have written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quaestor_actors.core.crossing import Crossing

# Whoever asks must not wait for these, and they are annotations only.
if TYPE_CHECKING:
    from quaestor_actors.adapters.member_output import OutputPosition
    from quaestor_actors.core.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsRequest(Crossing):
    """From anybody with the cookie, to a root: the newest events."""

    request_id: str
    selectors: tuple[str, ...]
    """Members, agents or actors of this host; none: everybody's."""
    since: float = 0.0
    """Not those from before, in seconds since the epoch."""
    count: int | None = None
    """How many of the newest at most; None: as many as there is room for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsReply(Crossing):
    """The answer to one EventsRequest."""

    request_id: str
    events: tuple[Event, ...]
    """The oldest first."""
    is_cut: bool
    """There may be older ones that were asked for, and for which there was no room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRequest(Crossing):
    """From anybody with the cookie, to a root: what members have written last, or since somebody asked before."""

    request_id: str
    selectors: tuple[str, ...]
    """Members or agents of this host."""
    count: int | None = None
    """How many lines of each at most; None: as many as there is room for."""
    positions: tuple[tuple[str, OutputPosition], ...] = ()
    """Members, and where to go on; of these only what was added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberOutput(Crossing):
    """What one member has written."""

    member: str
    path: str
    lines: tuple[bytes, ...]
    position: OutputPosition
    is_cut: bool = False
    """There are earlier lines that were asked for, and for which there was no room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputReply(Crossing):
    """The answer to one OutputRequest."""

    request_id: str
    outputs: tuple[MemberOutput, ...]
    unknown: tuple[str, ...]
    """Selectors that name nobody who has ever written anything here."""
