"""The life of one member: each fact in each state that matters, by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quaestor_actors.core import lifecycle
from quaestor_actors.core.member import (
    Admitted,
    DeadlinePassed,
    Deregister,
    Effect,
    Fact,
    Found,
    Health,
    HealthReported,
    Kill,
    Member,
    MemberState,
    Notice,
    ProcessExited,
    Register,
    ReplaceRequested,
    Rules,
    RulesChanged,
    Spawn,
    Spawned,
    SpawnFailed,
    StartProbe,
    StartRequested,
    StopProbe,
    StopRequested,
    Terminate,
)
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.core.restart import Backoff
from quaestor_actors.core.stopping import KILL_AGAIN_S

RULES = Rules(
    startup_deadline_s=8.0,
    response_timeout_s=5.0,
    shutdown_deadline_s=45.0,
    startup_retries=3,
    probe_interval_s=30.0,
    backoff=Backoff(initial_s=0.5, factor=2.0, cap_s=4.0, jitter=0.0, stable_s=30.0),
)
PATIENT = replace(RULES, failure_threshold=3)
NAME = "Worker/1"
HOLDER = "python (pid 77)"


class Story:
    """Tells a member facts, one after the other, admits it whenever it is pending, and remembers what each caused."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules
        self.member = Member(member_id=NAME)
        self.now = 100.0
        self.effects: tuple[Effect | Notice, ...] = ()

    def tell(self, fact: Fact, *, after_s: float = 0.0) -> Story:
        self.now += after_s
        self.effects = ()
        self.decide(fact)
        if self.member.state is MemberState.PENDING:
            self.decide(Admitted(fingerprint="f1"))
        return self

    def decide(self, fact: Fact) -> None:
        self.member, caused = lifecycle.decide(self.member, fact, self.now, self.rules, 0.5)
        self.effects += caused

    def started(self) -> Story:
        return self.tell(StartRequested())

    def process(self) -> ProcessId:
        return ProcessId(pid=1000 + self.member.incarnation, start_ticks=7)

    def spawned(self) -> Story:
        return self.tell(Spawned(incarnation=self.member.incarnation, process=self.process(), port=5161))

    def found(self, process: ProcessId | None = None) -> Story:
        self.started()
        return self.tell(Found(incarnation=self.member.incarnation, process=process, port=5161, holder=HOLDER))

    def health(self, health: Health, *, after_s: float = 0.0) -> Story:
        fact = HealthReported(incarnation=self.member.incarnation, health=health, detail=health.value)
        return self.tell(fact, after_s=after_s)

    def exited(self) -> Story:
        return self.tell(ProcessExited(incarnation=self.member.incarnation, reason="killed by SIGKILL"))

    def serving(self) -> Story:
        return self.started().spawned().health(Health.SERVING)

    def time(self, after_s: float) -> Story:
        return self.tell(DeadlinePassed(), after_s=after_s)

    @property
    def state(self) -> MemberState:
        return self.member.state

    @property
    def kinds(self) -> list[type[Effect | Notice]]:
        return [type(effect) for effect in self.effects]


# Starting


def test__start__stopped__waits_for_its_turn() -> None:
    member = Member(member_id=NAME, state=MemberState.STOPPED, wanted=False)
    pending, effects = lifecycle.decide(member, StartRequested(reason="by hand"), 1.0, RULES, 0.5)
    assert (pending.state, pending.reason, pending.wanted, effects) == (MemberState.PENDING, "by hand", True, ())


def test__admitted__pending__spawns_with_a_deadline() -> None:
    story = Story().started()
    assert story.state is MemberState.STARTING
    assert story.member.deadline == 108.0
    assert story.member.fingerprint == "f1"
    assert story.effects == (Spawn(member_id=NAME, incarnation=1),)


@pytest.mark.parametrize("state", sorted(set(MemberState) - {MemberState.PENDING}))
def test__admitted__not_pending__changes_nothing(state: MemberState) -> None:
    member = Member(member_id=NAME, state=state)
    assert lifecycle.decide(member, Admitted(), 1.0, RULES, 0.5) == (member, ())


