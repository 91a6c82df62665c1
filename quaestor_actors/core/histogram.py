"""How long things took, as counts in buckets: what is enough for percentiles, and costs nothing to keep."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Buckets:
    """The upper bounds of a histogram, in seconds, ascending; above the last one there is one more bucket."""

    bounds_s: tuple[float, ...]

    @property
    def size(self) -> int:
        """How many numbers it is kept in: a count for each bucket, and the sum of all durations."""
        return len(self.bounds_s) + 2

    def slot_of(self, duration_s: float) -> int:
        """Return the number of the bucket that a duration falls in; a bound belongs to the bucket below it."""
        return bisect_left(self.bounds_s, duration_s)

    @property
    def sum_slot(self) -> int:
        """The number under which the sum is kept, after the buckets."""
        return len(self.bounds_s) + 1

    def cumulated(self, values: Sequence[float]) -> list[float]:
        """Return for each bound, and for infinity, how many durations were not longer; what is not kept yet is 0."""
        total, totals = 0.0, []
        for slot in range(self.sum_slot):
            total += values[slot] if slot < len(values) else 0.0
            totals.append(total)
        return totals


PROBE = Buckets((0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0))
"""Of health checks: from an idle neighbour to the usual deadline and beyond."""

DISCOVER = Buckets((0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0))
"""Of the balancer's answers: they take as long as an empty call, but for the first ones after its start."""
