"""What counts at the very moment at which a time is over."""

from __future__ import annotations

from types import MappingProxyType

from quaestor_actors.core import group
from quaestor_actors.core.agent import ClockAdvanced, Group, MemberFact
from quaestor_actors.core.member import Health, HealthReported, Member, MemberState, ProcessExited, Rules
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.core.restart import Backoff, Intensity

RULES = Rules(backoff=Backoff(initial_s=0.5, jitter=0.0, stable_s=30.0))


def test__restart__counts_until_the_period_is_over() -> None:
    intensity = Intensity(limit=1, period_s=60.0)
    assert intensity.recent((100.0,), 159.9) == (100.0,)
    assert intensity.recent((100.0,), 160.0) == ()


def test__member_that_served_for_the_stable_time_and_then_fell_ill__fails_for_the_first_time() -> None:
    serving = Member(
        member_id="W/1",
        state=MemberState.SERVING,
        since=0.0,
        incarnation=4,
        failures=3,
        process=ProcessId(pid=10, start_ticks=1),
        port=5161,
        deadline=30.0,
    )
    state = Group(members=MappingProxyType({"W/1": serving}), wanted=MappingProxyType({"W/1": ""}))
    state, _ = group.decide(state, [ClockAdvanced()], 30.0, RULES, 0.5)
    lost = HealthReported(incarnation=4, health=Health.UNREACHABLE, detail="no connection")
    state, _ = group.decide(state, [MemberFact(member_id="W/1", fact=lost)], 31.0, RULES, 0.5)
    assert state.members["W/1"].state is MemberState.DEGRADED
    ended = ProcessExited(incarnation=4, reason="killed by SIGKILL")
    state, _ = group.decide(state, [MemberFact(member_id="W/1", fact=ended)], 31.1, RULES, 0.5)
    assert state.members["W/1"].failures == 1