def test__admitted__pending_and_not_wanted__changes_nothing() -> None:
    member = Member(member_id=NAME, wanted=False)
    assert lifecycle.decide(member, Admitted(), 1.0, RULES, 0.5) == (member, ())


def test__spawned__starting__is_probed_and_not_yet_registered() -> None:
    story = Story().started().spawned()
    assert story.state is MemberState.STARTING
    assert story.effects == (StartProbe(member_id=NAME, incarnation=1),)


def test__serving_verdict__starting__registers() -> None:
    story = Story().serving()
    assert story.state is MemberState.SERVING
    assert story.effects == (Register(member_id=NAME, incarnation=1, port=5161),)


def test__spawned__not_probed__serves_without_a_check() -> None:
    story = Story(replace(RULES, probed=False)).started().spawned()
    assert story.state is MemberState.SERVING
    assert story.effects == (Register(member_id=NAME, incarnation=1, port=5161),)


@pytest.mark.parametrize("story", [Story().started().spawned(), Story().serving().health(Health.UNREACHABLE)])
def test__rules_changed__up_and_no_longer_probed__serves(story: Story) -> None:
    story.rules = replace(RULES, probed=False)
    assert story.tell(RulesChanged()).state is MemberState.SERVING


def test__deadline__starting__stops_the_process_politely_and_names_the_last_check() -> None:
    story = Story().started().spawned().health(Health.NOT_SERVING)
    assert story.state is MemberState.STARTING
    assert story.time(8).state is MemberState.STOPPING
    assert Terminate(member_id=NAME, process=story.process()) in story.effects
    assert story.member.reason == "did not serve within 8 s; the last check: not_serving"


def test__deadline__not_reached__changes_nothing() -> None:
    story = Story().started().spawned()
    before = story.member
    assert story.time(7.9).member == before


def test__start__while_it_runs__changes_nothing() -> None:
    story = Story().serving()
    before = story.member
    assert story.started().member == before
    assert story.effects == ()


# Health


@pytest.mark.parametrize("verdict", [Health.NOT_SERVING, Health.TIMEOUT])
def test__unhealthy__serving__is_stopped_and_replaced(verdict: Health) -> None:
    story = Story().serving().health(verdict)
    assert story.state is MemberState.STOPPING
    assert story.kinds == [Deregister, StopProbe, Terminate]
    assert story.exited().state is MemberState.STARTING
    assert story.member.reason == f"restarted: unhealthy: {verdict.value}; killed by SIGKILL"


def test__unreachable__serving__degrades_and_recovers() -> None:
    story = Story().serving().health(Health.UNREACHABLE)
    assert story.state is MemberState.DEGRADED
    assert story.kinds == [Deregister]
    assert story.health(Health.SERVING).state is MemberState.SERVING
    assert story.effects == (Register(member_id=NAME, incarnation=1, port=5161),)


def test__unreachable__for_the_response_timeout__is_stopped() -> None:
    story = Story().serving().health(Health.UNREACHABLE)
    assert story.health(Health.UNREACHABLE, after_s=4.9).state is MemberState.DEGRADED
    story.time(0.1)
    assert story.state is MemberState.STOPPING
    assert story.member.reason == "unhealthy: unreachable"


@pytest.mark.parametrize("verdict", [Health.NOT_SERVING, Health.TIMEOUT])
def test__failure_threshold__consecutive_verdicts__the_last_one_stops(verdict: Health) -> None:
    story = Story(PATIENT).serving()
    for failed in (1, 2):
        assert story.health(verdict).health(verdict).state is MemberState.DEGRADED
        assert story.member.failed_checks == failed
        story.time(PATIENT.probe_interval_s)
    story.health(verdict)
    assert story.state is MemberState.STOPPING
    assert story.member.reason == f"unhealthy 3 times in a row: {verdict.value}"


