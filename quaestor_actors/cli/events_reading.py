"""The events of a cluster, out of the rings of everybody who writes some down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from quaestor_actors.adapters.event_log import EventFollower
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
    own = (name, f"agent/{name}")
    return subject in own or subject.startswith(tuple(f"{each}{end}" for each in own for end in ("/", " at ")))
