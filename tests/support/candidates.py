"""Candidates of a ranking, for tests."""

from __future__ import annotations

from quaestor_actors.core.load import LoadReport
from quaestor_actors.core.location import Location
from quaestor_actors.core.ranking import Candidate

NOW = 1000.0
"""Seconds of the monotonic clock, at which everything is ranked."""


def candidate(
    port: int,
    *,
    host: str = "a",
    current: int = 0,
    capacity: int = 1,
    rate: float | None = None,
    handed_out: int = 0,
    used_ago_s: float | None = None,
    stale: bool = False,
) -> Candidate:
    """Return one of the service `Worker`; what is not said is idle and was never handed out."""
    return Candidate(
        location=Location(service_name="Worker", host_name=host, port=port),
        report=LoadReport(known_load_rate=rate, request_capacity=capacity, current_requests=current),
        is_stale=stale,
        handed_out=handed_out,
        last_handed_out_at=None if used_ago_s is None else NOW - used_ago_s,
    )
