"""What the project promises about its balancer, beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from targets import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A limit of one figure, and the figure."""

    title: str
    measured: float | None
    """None: it was not measured."""
    limit: float
    is_minimum: bool = False
    unit: str = "x"

    @property
    def outcome(self) -> Outcome:
        """Whether the limit is kept."""
        if self.measured is None:
            return Outcome.SKIP
        kept = self.measured >= self.limit if self.is_minimum else self.measured <= self.limit
        return Outcome.PASS if kept else Outcome.FAIL

    @property
    def line(self) -> str:
        """Return it for people."""
        sign = ">=" if self.is_minimum else "<="
        found = "not measured" if self.measured is None else f"{self.measured:.3f} {self.unit}"
        return f"{self.outcome}  {found:>14}  {sign} {self.limit:g} {self.unit}  {self.title}"


def is_broken(goals: Sequence[Goal]) -> bool:
    """Return whether any limit is not kept."""
    return any(goal.outcome is Outcome.FAIL for goal in goals)
