"""What a worker says about its own load, in the terms of the `LoadReporting` protocol."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """One answer to `ReportLoad`. Every number is finite, so that reports can always be compared.

    Raises:
        ValueError: A number is negative, not finite, or outside its range.
    """

    timestamp_ticks: int = 0
    """When the report's content last changed: 100 ns since 0001-01-01 (.NET ticks); 0 means never."""
    known_load_rate: float | None = None
    """The worker's own figure, used instead of the statistics; None means compute it from them."""
    request_capacity: int
    """Requests that the worker serves at the same time; 0 means that it takes none."""
    current_requests: int
    server_utilization: float = 0.0
    """Busy share of the worker's machine, 0..1."""
    server_memory_usage_percent: float | None = None
    """Used share of the machine's memory, 0..100; None means unknown."""
    started_requests: int | None = None
    """Requests that the worker has begun since it started; None means that it does not count them."""

    def __post_init__(self) -> None:
        """Refuse what cannot be compared."""
        if self.request_capacity < 0:
            raise ValueError(f"request_capacity must not be negative, got {self.request_capacity}")
        if self.current_requests < 0:
            raise ValueError(f"current_requests must not be negative, got {self.current_requests}")
        if self.known_load_rate is not None and not 0.0 <= self.known_load_rate < math.inf:
            raise ValueError(f"known_load_rate must be finite and not negative, got {self.known_load_rate}")
        if not 0.0 <= self.server_utilization <= 1.0:
            raise ValueError(f"server_utilization must be in 0..1, got {self.server_utilization}")
        memory = self.server_memory_usage_percent
        if memory is not None and not 0.0 <= memory <= 100.0:  # noqa: PLR2004 - per cent
            raise ValueError(f"server_memory_usage_percent must be in 0..100, got {memory}")


def load_report_from_wire(
    *,
    timestamp_ticks: int,
    known_load_rate: float,
    request_capacity: int,
    current_requests: int,
    server_utilization: float,
    server_memory_usage_percent: float,
    started_requests: int | None = None,
) -> LoadReport:
    """Return a worker's answer as a report, with every impossible number made harmless.

    On the wire a negative rate means "compute it" and a negative memory usage "unknown"; so does a number
    that is not finite. Negative counts become 0: a worker with a nonsensical capacity takes no requests. The
    utilisation is brought into its range.
    """
    rate_is_known = math.isfinite(known_load_rate) and known_load_rate >= 0.0
    memory_is_known = math.isfinite(server_memory_usage_percent) and server_memory_usage_percent >= 0.0
    return LoadReport(
        timestamp_ticks=timestamp_ticks,
        known_load_rate=known_load_rate if rate_is_known else None,
        request_capacity=max(request_capacity, 0),
        current_requests=max(current_requests, 0),
        server_utilization=0.0 if math.isnan(server_utilization) else min(max(server_utilization, 0.0), 1.0),
        server_memory_usage_percent=min(server_memory_usage_percent, 100.0) if memory_is_known else None,
        started_requests=started_requests,
    )
