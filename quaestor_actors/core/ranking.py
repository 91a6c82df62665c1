"""Which location is the best one now: the order of `DiscoverTopServices`, as one small exchangeable class.

There are two ways to write another order. A `Ranking` gets all candidates and sorts them; that is all it takes,
and costs a sort per request. A `KeyedRanking` gives each candidate a key; its order is kept from one request to
the next (`core.standing_order`), and a request costs next to nothing however many locations there are.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol
from zlib import crc32

from quaestor_actors.core.load import LoadReport
from quaestor_actors.core.location import Location

Key = tuple[Any, ...]
"""What candidates are compared by, the smaller the better. Holds no NaN: nothing can be compared with that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A serving location together with all that a ranking may judge it by."""

    location: Location
    report: LoadReport
    """Its last report."""
    is_stale: bool = False
    """The report is too old to count: how busy the location is, is unknown. Its capacity is taken as before."""
    handed_out: int = 0
    """How often it was handed out since; those requests are not in the report yet."""
    last_handed_out_at: float | None = None
    """Seconds of the caller's monotonic clock; None means never."""

    @property
    def requests(self) -> int:
        """Requests that it is known to have, with those on their way to it."""
        return self.handed_out + (0 if self.is_stale else self.report.current_requests)

    @property
    def load(self) -> float:
        """Load of this location: 0 is idle, 1 is full, more is a queue. The capacity must not be 0.

        The worker's own rate if it gave one, else requests per capacity; either way each time it was handed
        out since counts as one request more. Rates and computed loads are on one scale, so that locations
        with and without a rate compare with each other. A stale report counts for its capacity alone.
        """
        report = self.report
        if self.is_stale:
            return self.handed_out / report.request_capacity
        if report.known_load_rate is None:
            return (report.current_requests + self.handed_out) / report.request_capacity
        return report.known_load_rate + self.handed_out / report.request_capacity

    def handed_out_to(self, count: int, *, now: float) -> Candidate:
        """Return it with so many requests on their way, the last one from now. How old its report is, is not kept."""
        return Candidate(location=self.location, report=self.report, handed_out=count, last_handed_out_at=now)

    def was_used_within(self, timeout_s: float, *, now: float) -> bool:
        """Whether it was handed out less than this long ago."""
        return self.last_handed_out_at is not None and now < self.last_handed_out_at + timeout_s


class Ranking(Protocol):
    """Puts the candidates of one service in order.

    An implementation must be a total order: for any candidates, in any sequence, the same answer, and every
    pair decided. It is called once per request, so it does no I/O, reads no clock, and draws no random
    numbers.
    """

    def rank(self, candidates: Sequence[Candidate], *, now: float) -> Sequence[Candidate]:
        """Return the candidates best first, without those that cannot take a request at all.

        Args:
            candidates: Locations of one scope and service, each once, in no particular order.
            now: Seconds of the clock of `Candidate.last_handed_out_at`.
        """
        ...


class HostLoad:
    """The load of one host. Its parts are whole numbers, so what was added is taken off without a trace."""

    __slots__ = ("capacity", "requests")

    def __init__(self) -> None:
        """Begin without candidates."""
        self.requests = 0
        self.capacity = 0

    @property
    def load(self) -> float:
        """Requests per capacity over the counted candidates whose report is not stale; 0 if there are none."""
        return self.requests / self.capacity if self.capacity else 0.0

    def count(self, candidate: Candidate, times: int = 1) -> None:
        """Add a candidate's requests and capacity; -1 times takes them off."""
        if not candidate.is_stale:
            self.requests += times * candidate.requests
            self.capacity += times * candidate.report.request_capacity


class KeyedRanking(ABC):
    """A `Ranking` by keys that depend on one candidate and the load of its host alone.

    Candidates with capacity 0 are left out and have no key. Two keys that are equal are decided by location.
    """

    __slots__ = ()

    @abstractmethod
    def key(self, candidate: Candidate, *, host_load: float, now: float) -> Key:
        """Return what the candidate is compared by, the smallest being the best.

        How two candidates of the same host compare must not depend on `host_load`, which they share.

        Args:
            candidate: The one to judge; its capacity is above 0.
            host_load: Requests per capacity over those candidates of its host whose report is not stale.
            now: Seconds of the clock of `Candidate.last_handed_out_at`.
        """

    def key_changes_at(self, candidate: Candidate, *, now: float) -> float:  # noqa: ARG002 - for those who need it
        """Return from when on the same candidate has another key, for its age alone: later than `now`, or infinity."""
        return math.inf

    def rank(self, candidates: Sequence[Candidate], *, now: float) -> Sequence[Candidate]:
        """Return the usable candidates, best first; see `Ranking.rank`."""
        usable = [candidate for candidate in candidates if candidate.report.request_capacity > 0]
        hosts = defaultdict[str, HostLoad](HostLoad)
        for candidate in usable:
            hosts[candidate.location.host_name.casefold()].count(candidate)
        loads = {name: host.load for name, host in hosts.items()}

        def full_key(candidate: Candidate) -> tuple[Key, Location]:
            location = candidate.location
            return self.key(candidate, host_load=loads[location.host_name.casefold()], now=now), location

        return sorted(usable, key=full_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeastLoaded(KeyedRanking):
    """The default: the least loaded location first, and among equals the one that was not used for longest.

    In this order:
      1. locations with a free place, then those whose report is stale, then full ones;
      2. the lower load of the location (`Candidate.load`);
      3. the lower load of its host;
      4. locations that were not handed out within `recently_used_timeout_s`, then the one whose turn is longest ago;
      5. the lot that the seed draws for the location;
      6. host name, ignoring case, then port.

    Two clients that ask at the same moment are kept apart by rule 2, since what was handed out counts as load.
    Those who ask different balancers, by rule 5 if each balancer has a seed of its own.
    """

    recently_used_timeout_s: float = 5.0
    seed: int = 0
    """The same one always draws the same lots; 0 draws none."""

    def key(self, candidate: Candidate, *, host_load: float, now: float) -> Key:
        """Return the key of the rules above; see `KeyedRanking.key`."""
        location, load = candidate.location, candidate.load
        standing = 1 if candidate.is_stale else 0 if load < 1.0 else 2
        is_recent = candidate.was_used_within(self.recently_used_timeout_s, now=now)
        used_at = candidate.last_handed_out_at if is_recent else -math.inf
        host = location.host_name.casefold()
        lot = _lot(self.seed, host, location.port) if self.seed else 0
        return (standing, load, host_load, used_at, lot, host, location.port)

    def key_changes_at(self, candidate: Candidate, *, now: float) -> float:
        """Return when it is no longer recently used; see `KeyedRanking.key_changes_at`."""
        at = candidate.last_handed_out_at
        if at is None or not candidate.was_used_within(self.recently_used_timeout_s, now=now):
            return math.inf
        return at + self.recently_used_timeout_s


@lru_cache(maxsize=1 << 14)
def _lot(seed: int, host: str, port: int) -> int:
    # Without the factor (Knuth's, odd and near 2 ** 32 / phi) another seed flips the same bits of every checksum, and
    # one of four neighbouring addresses would be first for half of the seeds.
    return crc32(f"{seed} {host} {port}".encode()) * 2654435761 % (1 << 32)
