"""The figures of a run: samples as they were measured, and what is said of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

Statistic = Callable[[Sequence[float]], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One line of the table: a statistic of samples."""

    name: str
    sample: str
    statistic: Statistic
    title: str
    digits: int = 2


def first(samples: Sequence[float]) -> float:
    """Return the only sample."""
    return samples[0]


def count(samples: Sequence[float]) -> float:
    """Return how many samples there are."""
    return float(len(samples))


METRICS = (
    Metric(
        name="restart_median_ms",
        sample="forked_ms",
        statistic=statistics.median,
        title="SIGKILL to replacement forked, median ms",
    ),
    Metric(name="restart_max_ms", sample="forked_ms", statistic=max, title="  the same, max ms"),
    Metric(
        name="restart_exec_median_ms",
        sample="executed_ms",
        statistic=statistics.median,
        title="SIGKILL to replacement executed, median ms",
    ),
    Metric(name="restart_trials", sample="forked_ms", statistic=count, title="  trials", digits=0),
    Metric(name="start_s", sample="start_s", statistic=statistics.median, title="1,000 members started, s"),
    Metric(name="stop_s", sample="stop_s", statistic=statistics.median, title="1,000 members stopped, s"),
    Metric(name="gone_s", sample="gone_s", statistic=statistics.median, title="  and the supervisor gone, s"),
    Metric(
        name="idle_100_percent",
        sample="idle_100_percent",
        statistic=first,
        title="idle, 100 members, % of a core",
        digits=3,
    ),
    Metric(
        name="idle_100_charged_percent",
        sample="idle_100_charged_percent",
        statistic=first,
        title="  the same as charged in ticks",
        digits=3,
    ),
    Metric(
        name="idle_1000_percent",
        sample="idle_1000_percent",
        statistic=first,
        title="idle, 1,000 members, % of a core",
        digits=3,
    ),
    Metric(
        name="idle_1000_charged_percent",
        sample="idle_1000_charged_percent",
        statistic=first,
        title="  the same as charged in ticks",
        digits=3,
    ),
    Metric(name="pss_1_mb", sample="pss_1_mb", statistic=first, title="PSS, 1 member, MB", digits=1),
    Metric(name="pss_100_mb", sample="pss_100_mb", statistic=first, title="PSS, 100 members, MB", digits=1),
    Metric(name="pss_1000_mb", sample="pss_1000_mb", statistic=first, title="PSS, 1,000 members, MB", digits=1),
    Metric(name="member_kb", sample="member_kb", statistic=first, title="PSS for each further member, KB", digits=1),
    Metric(name="agent_mb", sample="agent_mb", statistic=first, title="PSS for each further agent, MB", digits=1),
    Metric(name="sample_mb", sample="sample_mb", statistic=first, title="PSS of the sample's tree, MB", digits=1),
    Metric(
        name="sample_workers_mb",
        sample="sample_workers_mb",
        statistic=first,
        title="PSS of the sample's workers, MB",
        digits=1,
    ),
    Metric(name="crash_starts", sample="crash_starts", statistic=first, title="crash loop, starts", digits=0),
    Metric(
        name="crash_percent",
        sample="crash_percent",
        statistic=first,
        title="crash loop, % of a core after 5 s",
        digits=2,
    ),
)


@dataclass(slots=True)
class Figures:
    """Everything that was measured in one run; filled by the measures."""

    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """By sample's name, then by peer."""
    remarks: list[str] = field(default_factory=list)
    """What was skipped or went wrong, for people."""
    has_failed: bool = False
    """Something could not be measured although its peer is there."""

    def add(self, sample: str, peer: str, *values: float) -> None:
        """Take measured values."""
        self.samples.setdefault(sample, {}).setdefault(peer, []).extend(values)

    def remark(self, text: str) -> None:
        """Take something that people must know about the run."""
        self.remarks.append(text)

    def fail(self, text: str) -> None:
        """Take something that could not be measured, and why."""
        self.remark(text)
        self.has_failed = True

    def value(self, name: str, peer: str) -> float | None:
        """Return a metric of a peer, or None if it was not measured."""
        metric = next(metric for metric in METRICS if metric.name == name)
        samples = self.samples.get(metric.sample, {}).get(peer)
        return metric.statistic(samples) if samples else None

    def document(self) -> dict[str, object]:
        """Return the samples and remarks for machines."""
        return asdict(self)
