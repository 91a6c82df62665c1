"""The members of one agent together."""

from __future__ import annotations

from quaestor_actors.core import group, lifecycle
from quaestor_actors.core.group import ClockAdvanced, MemberFact, StartAll, StopAll
from quaestor_actors.core.member import Kill, MemberState, ProcessId, Rules, Spawn, Terminate

RULES = Rules(startup_deadline_s=8, response_timeout_s=5, shutdown_deadline_s=10, startup_retries=3)


def started(count: int = 2) -> group.Group:
    state = group.decide(group.create("Worker", count), StartAll(), 0.0, RULES)[0]
    for number, name in enumerate(state.members):
        spawned = lifecycle.Spawned(incarnation=1, process=ProcessId(pid=number, start_ticks=1), port=5161 + number)
        state = group.decide(state, MemberFact(member_id=name, fact=spawned), 0.0, RULES)[0]
    return state


def test__create__names_members_from_one() -> None:
    assert list(group.create("Worker", 3).members) == ["Worker/1", "Worker/2", "Worker/3"]


def test__start_all__starts_only_what_is_pending() -> None:
    state, effects = group.decide(group.create("Worker", 2), StartAll(), 0.0, RULES)
    assert [type(effect) for effect in effects] == [Spawn, Spawn]
    assert group.decide(state, StartAll(), 1.0, RULES) == (state, ())


def test__fact_about_a_stranger__changes_nothing() -> None:
    state = started()
    fact = MemberFact(member_id="Worker/9", fact=lifecycle.StartRequested())
    assert group.decide(state, fact, 0.0, RULES) == (state, ())


def test__stop_all__asks_every_member_at_once() -> None:
    state, effects = group.decide(started(3), StopAll(reason="cluster stop"), 1.0, RULES)
    assert [effect.process.pid for effect in effects if isinstance(effect, Terminate)] == [0, 1, 2]
    assert state.stopping
    assert not group.all_stopped(state)


def test__stop_all_by_force__kills() -> None:
    _, effects = group.decide(started(2), StopAll(reason="cluster stop", force=True), 1.0, RULES)
    assert len([effect for effect in effects if isinstance(effect, Kill)]) == 2


def test__stop_all__then_every_end__leaves_all_stopped_and_nothing_to_wait_for() -> None:
    state, _ = group.decide(started(2), StopAll(reason="cluster stop"), 1.0, RULES)
    for name in state.members:
        assert not group.all_stopped(state)
        exited = lifecycle.ProcessExited(incarnation=1, reason="exited with code 0")
        state, effects = group.decide(state, MemberFact(member_id=name, fact=exited), 2.0, RULES)
        assert not [effect for effect in effects if isinstance(effect, Spawn)]
    assert group.all_stopped(state)
    assert group.next_deadline(state) is None


def test__clock__moves_only_the_members_that_are_due() -> None:
    state = started(1)
    assert group.next_deadline(state) == 8.0
    assert group.decide(state, ClockAdvanced(), 7.0, RULES)[0] == state
    late = group.decide(state, ClockAdvanced(), 8.0, RULES)[0]
    assert late.members["Worker/1"].state is MemberState.STOPPING


def test__resume__of_a_dead_member_beside_a_live_one() -> None:
    state, effects = group.resume(started(2), {"Worker/1": True}, 5.0, RULES)
    assert state.members["Worker/1"].incarnation == 1
    assert state.members["Worker/2"].incarnation == 2
    assert [effect.member_id for effect in effects if isinstance(effect, Spawn)] == ["Worker/2"]
