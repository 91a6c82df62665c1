"""The births and deaths of processes, as some source of them tells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Kind(StrEnum):
    """What happened."""

    FORKED = "forked"
    EXECUTED = "executed"
    EXITED = "exited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened to a process."""

    kind: Kind
    pid: int
    at_ns: int
    """On the monotonic clock."""
    parent: int = 0
    """Of a forked process."""


class Listener(Protocol):
    """A source of events; it collects them by itself between two calls."""

    @property
    def description(self) -> str:
        """Return where the events and their times come from."""
        ...

    def collected(self) -> list[Event]:
        """Return what happened since the last call; does not wait."""
        ...

    def close(self) -> None:
        """Listen no longer."""
        ...
