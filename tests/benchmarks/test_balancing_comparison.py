"""What the benchmarks of the balancer say of their figures: statistics, ratios and targets."""

from __future__ import annotations

import math

import pytest
from balancing.arrivals import Scenario
from balancing.comparison import IDEAL, Comparison
from balancing.goals import Goal, is_broken
from balancing.policies import FRONTENDS, ORIGINAL, OURS
from balancing.statistic import estimate, quantile
from targets import Outcome

SINGLE = Scenario(workers=8, utilization=0.85)
BURSTS = Scenario(workers=8, utilization=0.85, is_bursty=True)


def compared(scenario: Scenario, **seconds: tuple[float, ...]) -> Comparison:
    """Return a comparison in which all requests of a seed took equally long."""
    comparison = Comparison(scenario=scenario)
    names = {"ours": OURS, "frontends": FRONTENDS, "original": ORIGINAL, "ideal": IDEAL}
    for policy, seeds in seconds.items():
        for each in seeds:
            comparison.add(names[policy], [each] * 20)
    return comparison


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test__quantile__of_1_to_100__is_the_number_itself(share: float, expected: int) -> None:
    assert quantile(range(100, 0, -1), share) == expected


def test__estimate__two_samples__has_students_margin() -> None:
    found = estimate([1.0, 3.0])
    assert found.mean == 2.0
    assert found.margin == pytest.approx(12.706)
    assert found.least == pytest.approx(2.0 - 12.706)


def test__estimate__one_sample__has_no_margin() -> None:
    found = estimate([2.0])
    assert math.isnan(found.margin)
    assert found.least == 2.0


@pytest.mark.parametrize(
    ("measured", "is_minimum", "outcome"),
    [
        (0.8, True, Outcome.PASS),
        (0.79, True, Outcome.FAIL),
        (0.8, False, Outcome.PASS),
        (0.81, False, Outcome.FAIL),
        (None, True, Outcome.SKIP),
    ],
)
def test__goal__at_its_limit__is_kept(*, measured: float | None, is_minimum: bool, outcome: Outcome) -> None:
    goal = Goal(title="rate", measured=measured, limit=0.8, is_minimum=is_minimum)
    assert goal.outcome is outcome
    assert is_broken([goal]) is (outcome is Outcome.FAIL)


def test__comparison__first_tenth_of_the_requests__does_not_count() -> None:
    comparison = Comparison(scenario=SINGLE)
    comparison.add(OURS, [100.0, 100.0, *[1.0] * 18])
    assert comparison.rounds[OURS] == [[1.0] * 18]


def test__comparison__ratios__are_of_the_same_seed() -> None:
    ratio = compared(SINGLE, ours=(2.0, 30.0), ideal=(1.0, 10.0)).ratio(OURS, IDEAL)
    assert ratio is not None
    assert ratio.mean == pytest.approx(2.5)


def test__goals__single_arrivals__near_the_ideal_and_not_worse_than_original() -> None:
    goals = compared(SINGLE, ours=(1.2,), frontends=(1.05,), original=(1.3,), ideal=(1.0,)).goals()
    assert [goal.outcome for goal in goals] == [Outcome.FAIL, Outcome.PASS, Outcome.PASS]


def test__goals__bursts__a_fifth_better_than_original() -> None:
    goals = compared(BURSTS, ours=(1.05,), frontends=(1.2,), original=(1.2,), ideal=(1.0,)).goals()
    assert [goal.outcome for goal in goals] == [Outcome.PASS, Outcome.FAIL, Outcome.FAIL]


def test__goals__what_was_not_measured__is_skipped() -> None:
    goals = compared(BURSTS, ours=(1.05,), ideal=(1.0,)).goals()
    assert [goal.outcome for goal in goals] == [Outcome.PASS, Outcome.SKIP, Outcome.SKIP]


def test__table__has_a_line_for_each_policy() -> None:
    title, _, *rows = compared(SINGLE, ours=(1.2, 1.2), ideal=(1.0, 1.0)).lines()
    assert title.startswith("8 workers")
    assert [row.split()[0] for row in rows] == ["ours", "ideal"]
    assert "1.200 +-0.000" in rows[0]
