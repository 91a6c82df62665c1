"""When requests come and how much work each brings: drawn once, so that every policy gets the same."""

from __future__ import annotations

import random
from dataclasses import dataclass

BURST = 8
"""Requests that come at the same moment, where they come in bursts."""

CAPACITY = 2
"""Requests that a worker works on at the same time; further ones wait in line."""

SLOW, FAST = 2 / 3, 4 / 3
"""Speeds of the two halves of unequal workers; together as fast as equal ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A cluster of workers, and how busy clients keep it."""

    workers: int
    utilization: float
    """Share of the cluster's speed that the requests need."""
    is_bursty: bool = False
    """Requests come by eights instead of one by one; either way at moments of a Poisson process."""
    is_unequal: bool = False
    """Half of the workers are half as fast as the others."""

    @property
    def title(self) -> str:
        """Return it for people."""
        speeds = f"speeds {SLOW:.2f} and {FAST:.2f}" if self.is_unequal else "equal speeds"
        coming = f"bursts of {BURST}" if self.is_bursty else "single arrivals"
        return f"{self.workers} workers, utilisation {self.utilization:g}, {coming}, {speeds}"

    @property
    def speeds(self) -> list[float]:
        """Return the speed of each worker: units of work per second."""
        if not self.is_unequal:
            return [1.0] * self.workers
        return [FAST if number % 2 else SLOW for number in range(self.workers)]

    def rate(self, mean_s: float) -> float:
        """Return how many requests come per second, for this mean work of each."""
        return self.utilization * CAPACITY * sum(self.speeds) / mean_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request of a client."""

    at_s: float
    """Since the beginning."""
    work_s: float
    """So long takes a worker of speed 1."""


def drawn(scenario: Scenario, *, mean_s: float, count: int, seed: int) -> list[Request]:
    """Draw requests, in the order of their coming; the same arguments draw the same ones.

    Args:
        scenario: How often they come, and whether in bursts.
        mean_s: Mean work of a request; it is exponentially distributed.
        count: How many.
        seed: Of the generator.
    """
    generator = random.Random(seed)  # noqa: S311 - simulates, keeps no secret
    size = BURST if scenario.is_bursty else 1
    per_second = scenario.rate(mean_s) / size
    requests: list[Request] = []
    now = 0.0
    while len(requests) < count:
        now += generator.expovariate(per_second)
        requests += [Request(at_s=now, work_s=generator.expovariate(1 / mean_s)) for _ in range(size)]
    return requests[:count]
