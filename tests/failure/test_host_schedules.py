"""Three hosts and anything that can happen to them: never two copies of a floating member, and in the end all is well.

Needs root. The same hosts go through all schedules; each one ends with everything mended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, Phase, example, given, note, settings
from hypothesis import strategies as st
from support.hurt_hosts import Hurt, HurtHosts, Step, run_hurt_hosts
from support.profiles import PROFILE, examples
from support.switched_networks import why_impossible

SCHEDULES = 3
"""Besides the pinned ones; in the nightly profile twenty times as many."""

steps = st.builds(
    Step, hurt=st.sampled_from(Hurt), number=st.integers(0, 2), then_s=st.sampled_from([0.0, 0.3, 1.0, 2.0, 4.0])
)
schedules = st.lists(steps, min_size=2, max_size=4 if PROFILE == "ci" else 6)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HurtHosts]:
    """Yield three hosts that are well; skip where their networks cannot be made."""
    if why := why_impossible():
        pytest.skip(why)
    with run_hurt_hosts(tmp_path_factory.mktemp("hosts")) as hosts:
        yield hosts


@pytest.mark.timeout(120 + examples(SCHEDULES) * 90)
@settings(
    max_examples=examples(SCHEDULES),
    # Each takes as long as the things in it do: one that failed is not tried again in smaller parts.
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(
    [
        Step(hurt=Hurt.ISOLATE_ONE, number=0, then_s=6.0),
        Step(hurt=Hurt.SCALE, number=2),
        Step(hurt=Hurt.HEAL, then_s=0.3),
        Step(hurt=Hurt.LOSE_COORDINATOR, then_s=2.0),
        Step(hurt=Hurt.ISOLATE_TWO, number=1, then_s=4.0),
    ]
)
@example(
    [
        Step(hurt=Hurt.LOSE_FRAMES, then_s=2.0),
        Step(hurt=Hurt.LOSE_LEADER, then_s=1.0),
        Step(hurt=Hurt.ONE_WAY, number=0),
        Step(hurt=Hurt.ONE_WAY_FROM_STORE, number=2, then_s=4.0),
        Step(hurt=Hurt.KILL, number=1, then_s=0.3),
        Step(hurt=Hurt.JOIN, number=1),
    ]
)
@given(schedule=schedules)
def test__whatever_happens__one_copy_at_most_and_all_well_in_the_end(
    three: HurtHosts, schedule: Sequence[Step]
) -> None:
    three.begin_schedule()
    try:
        for step in schedule:
            note(str(step))
            three.perform(step)
            three.check()
    finally:
        # One that has failed is tried once more, by the same hosts.
        three.heal()
    three.expect_well()