def test__failure_threshold__below_it__is_not_discoverable_and_checked_again() -> None:
    story = Story(PATIENT).serving().health(Health.NOT_SERVING)
    assert story.effects == (Deregister(member_id=NAME, incarnation=1, port=5161),)
    story.time(PATIENT.probe_interval_s)
    assert story.kinds == [StopProbe, StartProbe]
    assert (story.state, story.member.failed_checks) == (MemberState.DEGRADED, 1)


def test__failure_threshold__serving_in_between__clears_the_count() -> None:
    story = Story(PATIENT).serving()
    for verdict in (Health.NOT_SERVING, Health.TIMEOUT, Health.SERVING, Health.NOT_SERVING, Health.TIMEOUT):
        story.health(verdict).time(PATIENT.probe_interval_s)
    assert (story.state, story.member.failed_checks) == (MemberState.DEGRADED, 2)


def test__failure_threshold__unreachable__is_judged_at_the_deadline() -> None:
    story = Story(PATIENT).serving()
    for failed in (1, 2):
        story.health(Health.UNREACHABLE).health(Health.UNREACHABLE, after_s=1)
        assert story.member.failed_checks == failed - 1
        story.time(4)
        assert (story.state, story.member.failed_checks) == (MemberState.DEGRADED, failed)
        assert story.kinds == [StopProbe, StartProbe]
    assert story.health(Health.UNREACHABLE).time(5).state is MemberState.STOPPING


# Stopping


def test__stop__serving__asks_politely_then_kills_at_the_deadline_and_again() -> None:
    story = Story().serving().tell(StopRequested())
    assert story.kinds == [Deregister, StopProbe, Terminate]
    assert story.time(45).kinds == [Kill]
    assert story.time(KILL_AGAIN_S).kinds == [Kill]
    assert story.exited().state is MemberState.STOPPED
    assert story.member.reason == "stop requested; killed by SIGKILL"


@pytest.mark.parametrize("shutdown_deadline_s", [0.0, 45.0])
def test__stop__forced_or_without_grace__kills_at_once(shutdown_deadline_s: float) -> None:
    story = Story(replace(RULES, shutdown_deadline_s=shutdown_deadline_s)).serving()
    story.tell(StopRequested(force=shutdown_deadline_s > 0))
    assert story.kinds == [Deregister, StopProbe, Kill]


def test__force__while_stopping__kills_at_once() -> None:
    story = Story().serving().tell(StopRequested()).tell(StopRequested(force=True))
    assert story.kinds == [Kill]


@pytest.mark.parametrize("force", [False, True])
def test__stop__overtakes_the_spawn__process_is_ended_when_it_appears(force: bool) -> None:  # noqa: FBT001 - by name
    story = Story().started().tell(StopRequested(force=force)).spawned()
    assert story.kinds == [Kill if force else Terminate]
    assert story.exited().state is MemberState.STOPPED


def test__stop__overtakes_a_failing_spawn__member_is_stopped_and_says_why() -> None:
    story = Story().started().tell(StopRequested(reason="by hand"))
    story.tell(SpawnFailed(incarnation=1, reason="no such file"))
    assert (story.state, story.member.reason) == (MemberState.STOPPED, "by hand; no such file")


def test__start__while_stopping__member_comes_back_after_its_end() -> None:
    story = Story().serving().tell(StopRequested()).started().exited()
    assert (story.state, story.member.failures) == (MemberState.STARTING, 0)


def test__start__while_stopping__the_new_process_has_the_newer_reason() -> None:
    story = Story().serving().tell(StopRequested(reason="stopped by hand")).tell(StartRequested(reason="by hand again"))
    assert "by hand again" in story.exited().member.reason


def test__stop__backing_off_or_pending__rests_at_once() -> None:
    story = Story().serving().exited().spawned().exited().tell(StopRequested())
    assert (story.state, story.member.deadline, story.effects) == (MemberState.STOPPED, None, ())


def test__stop__because_the_agent_gave_up__ends_failed() -> None:
    story = Story().serving()
    story.tell(StopRequested(reason="agent given up: why", afterwards=MemberState.FAILED)).exited()
    assert story.state is MemberState.FAILED
    assert story.member.reason.startswith("agent given up: why")


