"""The ring of events of one actor, which goes on without it where it cannot be written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from quaestor_actors.actors.base import TreeActor
from quaestor_actors.adapters.event_log import EventLog
from quaestor_actors.core.event import Event


class EventRing:
    """Writes down what happens in an actor's charge."""

    def __init__(self, owner: TreeActor, path: Path) -> None:
        """Write to this ring, and say in the owner's log if that cannot be done."""
        self._owner = owner
        self._log = EventLog(path)
        self._has_failed = False

    @property
    def now(self) -> float:
        """Seconds since the epoch, as events have them."""
        return self._owner.outside.wall_clock()

    def write(self, events: Iterable[Event]) -> None:
        """Add events; a failure is logged once, and what could not be written is lost."""
        found = tuple(events)
        if not found:
            return
        try:
            self._log.append(found)
        except OSError as error:
            if not self._has_failed:
                self._owner.log.error("cannot write events to %s: %s", self._log.path, error.strerror or error)  # noqa: TRY400 - a full disk is no bug
            self._has_failed = True
        else:
            self._has_failed = False
