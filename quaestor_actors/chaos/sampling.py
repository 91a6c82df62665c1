"""Descriptors and memory of every process over a run, and whether they grow."""

from __future__ import annotations

import os
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from quaestor_actors.adapters.processes import rss_bytes
from quaestor_actors.chaos.plan import Role
from quaestor_actors.chaos.sighting import Seen, Sighting

ENOUGH = 12
"""With fewer samples nothing can be said about growth."""
DESCRIPTORS = 8
"""More than this is growth: connections come and go."""
MEMORY_MB = 8.0
MEMORY_PART = 0.2
"""More than both is growth: allocators keep what they once needed."""
_PART_AT_EACH_END = 4
_BYTES_PER_MB = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one kind of process had open and in memory; of several processes, the most."""

    descriptors: int
    memory_mb: float
    """Resident, shared pages included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One kind of process over a run."""

    who: str
    first: Sample
    last: Sample
    highest: Sample
    samples: int
    growth: str | None
    """What has grown, in a sentence; None if nothing has, or there are too few samples to know."""


class Sampling:
    """Takes samples when the cluster is whole, so that they can be compared."""

    def __init__(self) -> None:
        """Begin without any."""
        self._series: dict[str, list[Sample]] = defaultdict(list)

    def take(self, sighting: Sighting) -> None:
        """Take one sample of every kind of process."""
        measured: dict[str, list[Sample]] = defaultdict(list)
        for seen in sighting.processes:
            if seen.role is not None and (sample := _measure(seen.pid)) is not None:
                measured[_kind(seen)].append(sample)
        for who, samples in measured.items():
            self._series[who].append(_highest(samples))

    def trends(self) -> list[Trend]:
        """Return how each kind of process did."""
        return [trend(who, series) for who, series in sorted(self._series.items())]


def trend(who: str, series: Sequence[Sample]) -> Trend:
    """Return how one kind of process did: the last quarter's median is compared with the first quarter's maximum."""
    return Trend(
        who=who,
        first=series[0],
        last=series[-1],
        highest=_highest(series),
        samples=len(series),
        growth=_growth(who, series) if len(series) >= ENOUGH else None,
    )


def _growth(who: str, series: Sequence[Sample]) -> str | None:
    quarter = len(series) // _PART_AT_EACH_END
    before, after = _highest(series[:quarter]), series[-quarter:]
    descriptors = statistics.median(each.descriptors for each in after)
    memory_mb = statistics.median(each.memory_mb for each in after)
    if descriptors > before.descriptors + DESCRIPTORS:
        return f"{who} has {descriptors:g} descriptors, {before.descriptors} at most at the beginning"
    if memory_mb > before.memory_mb + max(MEMORY_MB, MEMORY_PART * before.memory_mb):
        return f"{who} has {memory_mb:.1f} MB, {before.memory_mb:.1f} MB at most at the beginning"
    return None


def _highest(series: Sequence[Sample]) -> Sample:
    return Sample(
        descriptors=max(each.descriptors for each in series), memory_mb=max(each.memory_mb for each in series)
    )


def _kind(seen: Seen) -> str:
    return seen.name.rpartition("/")[0] if seen.role in {Role.MEMBER, Role.ETCD} else seen.name


def _measure(pid: int) -> Sample | None:
    try:
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names are enough
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    memory = rss_bytes(pid)
    return None if memory is None else Sample(descriptors=descriptors, memory_mb=memory / _BYTES_PER_MB)
