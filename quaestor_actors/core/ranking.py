"""Which location is the best one now: the order of `DiscoverTopServices`, as one small exchangeable class.

Write another order by writing another `Ranking`; nothing else has to change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from quaestor_actors.core.load import LoadReport
from quaestor_actors.core.location import Location

_Key = tuple[bool, float, float, str, int, Location]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A serving location together with all that a ranking may judge it by."""

    location: Location
    report: LoadReport
    """Its last report."""
    handed_out: int = 0
    """How often it was handed out since; those requests are not in the report yet."""
    last_handed_out_at: float | None = None
    """Seconds of the caller's monotonic clock; None means never."""

    @property
    def load(self) -> float:
        """Load of this location: 0 is idle, 1 is full, more is a queue. The capacity must not be 0.

        The worker's own rate if it gave one, else requests per capacity; either way each time it was handed
        out since counts as one request more. Rates and computed loads are on one scale, so that locations
        with and without a rate compare with each other.
        """
        capacity = self.report.request_capacity
        if self.report.known_load_rate is not None:
            return self.report.known_load_rate + self.handed_out / capacity
        return (self.report.current_requests + self.handed_out) / capacity


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LeastLoaded:
    """The default: the least loaded location first, and not the same one twice in a row.

    In this order:
      1. locations that were not handed out within `recently_used_timeout_s` before those that were;
      2. the lower load of the location (`Candidate.load`);
      3. the lower load of its host: requests per capacity over all of the host's candidates;
      4. host name, ignoring case, then port.

    A location with capacity 0 is no candidate.
    """

    recently_used_timeout_s: float = 5.0

    def rank(self, candidates: Sequence[Candidate], *, now: float) -> Sequence[Candidate]:
        """Return the usable candidates, best first; see `Ranking.rank`."""
        usable = [candidate for candidate in candidates if candidate.report.request_capacity > 0]
        host_loads = _host_loads(usable)

        def key(candidate: Candidate) -> _Key:
            location = candidate.location
            host = location.host_name.casefold()
            used = self._is_recently_used(candidate, now=now)
            # The location itself comes last, so that names which differ only in case are decided too.
            return (used, candidate.load, host_loads[host], host, location.port, location)

        return sorted(usable, key=key)

    def _is_recently_used(self, candidate: Candidate, *, now: float) -> bool:
        at = candidate.last_handed_out_at
        return at is not None and now - at < self.recently_used_timeout_s


def _host_loads(usable: Sequence[Candidate]) -> dict[str, float]:
    """Return requests per capacity of each host, by its name in lower case."""
    requests: dict[str, int] = {}
    capacity: dict[str, int] = {}
    for candidate in usable:
        host = candidate.location.host_name.casefold()
        report = candidate.report
        requests[host] = requests.get(host, 0) + report.current_requests + candidate.handed_out
        capacity[host] = capacity.get(host, 0) + report.request_capacity
    return {host: requests[host] / capacity[host] for host in capacity}