def test__stopped_member__late_facts__stays_stopped() -> None:
    story = Story().serving().tell(StopRequested()).exited()
    story.health(Health.SERVING).exited().time(1000)
    assert (story.state, story.effects) == (MemberState.STOPPED, ())


def test__replace__serving__ends_in_order_and_starts_without_a_failure() -> None:
    story = Story().serving().tell(ReplaceRequested(reason="its configuration changed"))
    assert story.kinds == [Deregister, StopProbe, Terminate]
    story.exited()
    assert (story.state, story.member.failures) == (MemberState.STARTING, 0)
    assert story.member.reason == "its configuration changed"


@pytest.mark.parametrize("ended", [MemberState.STOPPED, MemberState.FAILED, MemberState.BACKING_OFF])
def test__replace__without_a_process__changes_nothing(ended: MemberState) -> None:
    member = Member(member_id=NAME, state=ended)
    assert lifecycle.decide(member, ReplaceRequested(reason="x"), 1.0, RULES, 0.5) == (member, ())


# Somebody else's process


def test__found__starting__is_checked_before_it_is_used() -> None:
    story = Story().found()
    assert (story.state, story.kinds) == (MemberState.STARTING, [StartProbe])
    assert story.member.foreign


def test__found__serves__is_taken_over() -> None:
    story = Story().found().health(Health.SERVING)
    assert (story.state, story.kinds) == (MemberState.SERVING, [Register])
    assert story.member.reason == f"port 5161 is taken by {HOLDER}; it serves, and is taken over"


@pytest.mark.parametrize("verdict", [Health.NOT_SERVING, Health.TIMEOUT, Health.UNREACHABLE])
def test__found__does_not_serve__names_the_holder(verdict: Health) -> None:
    story = Story(replace(RULES, startup_retries=1)).found().health(verdict)
    assert story.state is MemberState.FAILED
    assert f"port 5161 is taken by {HOLDER}, which does not serve: {verdict.value}" in story.member.reason


def test__found__never_answers__names_the_holder_at_the_deadline() -> None:
    story = Story(replace(RULES, startup_retries=1)).found().time(8)
    assert f"port 5161 is taken by {HOLDER}, which did not serve within 8 s" in story.member.reason


def test__found__not_probed__is_an_error_that_names_the_holder() -> None:
    story = Story(replace(RULES, probed=False, startup_retries=1)).found()
    assert story.state is MemberState.FAILED
    assert story.member.reason.endswith(f"port 5161 is taken by {HOLDER}")


FOREIGN = ProcessId(pid=77, start_ticks=1)


@pytest.mark.parametrize("process", [FOREIGN, None])
@pytest.mark.parametrize(
    "fact",
    [
        StopRequested(),
        StopRequested(force=True),
        ReplaceRequested(reason="by hand"),
        HealthReported(incarnation=1, health=Health.TIMEOUT, detail="hangs"),
    ],
)
def test__foreign__whatever_ends_it__is_never_signalled(process: ProcessId | None, fact: Fact) -> None:
    story = Story(replace(RULES, drain_s=10)).found(process).health(Health.SERVING).tell(fact)
    assert not {Terminate, Kill} & set(story.kinds)
    assert story.kinds[:2] == [Deregister, StopProbe]
    assert not story.member.foreign


def test__foreign__stopped__its_process_goes_on_and_the_reason_says_so() -> None:
    story = Story().found(FOREIGN).health(Health.SERVING).tell(StopRequested(reason="by hand"))
    assert story.state is MemberState.STOPPED
    assert story.member.reason == "by hand; its process is not this cluster's and goes on"


def test__foreign__its_process_ends__is_replaced_by_our_own() -> None:
    story = Story().found(FOREIGN).health(Health.SERVING).exited()
    assert story.effects[-1] == Spawn(member_id=NAME, incarnation=2)


def test__foreign__while_stopping__is_let_go() -> None:
    story = Story().started().tell(StopRequested())
    story.tell(Found(incarnation=1, process=FOREIGN, port=5161, holder=HOLDER))
    assert (story.state, story.member.process) == (MemberState.STOPPED, None)
