"""What the project promises about its speed and size, and whether a run kept it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from figures import Figures

OURS = "ours"


class Outcome(StrEnum):
    """Of one target."""

    PASS = "PASS"  # noqa: S105 - no password
    FAIL = "FAIL"
    SKIP = "SKIP"
    """It was not measured, or what it is compared with was not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An upper limit of one of our figures: absolute, or as a multiple of a peer's in the same run."""

    metric: str
    limit: float
    unit: str
    relative_to: str | None = None
    strict: bool = False
    """Below the limit, not at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A target beside what was measured."""

    target: Target
    outcome: Outcome
    measured: float | None
    """In the target's unit."""


TARGETS = (
    Target(metric="restart_median_ms", limit=1.5, unit="ms"),
    Target(metric="restart_median_ms", limit=1.3, unit="x", relative_to="runit"),
    Target(metric="restart_max_ms", limit=30, unit="ms"),
    Target(metric="start_s", limit=0.7, unit="x", relative_to="s6"),
    Target(metric="gone_s", limit=1, unit="s"),
    Target(metric="idle_100_percent", limit=0.2, unit="%"),
    Target(metric="idle_1000_percent", limit=1, unit="%"),
    Target(metric="sample_mb", limit=80, unit="MB"),
    Target(metric="agent_mb", limit=15, unit="MB"),
    Target(metric="member_kb", limit=20, unit="KB"),
    Target(metric="crash_percent", limit=1, unit="%", strict=True),
)


def judge(figures: Figures) -> list[Verdict]:
    """Return the verdict on every target."""
    return [_judge(target, figures) for target in TARGETS]


def _judge(target: Target, figures: Figures) -> Verdict:
    measured = figures.value(target.metric, OURS)
    if measured is not None and target.relative_to is not None:
        theirs = figures.value(target.metric, target.relative_to)
        measured = measured / theirs if theirs else None
    if measured is None:
        return Verdict(target=target, outcome=Outcome.SKIP, measured=None)
    kept = measured < target.limit if target.strict else measured <= target.limit
    return Verdict(target=target, outcome=Outcome.PASS if kept else Outcome.FAIL, measured=measured)
