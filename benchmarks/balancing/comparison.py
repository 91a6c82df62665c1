"""What came out for one scenario: response times of each policy on the same requests, seed by seed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from balancing.arrivals import Scenario
from balancing.goals import Goal
from balancing.policies import FRONTENDS, ORIGINAL, OURS
from balancing.statistic import Estimate, estimate, quantile

IDEAL = "ideal shortest queue *"
CENTRAL = "ideal central queue *"
SIMULATED_ROUND_ROBIN = "round robin *"

_WARM_UP_SHARE = 0.1
"""Of the requests: these find the workers emptier than they are later, and do not count."""
_MS_PER_S = 1_000

_Statistic = Callable[[Sequence[float]], float]


def _p99(responses: Sequence[float]) -> float:
    return quantile(responses, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Filled while it is measured."""

    scenario: Scenario
    rounds: dict[str, list[list[float]]] = field(default_factory=dict)
    """By policy: for each seed the response times that count, in seconds."""

    def add(self, policy: str, responses: Sequence[float]) -> None:
        """Take the response times of one seed, in the order in which the requests came."""
        counted = list(responses[int(len(responses) * _WARM_UP_SHARE) :])
        self.rounds.setdefault(policy, []).append(counted)

    def ratio(self, policy: str, other: str, statistic: _Statistic = statistics.fmean) -> Estimate | None:
        """Return one policy's figure by the other's, over the seeds; None if one of them was not measured."""
        mine, others = self.rounds.get(policy), self.rounds.get(other)
        if not mine or not others:
            return None
        return estimate([statistic(left) / statistic(right) for left, right in zip(mine, others, strict=True)])

    def lines(self) -> list[str]:
        """Return the table."""
        head = f"{'':24}{'mean ms':>9}{'p99 ms':>9}{'mean / ideal':>18}{'p99 / ideal':>18}"
        return [self.scenario.title, head, *(self._line(policy) for policy in self.rounds)]

    def goals(self) -> list[Goal]:
        """Return what is promised of this scenario."""
        title = self.scenario.title
        by_ideal, by_original = self.ratio(OURS, IDEAL), self.ratio(OURS, ORIGINAL)
        near = Goal(title=f"mean by the ideal's: {title}", limit=1.1, measured=by_ideal.mean if by_ideal else None)
        if self.scenario.is_bursty:
            limit, measured, what = 0.8, by_original.mean if by_original else None, "mean by original's"
        else:
            # Where both are as good as can be, chance decides which is ahead.
            limit, measured, what = 1.0, by_original.least if by_original else None, "mean by original's, least of 95 %"
        several = self.ratio(FRONTENDS, IDEAL)
        return [
            near,
            Goal(
                title=f"mean by the ideal's, four frontends: {title}",
                limit=1.1,
                measured=several.mean if several else None,
            ),
            Goal(title=f"{what}: {title}", limit=limit, measured=measured),
        ]

    def _line(self, policy: str) -> str:
        rounds = self.rounds[policy]
        mean = statistics.fmean(map(statistics.fmean, rounds)) * _MS_PER_S
        p99 = statistics.fmean(map(_p99, rounds)) * _MS_PER_S
        ratios = "".join(f"{_text(self.ratio(policy, IDEAL, statistic)):>18}" for statistic in (statistics.fmean, _p99))
        return f"{policy:24}{mean:>9.1f}{p99:>9.1f}{ratios}"


def _text(ratio: Estimate | None) -> str:
    return "-" if ratio is None else f"{ratio.mean:.3f} +-{ratio.margin:.3f}"
