"""The order of the C# original, for those who rely on it or want to compare with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quaestor_actors.core.location import Location
from quaestor_actors.core.ranking import Candidate

_Order = tuple[bool, bool, float, float, str, int, Location]


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """Ranks as quaestor-mini-cluster 1.0.1 does, wherever that is an order.

    In this order:
      1. locations that were not handed out within `recently_used_timeout_s` before those that were;
      2. the lower rate that the workers know themselves, if every candidate has one, and then rule 5; otherwise
      3. the lower utilisation of the host: the sum of requests by the sum of capacities of its candidates;
      4. fewer requests per capacity of the location itself;
      5. host name, ignoring case, then port.

    The original compares two locations by their rates when these two have one. With a third location that has
    none this can be a circle (A before C by rates, C before B and B before A by hosts), and the outcome then
    depends on the sequence of the candidates. Here the rates count only if all candidates have one; two
    locations by themselves, and services whose workers are alike, are ranked as by the original.

    Requests on their way do not count: the original knows nothing of them. Nor does it know stale reports; such
    locations come after those whose load is known. A location with capacity 0 is no candidate.
    """

    recently_used_timeout_s: float = 5.0

    def rank(self, candidates: Sequence[Candidate], *, now: float) -> Sequence[Candidate]:
        """Return the usable candidates, best first; see `Ranking.rank`."""
        usable = [candidate for candidate in candidates if candidate.report.request_capacity > 0]
        known = [candidate for candidate in usable if not candidate.is_stale]
        have_rates = all(candidate.report.known_load_rate is not None for candidate in known)
        utilisations = _host_utilisations(known)

        def key(candidate: Candidate) -> _Order:
            location, report = candidate.location, candidate.report
            host = location.host_name.casefold()
            if candidate.is_stale:
                judgement = 0.0, 0.0
            elif have_rates and report.known_load_rate is not None:
                judgement = report.known_load_rate, 0.0
            else:
                judgement = utilisations[host], report.current_requests / report.request_capacity
            used = candidate.was_used_within(self.recently_used_timeout_s, now=now)
            # The location itself comes last, so that names which differ only in case are decided too.
            return (used, candidate.is_stale, *judgement, host, location.port, location)

        return sorted(usable, key=key)


def _host_utilisations(known: Sequence[Candidate]) -> dict[str, float]:
    """Return requests per capacity of each host, by its name in lower case."""
    requests: dict[str, int] = {}
    capacity: dict[str, int] = {}
    for candidate in known:
        host, report = candidate.location.host_name.casefold(), candidate.report
        requests[host] = requests.get(host, 0) + report.current_requests
        capacity[host] = capacity.get(host, 0) + report.request_capacity
    return {host: requests[host] / capacity[host] for host in capacity}
