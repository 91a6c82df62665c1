"""What a run has shown: a line for each step while it goes on, and the verdict at its end."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from quaestor_actors.chaos.sampling import ENOUGH, Sample, Trend
from quaestor_actors.cli.render import table

REPORT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """One step of the plan as it went."""

    number: int
    at_s: float
    """Since the start of the run."""
    faults: tuple[str, ...]
    """Kinds of those that were done."""
    done: tuple[str, ...]
    """What was done, for people."""
    skipped: tuple[str, ...]
    """What could not be done, and why."""
    recovery_s: float | None
    """From when everything was taken back until the cluster was whole; None: it was not, or nothing was done."""

    def __str__(self) -> str:
        """Return its line of the timeline."""
        told = [*self.done, *(f"skipped: {why}" for why in self.skipped)]
        after = f"; whole again after {self.recovery_s:.1f} s" if self.recovery_s is not None else ""
        return f"#{self.number}  {' + '.join(told)}{after}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a run ended."""

    seed: int
    command: str
    """Repeats it."""
    seconds: float
    steps: tuple[StepReport, ...]
    broken: tuple[str, ...]
    """What did not hold; nothing: everything did."""
    trends: tuple[Trend, ...]
    asked: int
    answered: int
    interrupted: bool
    evidence: str | None
    """Where logs and state of a broken run are."""

    @property
    def held(self) -> bool:
        """Whether everything held."""
        return not self.broken

    def text(self) -> str:
        """Return it for people."""
        parts = [
            f"seed {self.seed}: {len(self.steps)} steps in {self.seconds:.0f} s"
            + (", interrupted" if self.interrupted else ""),
            _faults(self.steps),
            _trends(self.trends),
            f"clients asked {self.asked} times, and were answered {self.answered} times",
            self._conclusion(),
        ]
        return "\n\n".join(part for part in parts if part)

    def _conclusion(self) -> str:
        if self.held:
            return "HELD"
        lines = ["BROKEN", *(f"  {each}" for each in self.broken), f"repeat it with: {self.command}"]
        if self.evidence is not None:
            lines.append(f"logs and state: {self.evidence}")
        return "\n".join(lines)

    def json(self) -> str:
        """Return it for machines."""
        document = {"version": REPORT_VERSION, "held": self.held, **asdict(self)}
        return json.dumps(document, indent=2)


def _faults(steps: Sequence[StepReport]) -> str:
    times: dict[str, list[float]] = defaultdict(list)
    counts: dict[str, int] = defaultdict(int)
    for step in steps:
        for fault in step.faults:
            counts[fault] += 1
            if step.recovery_s is not None:
                times[fault].append(step.recovery_s)
    rows = [
        (
            fault,
            str(count),
            f"{statistics.median(times[fault]):.1f} s" if times[fault] else "-",
            f"{max(times[fault]):.1f} s" if times[fault] else "-",
        )
        for fault, count in sorted(counts.items())
    ]
    return table(("FAULT", "COUNT", "RECOVERY", "LONGEST"), rows) if rows else ""


def _trends(trends: Sequence[Trend]) -> str:
    if not trends:
        return ""
    rows = [
        (
            each.who,
            _triple(each, lambda sample: str(sample.descriptors)),
            _triple(each, lambda sample: f"{sample.memory_mb:.0f}"),
            str(each.samples),
            (each.growth and "GROWS") or ("flat" if each.samples >= ENOUGH else "too few samples"),
        )
        for each in trends
    ]
    head = ("PROCESS", "DESCRIPTORS", "MEMORY MB", "SAMPLES", "")
    return f"first/last/highest of each kind of process\n{table(head, rows)}"


def _triple(trend: Trend, show: Callable[[Sample], str]) -> str:
    return "/".join(show(each) for each in (trend.first, trend.last, trend.highest))
