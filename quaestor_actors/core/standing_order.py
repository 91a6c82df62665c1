"""The order of a `KeyedRanking`, kept from one request to the next, so that a request need not sort all locations."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace
from typing import Any, NamedTuple

from quaestor_actors.core.location import Location
from quaestor_actors.core.ranking import Candidate, HostLoad, Key, KeyedRanking


class Change(NamedTuple):
    """What became of one location of a `StandingOrder`."""

    location: Location
    candidate: Candidate | None
    """None: it is no candidate any more."""
    valid_until: float = math.inf
    """From then on the candidate has to be looked at anew, for its age alone."""


@dataclass(slots=True)
class _Place:
    candidate: Candidate
    key: Key
    """As if the host had no load: enough to compare it with those of the same host."""
    looked_at_from: float
    """When its item in the heap comes up, or infinity if it has none. It may be too early: most changes put off the
    time, and then the item is left where it is."""


class _Host(HostLoad):
    """The candidates of one host, in order."""

    __slots__ = ("head", "ordered")

    def __init__(self) -> None:
        super().__init__()
        self.ordered: list[tuple[Key, Location]] = []
        self.head: tuple[Key, Location, str] | None = None
        """The best one by its full key, as the order of the hosts has it; None while the order does not have it."""


class StandingOrder:
    """The candidates of one service in the order of a `KeyedRanking`, kept up to date in place.

    A request changes few locations, but the load of a host moves all its locations. So each host keeps its own
    ones in order, and the hosts are in the order of their best ones: a change takes a few searches and moves one
    host. If a method raises, the order is of no more use.
    """

    __slots__ = ("_dues", "_dues_made", "_heads", "_hosts", "_places", "ranking", "version")

    def __init__(self, ranking: KeyedRanking) -> None:
        """Begin without candidates."""
        self.ranking = ranking
        self.version = 0
        """For `OrderMemory`: how often it has begun to bring this up to date."""
        self._places: dict[Location, _Place] = {}
        self._hosts: dict[str, _Host] = {}
        self._heads: list[tuple[Key, Location, str]] = []
        self._dues: list[tuple[float, int, Location]] = []
        """A heap of when to look at which location. Items whose place is gone or has another time do not count. The
        number in the middle is unique, so that locations, which take long to compare, are not."""
        self._dues_made = 0

    def take_due(self, *, now: float) -> list[Location]:
        """Return the locations that have to be looked at anew. They are not returned again before `update` has them."""
        found: list[Location] = []
        while self._dues and self._dues[0][0] <= now:
            at, _, location = heappop(self._dues)
            place = self._places.get(location)
            if place is not None and place.looked_at_from == at:
                place.looked_at_from = math.inf
                found.append(location)
        return found

    def best(self, count: int, *, now: float) -> list[Candidate]:
        """Return the best candidates in order; 0 means all. Nothing may be due."""
        if count == 1:
            return [self._places[location].candidate for _, location, _ in self._heads[:1]]
        # A sorted list is a heap. Whenever a host's candidate is taken, its next one takes the place.
        heap, found = list(self._heads), list[Candidate]()
        taken = dict.fromkeys(self._hosts, 0)
        while heap and (count == 0 or len(found) < count):
            _, location, name = heap[0]
            found.append(self._places[location].candidate)
            taken[name] += 1
            host = self._hosts[name]
            if taken[name] == len(host.ordered):
                heappop(heap)
            else:
                heapreplace(heap, self._head(name, host, rank=taken[name], now=now))
        return found

    def update(self, changes: Iterable[Change], *, now: float) -> None:
        """Bring in what became of some locations, each at most once."""
        touched: dict[str, _Host] = {}
        for change in changes:
            name = change.location.host_name.casefold()
            host = self._hosts.get(name)
            if host is None:
                host = self._hosts[name] = _Host()
            touched[name] = host
            self._move(change, host, now=now)
        for name, host in touched.items():
            if host.head is not None:
                _remove(self._heads, host.head)
            if not host.ordered:
                del self._hosts[name]
                continue
            host.head = self._head(name, host, rank=0, now=now)
            insort(self._heads, host.head)

    def _move(self, change: Change, host: _Host, *, now: float) -> None:
        location, candidate, valid_until = change
        looked_at_from = math.inf
        known = self._places.pop(location, None)
        if known is not None:
            looked_at_from = known.looked_at_from
            host.count(known.candidate, -1)
            _remove(host.ordered, (known.key, location))
        if candidate is None:
            return
        due_at = min(valid_until, self.ranking.key_changes_at(candidate, now=now))
        if due_at < looked_at_from:
            looked_at_from = due_at
            self._dues_made += 1
            heappush(self._dues, (due_at, self._dues_made, location))
        key = self.ranking.key(candidate, host_load=0.0, now=now)
        self._places[location] = _Place(candidate, key, looked_at_from)
        host.count(candidate)
        insort(host.ordered, (key, location))

    def _head(self, name: str, host: _Host, *, rank: int, now: float) -> tuple[Key, Location, str]:
        location = host.ordered[rank][1]
        return self.ranking.key(self._places[location].candidate, host_load=host.load, now=now), location, name


@dataclass(frozen=True, slots=True)
class OrderMemory:
    """What an immutable view remembers of a `StandingOrder`, which it shares with the views before and after it.

    Only the view that knows the order's present version can go on with it. Any other makes an order of its own,
    so that a view's answers depend on the view alone. So does the one after a ranking has failed half-way.
    """

    order: StandingOrder | None = None
    version: int = 0
    outdated: frozenset[Location] = frozenset()
    """What has changed since that version. It is brought in by `refreshed`, so that a change costs no ranking and
    a ranking that fails fails a request rather than the view."""

    def outdating(self, locations: Collection[Location]) -> OrderMemory:
        """Return the memory after changes of these locations."""
        if self.order is None or self.outdated.issuperset(locations):
            return self
        return OrderMemory(self.order, self.version, self.outdated.union(locations))

    def refreshed(
        self, ranking: KeyedRanking, locations: Iterable[Location], look: Callable[[Location], Change], *, now: float
    ) -> tuple[OrderMemory, StandingOrder]:
        """Return the memory of an order that is up to date, and that order.

        Args:
            ranking: Whose order it is.
            locations: All there are, for an order that is made anew.
            look: Says what is to be known of a location now; also of one that was there before.
            now: Seconds of the monotonic clock, not before that of the last call.
        """
        order, outdated = self.order, self.outdated
        if order is None or order.ranking is not ranking or order.version != self.version:
            order, outdated = StandingOrder(ranking), frozenset(locations)
        order.version += 1
        order.update([look(each) for each in {*outdated, *order.take_due(now=now)}], now=now)
        return OrderMemory(order, order.version), order


def _remove(ordered: list[Any], item: object) -> None:
    """Remove an item from a sorted list that holds it.

    Raises:
        ValueError: It is not where it should be: the ranking's keys are not in one order, as with NaN.
    """
    index = bisect_left(ordered, item)
    if index == len(ordered) or ordered[index] != item:
        raise ValueError(f"the keys of the ranking are in no order: {item} is not where it was put")
    del ordered[index]
