"""A member under any order of facts, on time, late, twice or never: what must hold after each step."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.profiles import examples

from quaestor_actors.core import lifecycle, member
from quaestor_actors.core.member import LIVE, Health, Member, MemberState, Rules
from quaestor_actors.core.process_id import ProcessId

RULES = Rules(shutdown_deadline_s=10, startup_retries=4, drain_s=3, failure_threshold=2)
AT_REST = {MemberState.PENDING, MemberState.STOPPED, MemberState.FAILED}


class MemberMachine(RuleBasedStateMachine):
    """The world around one member: processes by incarnation, what is registered, and a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.member = Member(member_id="Worker/1")
        self.now = 0.0
        self.live: set[int] = set()
        self.registered: set[int] = set()
        self.unanswered: list[int] = []

    def tell(self, fact: member.Fact) -> None:
        self.member, effects = lifecycle.decide(self.member, fact, self.now, RULES, 0.5)
        self.perform(effects)

    def perform(self, effects: tuple[member.Effect | member.Notice, ...]) -> None:
        for effect in effects:
            match effect:
                case member.Spawn():
                    assert not self.live, "a second process while one lives"
                    self.live.add(effect.incarnation)
                    self.unanswered.append(effect.incarnation)
                case member.Register():
                    self.registered.add(effect.incarnation)
                case member.Deregister():
                    self.registered.discard(effect.incarnation)
                case _:
                    pass

    @rule()
    def its_turn_comes(self) -> None:
        self.tell(member.Admitted(fingerprint="f1"))

    @rule()
    def replaced(self) -> None:
        self.tell(member.ReplaceRequested(reason="by hand"))

    @rule()
    def idle(self) -> None:
        self.tell(member.BecameIdle(incarnation=self.member.incarnation, detail="no request"))

    @rule()
    def start(self) -> None:
        self.tell(member.StartRequested())

    @rule(force=st.booleans())
    def stop(self, force: bool) -> None:  # noqa: FBT001 - hypothesis passes by name
        self.tell(member.StopRequested(force=force))

    @precondition(lambda self: self.unanswered)
    @rule(works=st.booleans())
    def spawn_answers(self, works: bool) -> None:  # noqa: FBT001 - hypothesis passes by name
        incarnation = self.unanswered.pop(0)
        if works:
            process = ProcessId(pid=1000 + incarnation, start_ticks=1)
            self.tell(member.Spawned(incarnation=incarnation, process=process, port=5161))
        else:
            self.live.discard(incarnation)
            self.tell(member.SpawnFailed(incarnation=incarnation, reason="no such file"))

    @precondition(lambda self: self.live and not self.unanswered)
    @rule()
    def process_ends(self) -> None:
        incarnation = self.live.pop()
        self.tell(member.ProcessExited(incarnation=incarnation, reason="exited with code 1"))

    @rule(age=st.integers(min_value=0, max_value=3), health=st.sampled_from(Health))
    def verdict(self, age: int, health: Health) -> None:
        fact = member.HealthReported(incarnation=self.member.incarnation - age, health=health, detail="checked")
        # A prober speaks of a process only after it was started.
        if not self.unanswered or age:
            self.tell(fact)

    @precondition(lambda self: self.member.incarnation > 1)
    @rule()
    def late_exit_of_an_older_process(self) -> None:
        before = self.member
        self.tell(member.ProcessExited(incarnation=self.member.incarnation - 1, reason="late"))
        assert self.member == before

    @rule(seconds=st.sampled_from([0.1, 1.0, 9.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.tell(member.DeadlinePassed())

    @precondition(lambda self: not self.unanswered)
    @rule()
    def supervisor_dies_and_is_replaced(self) -> None:
        alive = self.member.process is not None and self.member.incarnation in self.live
        self.member, effects = lifecycle.resume(self.member, alive=alive, now=self.now, rules=RULES, draw=0.5)
        self.perform(effects)

    @invariant()
    def never_two_processes(self) -> None:
        assert len(self.live) <= 1

    @invariant()
    def whatever_waits_has_a_wake_up(self) -> None:
        waiting = {*LIVE, MemberState.BACKING_OFF} - {MemberState.SERVING}
        assert (self.member.state not in waiting) or self.member.deadline is not None

    @invariant()
    def only_a_serving_member_is_registered(self) -> None:
        if self.member.state is MemberState.SERVING:
            assert self.registered == {self.member.incarnation}
        else:
            assert not self.registered

    @invariant()
    def a_stopped_member_has_no_process(self) -> None:
        if self.member.state in AT_REST:
            assert not self.live

    @invariant()
    def every_state_has_a_reason(self) -> None:
        assert self.member.reason

    def teardown(self) -> None:
        """Whatever happened before: asked to stop and left alone, the member comes to rest."""
        self.tell(member.StopRequested())
        while self.unanswered:
            self.spawn_answers(works=True)
        for _ in range(3):
            self.now += 1000
            self.tell(member.DeadlinePassed())
            if self.live:
                self.process_ends()
        assert self.member.state in AT_REST
        assert not self.live


TestMember = MemberMachine.TestCase
TestMember.settings = settings(max_examples=examples(200), stateful_step_count=40)
