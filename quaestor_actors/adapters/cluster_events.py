"""The events of a cluster, out of the rings of everybody who writes some down."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from quaestor_actors.adapters.event_log import EventFollower, older_of, parsed
from quaestor_actors.core.event import Event


class ClusterEvents:
    """All rings of a log directory, also those that appear later."""

    def __init__(self, directory: Path) -> None:
        """Begin with the oldest events that there are."""
        self._directory = directory
        self._rings: dict[Path, EventFollower] = {}

    def added(self) -> list[Event]:
        """Return the events that were not returned yet, the oldest first."""
        found: list[Event] = []
        for path in sorted(self._directory.glob("*.events")):
            found += self._rings.setdefault(path, EventFollower(path)).added()
        # Stable: what one of them wrote at the same moment stays in its order.
        return sorted(found, key=lambda event: event.at)


def latest(directory: Path, *, at_most: int) -> tuple[list[Event], float]:
    """Return the events at the ends of all rings of a log directory, and since when these are all that there are.

    Args:
        directory: the cluster's.
        at_most: bytes of each ring that are read.
    """
    found: list[Event] = []
    complete_since = 0.0
    for path in sorted(directory.glob("*.events")):
        data, is_cut = _end_of(path, at_most)
        if not is_cut:
            older, is_cut = _end_of(older_of(path), at_most - len(data))
            data = older + data
        events = [event for line in data.splitlines() if (event := parsed(line)) is not None]
        if is_cut and events:
            complete_since = max(complete_since, events[0].at)
        found += events
    return sorted(found, key=lambda event: event.at), complete_since


def _end_of(path: Path, at_most: int) -> tuple[bytes, bool]:
    """Return the last whole lines of a file, and whether there are others."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - at_most))
            data = file.read()
    except FileNotFoundError:
        return b"", False
    if size <= at_most:
        return data, False
    return data[data.find(b"\n") + 1 :], True


def chosen(
    events: Iterable[Event], selectors: Sequence[str], *, since: float = 0.0, count: int | None = None
) -> list[Event]:
    """Return the events that somebody wants to see.

    Args:
        events: the oldest first.
        selectors: members, agents or actors; none: everybody's.
        since: not those from before, in seconds since the epoch.
        count: how many of the newest at most; None: all.
    """
    found = [event for event in events if event.at >= since and (not selectors or is_about(event, selectors))]
    return found if count is None else found[max(0, len(found) - count) :]


def is_about(event: Event, selectors: Iterable[str]) -> bool:
    """Return whether an event is about one of them: `Worker/2`; `Worker` or `Worker/*` for all of an agent."""
    return any(_is_about(event.subject, selector.removesuffix("/*")) for selector in selectors)


def _is_about(subject: str, name: str) -> bool:
    own = (name, f"agent/{name}", f"actor/{name}")
    return subject in own or subject.startswith(tuple(f"{each}{end}" for each in own for end in ("/", " at ")))
