"""The life of one member: each fact in each state that matters, by name."""

from __future__ import annotations

import pytest

from quaestor_actors.core import lifecycle
from quaestor_actors.core.lifecycle import (
    DeadlinePassed,
    Deregister,
    Health,
    HealthReported,
    Kill,
    Member,
    MemberState,
    ProcessExited,
    ProcessId,
    Register,
    Rules,
    Spawn,
    Spawned,
    SpawnFailed,
    StartProbe,
    StartRequested,
    StopProbe,
    StopRequested,
    Terminate,
)
from quaestor_actors.core.restart import Backoff

RULES = Rules(
    startup_deadline_s=8.0,
    response_timeout_s=5.0,
    shutdown_deadline_s=45.0,
    startup_retries=3,
    backoff=Backoff(initial_s=0.5, factor=2.0, cap_s=4.0, stable_s=30.0),
)
NAME = "Worker/1"


class Story:
    """Tells a member facts, one after the other, and remembers what each caused."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules
        self.member = Member(member_id=NAME)
        self.now = 100.0
        self.effects: tuple[lifecycle.Effect, ...] = ()

    def tell(self, fact: lifecycle.Fact, *, after_s: float = 0.0) -> Story:
        self.now += after_s
        self.member, self.effects = lifecycle.decide(self.member, fact, self.now, self.rules)
        return self

    def spawned(self) -> Story:
        process = ProcessId(pid=1000 + self.member.incarnation, start_ticks=7)
        return self.tell(Spawned(incarnation=self.member.incarnation, process=process, port=5161))

    def health(self, health: Health, *, incarnation: int | None = None) -> Story:
        return self.tell(
            HealthReported(incarnation=incarnation or self.member.incarnation, health=health, detail=health.value)
        )

    def exited(self, *, after_s: float = 0.0) -> Story:
        fact = ProcessExited(incarnation=self.member.incarnation, reason="killed by SIGKILL")
        return self.tell(fact, after_s=after_s)

    def serving(self) -> Story:
        return self.tell(StartRequested()).spawned().health(Health.SERVING)


def test__start__pending__spawns_with_a_deadline() -> None:
    story = Story().tell(StartRequested())
    assert story.member.state is MemberState.STARTING
    assert story.member.deadline == 108.0
    assert story.effects == (Spawn(member_id=NAME, incarnation=1),)


def test__spawned__starting__is_probed_and_not_yet_registered() -> None:
    story = Story().tell(StartRequested()).spawned()
    assert story.member.state is MemberState.STARTING
    assert story.effects == (StartProbe(member_id=NAME, incarnation=1),)


def test__serving_verdict__starting__registers() -> None:
    story = Story().serving()
    assert story.member.state is MemberState.SERVING
    assert story.effects == (Register(member_id=NAME, incarnation=1, port=5161),)


def test__assume_healthy__spawned__serves_without_a_probe() -> None:
    rules = Rules(
        startup_deadline_s=8,
        response_timeout_s=5,
        shutdown_deadline_s=45,
        startup_retries=3,
        assume_healthy=True,
    )
    story = Story(rules).tell(StartRequested()).spawned()
    assert story.member.state is MemberState.SERVING
    assert story.effects == (Register(member_id=NAME, incarnation=1, port=5161),)


def test__exit__serving__is_withdrawn_and_replaced_at_once() -> None:
    story = Story().serving().exited(after_s=1)
    assert story.member.state is MemberState.STARTING
    assert story.member.restarts == 1
    assert story.member.reason == "restarted: killed by SIGKILL"
    assert story.effects == (
        Deregister(member_id=NAME, incarnation=1, port=5161),
        StopProbe(member_id=NAME, incarnation=1),
        Spawn(member_id=NAME, incarnation=2),
    )


def test__exit__of_an_older_incarnation__changes_nothing() -> None:
    story = Story().serving().exited().spawned()
    before = story.member
    story.tell(ProcessExited(incarnation=1, reason="late"))
    assert story.member == before
    assert story.effects == ()


def test__second_failure_in_a_row__backs_off_and_third_waits_longer() -> None:
    story = Story().serving().exited().spawned().health(Health.SERVING).exited()
    assert story.member.state is MemberState.BACKING_OFF
    assert story.member.deadline == pytest.approx(100.5)
    assert "failure 2 in a row, next try after 0.5 s" in story.member.reason
    story.tell(DeadlinePassed(), after_s=0.5)
    assert story.effects == (Spawn(member_id=NAME, incarnation=3),)
    story.spawned().health(Health.SERVING).exited()
    assert story.member.deadline == pytest.approx(story.now + 1.0)


def test__stable_period_of_serving__forgives_failures() -> None:
    story = Story().serving().exited().spawned().health(Health.SERVING)
    story.tell(DeadlinePassed(), after_s=30).exited(after_s=1)
    assert story.member.state is MemberState.STARTING
    assert story.member.failures == 1


def test__deadline__while_starting__stops_the_process_politely() -> None:
    story = Story().tell(StartRequested()).spawned().tell(DeadlinePassed(), after_s=8)
    assert story.member.state is MemberState.STOPPING
    assert Terminate(member_id=NAME, process=ProcessId(pid=1001, start_ticks=7)) in story.effects
    assert story.member.reason == "did not serve within 8 s"


def test__deadline__not_reached__changes_nothing() -> None:
    story = Story().tell(StartRequested()).spawned()
    before = story.member
    assert story.tell(DeadlinePassed(), after_s=7.9).member == before


def test__failed_starts__reach_the_limit__member_is_given_up_with_a_reason() -> None:
    story = Story().tell(StartRequested())
    for _ in range(RULES.startup_retries):
        story.tell(DeadlinePassed(), after_s=10)
        story.tell(SpawnFailed(incarnation=story.member.incarnation, reason="no such file"))
    assert story.member.state is MemberState.FAILED
    assert story.member.reason == "given up after 3 failed starts in a row; the last: no such file"
    assert story.member.deadline is None


def test__start_request__failed__starts_again_with_a_clean_slate() -> None:
    story = Story().tell(StartRequested())
    for _ in range(RULES.startup_retries):
        story.tell(DeadlinePassed(), after_s=10)
        story.tell(SpawnFailed(incarnation=story.member.incarnation, reason="no such file"))
    story.tell(StartRequested())
    assert story.member.state is MemberState.STARTING
    assert story.member.failed_starts == 0


@pytest.mark.parametrize("verdict", [Health.NOT_SERVING, Health.TIMEOUT])
def test__unhealthy__serving__is_stopped_and_replaced(verdict: Health) -> None:
    story = Story().serving().health(verdict)
    assert story.member.state is MemberState.STOPPING
    assert story.effects[0] == Deregister(member_id=NAME, incarnation=1, port=5161)
    assert isinstance(story.effects[-1], Terminate)
    story.exited(after_s=1)
    assert story.member.state is MemberState.STARTING
    assert story.member.reason == f"restarted: unhealthy: {verdict.value}; killed by SIGKILL"


def test__unreachable__serving__degrades_and_recovers() -> None:
    story = Story().serving().health(Health.UNREACHABLE)
    assert story.member.state is MemberState.DEGRADED
    assert story.effects == (Deregister(member_id=NAME, incarnation=1, port=5161),)
    story.health(Health.SERVING)
    assert story.member.state is MemberState.SERVING
    assert story.effects == (Register(member_id=NAME, incarnation=1, port=5161),)


def test__unreachable__for_the_response_timeout__is_stopped() -> None:
    story = Story().serving().health(Health.UNREACHABLE).tell(DeadlinePassed(), after_s=5)
    assert story.member.state is MemberState.STOPPING


def test__stop__serving__asks_politely_then_kills_at_the_deadline() -> None:
    story = Story().serving().tell(StopRequested())
    assert [type(effect) for effect in story.effects] == [Deregister, StopProbe, Terminate]
    story.tell(DeadlinePassed(), after_s=45)
    assert [type(effect) for effect in story.effects] == [Kill]
    story.exited()
    assert story.member.state is MemberState.STOPPED


@pytest.mark.parametrize("shutdown_deadline_s", [0.0, 45.0])
def test__stop__forced_or_without_grace__kills_at_once(shutdown_deadline_s: float) -> None:
    rules = Rules(
        startup_deadline_s=8, response_timeout_s=5, shutdown_deadline_s=shutdown_deadline_s, startup_retries=3
    )
    story = Story(rules).serving().tell(StopRequested(force=shutdown_deadline_s > 0))
    assert [type(effect) for effect in story.effects] == [Deregister, StopProbe, Kill]


def test__force__while_stopping__kills_at_once() -> None:
    story = Story().serving().tell(StopRequested()).tell(StopRequested(force=True))
    assert [type(effect) for effect in story.effects] == [Kill]


def test__stop__overtakes_the_spawn__process_is_ended_when_it_appears() -> None:
    story = Story().tell(StartRequested()).tell(StopRequested()).spawned()
    assert [type(effect) for effect in story.effects] == [Terminate]
    assert story.exited().member.state is MemberState.STOPPED


def test__stop__overtakes_a_failing_spawn__member_is_stopped() -> None:
    story = Story().tell(StartRequested()).tell(StopRequested())
    story.tell(SpawnFailed(incarnation=1, reason="no such file"))
    assert story.member.state is MemberState.STOPPED


def test__start__while_stopping__member_comes_back_after_its_end() -> None:
    story = Story().serving().tell(StopRequested()).tell(StartRequested()).exited()
    assert story.member.state is MemberState.STARTING


def test__stopped_member__late_facts__stays_stopped() -> None:
    story = Story().serving().tell(StopRequested()).exited()
    story.health(Health.SERVING).exited().tell(DeadlinePassed(), after_s=1000)
    assert story.member.state is MemberState.STOPPED
    assert story.effects == ()


def test__resume__serving_and_alive__keeps_serving_and_tells_again() -> None:
    member = Story().serving().member
    resumed, effects = lifecycle.resume(member, alive=True, now=200.0, rules=RULES)
    assert resumed == member
    assert effects == (
        StartProbe(member_id=NAME, incarnation=1),
        Register(member_id=NAME, incarnation=1, port=5161),
    )


def test__resume__serving_and_gone__is_replaced() -> None:
    member = Story().serving().member
    resumed, effects = lifecycle.resume(member, alive=False, now=200.0, rules=RULES)
    assert resumed.incarnation == 2
    assert isinstance(effects[-1], Spawn)
    assert resumed.reason == "restarted: its process ended while no supervisor watched it"


def test__resume__stopping_and_alive__is_asked_again() -> None:
    member = Story().serving().tell(StopRequested()).member
    _, effects = lifecycle.resume(member, alive=True, now=200.0, rules=RULES)
    assert isinstance(effects[-1], Terminate)


def test__resume__died_while_spawning__counts_as_a_failed_start() -> None:
    member = Story().tell(StartRequested()).member
    resumed, effects = lifecycle.resume(member, alive=False, now=200.0, rules=RULES)
    assert resumed.incarnation == 2
    assert resumed.failed_starts == 1
    assert isinstance(effects[-1], Spawn)


def test__resume__backing_off__keeps_its_wake_up() -> None:
    member = Story().serving().exited().spawned().exited().member
    assert member.state is MemberState.BACKING_OFF
    assert lifecycle.resume(member, alive=False, now=200.0, rules=RULES) == (member, ())


def test__backoff__many_failures__stays_at_the_cap() -> None:
    assert RULES.backoff.delay_s(10_000) == 4.0
