"""Restarts, pauses, escalation and order, step by step as an independent prediction says."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from hypothesis import settings, target
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.agent_world import MEMORY_DISK
from support.profiles import examples
from support.restart_prediction import Life, Prediction

from quaestor_actors.adapters.state_file import StateFile
from quaestor_actors.core import group, member
from quaestor_actors.core.agent import ClockAdvanced, Event, MemberFact, Phase, Reconfigured, StartAll
from quaestor_actors.core.member import Effect, Health, MemberState, Rules
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.core.restart import Backoff, Intensity, Strategy

NAMES = group.member_names("W", 3)
WANTED = dict.fromkeys(NAMES, "f1")
PERIOD_S = 10.0
STABLE_S = 8.0

# All times are multiples of a quarter, and so are exact.
some_rules = st.builds(
    Rules,
    startup_deadline_s=st.just(1e9),
    shutdown_deadline_s=st.just(1e9),
    startup_retries=st.sampled_from([2, 4, 100]),
    backoff=st.just(Backoff(initial_s=0.5, factor=2.0, cap_s=4.0, jitter=0.0, stable_s=STABLE_S)),
    strategy=st.sampled_from(Strategy),
    intensity=st.sampled_from([None, *(Intensity(limit=limit, period_s=PERIOD_S) for limit in (0, 1, 3))]),
    essential=st.booleans(),
)
several = st.lists(st.sampled_from(NAMES), unique=True, min_size=1)


class RestartMachine(RuleBasedStateMachine):
    """Members that end, alone and together, and one prediction of everything that follows."""

    @initialize(rules=some_rules)
    def begin(self, rules: Rules) -> None:
        self.rules = rules
        self.now = 100.0
        self.fails = 0
        self.escalations = 0
        disk = MEMORY_DISK if MEMORY_DISK.is_dir() else None
        self.directory = Path(tempfile.mkdtemp(prefix="quaestor-model-", dir=disk))
        self.state_file = StateFile(self.directory / "W.json")
        self.predicted = Prediction(NAMES, rules)
        self.group = group.create(WANTED)
        self.tell(StartAll())
        self.serve(NAMES)

    # The supervisor

    def tell(self, *events: Event) -> None:
        pending = list(events)
        while pending:
            self.group, effects = group.decide(self.group, pending, self.now, self.rules, 0.5)
            pending = self.compare(effects)
        self.state_file.save(self.group)

    def compare(self, effects: Iterable[Effect]) -> list[Event]:
        """Hold what is done against the prediction, and answer."""
        asked = [each.member_id for each in effects if isinstance(each, member.Terminate)]
        assert asked == self.predicted.asked
        self.predicted.asked.clear()
        spawns = [each for each in effects if isinstance(each, member.Spawn)]
        assert [each.member_id for each in spawns] == self.predicted.due_starts(self.now)
        answers = [self.answer(each) for each in spawns]
        for each in spawns:
            self.predicted.started(each.member_id)
        failed = [each.member_id for each in answers if isinstance(each.fact, member.SpawnFailed)]
        self.predicted.ended(failed, self.now)
        return list(answers)

    def answer(self, spawn: member.Spawn) -> MemberFact:
        incarnation = spawn.incarnation
        if self.fails:
            self.fails -= 1
            return MemberFact(
                member_id=spawn.member_id, fact=member.SpawnFailed(incarnation=incarnation, reason="no such file")
            )
        process = ProcessId(pid=1000 * NAMES.index(spawn.member_id) + incarnation, start_ticks=1)
        return MemberFact(
            member_id=spawn.member_id, fact=member.Spawned(incarnation=incarnation, process=process, port=5161)
        )

    def tell_ends(self, names: list[str]) -> None:
        self.predicted.ended(names, self.now)
        members = self.group.members
        ends = {n: member.ProcessExited(incarnation=members[n].incarnation, reason="exited") for n in names}
        self.tell(*(MemberFact(member_id=name, fact=fact) for name, fact in ends.items()))

    # What happens

    @rule(names=several)
    def processes_end(self, names: list[str]) -> None:
        alive = self.predicted.alive(Life.UP, Life.STARTING, Life.ENDING)
        self.tell_ends([name for name in names if name in alive])

    @rule()
    def who_was_asked_ends(self) -> None:
        self.tell_ends(self.predicted.alive(Life.ENDING))

    @rule(names=several)
    def serve(self, names: list[str]) -> None:
        ready = [name for name in names if name in self.predicted.alive(Life.STARTING)]
        for name in ready:
            self.predicted.serves(name, self.now)
        told = {n: self.group.members[n].incarnation for n in ready}
        verdicts = [
            MemberFact(
                member_id=name,
                fact=member.HealthReported(incarnation=incarnation, health=Health.SERVING, detail="serves"),
            )
            for name, incarnation in told.items()
        ]
        self.tell(*verdicts)

    @rule(count=st.integers(1, 4))
    def starts_will_fail(self, count: int) -> None:
        self.fails = count

    @rule(name=st.sampled_from(NAMES))
    def start_by_hand(self, name: str) -> None:
        self.predicted.started_by_hand(name, self.now)
        self.tell(MemberFact(member_id=name, fact=member.StartRequested(reason="by hand")))

    @rule(names=several)
    def supervisor_dies_and_processes_with_it(self, names: list[str]) -> None:
        alive = self.predicted.alive(Life.UP, Life.STARTING, Life.ENDING)
        ended = [name for name in NAMES if name in alive and name in names]
        living = [name for name in alive if name not in ended]
        self.state_file = StateFile(self.directory / "W.json")
        self.group = replace(self.state_file.load(), wanted=WANTED)
        self.predicted.ended(ended, self.now)
        # Whoever had been asked to end is asked again, or is now.
        self.predicted.asked = self.predicted.alive(Life.ENDING)
        self.group, effects = group.resume(self.group, living, self.now, self.rules, 0.5)
        asked = sorted(each.member_id for each in effects if isinstance(each, member.Terminate))
        assert sorted({*asked}) == sorted(self.predicted.asked)
        self.predicted.asked = [each.member_id for each in effects if isinstance(each, member.Terminate)]
        answers = self.compare(effects)
        self.tell(*answers, Reconfigured(wanted=WANTED), StartAll(fresh=False))

    # Time

    @rule(seconds=st.sampled_from([0.25, 1.0, 2.0, 4.0, STABLE_S, 3600.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.tell(ClockAdvanced())

    @rule(early=st.booleans())
    def time_passes_to_the_end_of_a_pause(self, early: bool) -> None:  # noqa: FBT001 - by name
        due = self.predicted.next_due(self.now)
        if due is not None:
            self.now = max(self.now, due - 0.25 * early)
            self.tell(ClockAdvanced())

    @rule(early=st.booleans())
    def time_passes_to_the_end_of_the_window(self, early: bool) -> None:  # noqa: FBT001 - by name
        left = [at + PERIOD_S for at in self.predicted.window if at + PERIOD_S > self.now]
        if left:
            self.now = max(self.now, min(left) - 0.25 * early)
            self.tell(ClockAdvanced())

    @rule(name=st.sampled_from(NAMES), early=st.booleans())
    def process_ends_when_it_has_just_been_stable(self, name: str, early: bool) -> None:  # noqa: FBT001 - by name
        each = self.predicted.members[name]
        pauses = self.predicted.next_due(self.now)
        at = each.since + STABLE_S - 0.25 * early
        if each.life is Life.UP and at >= self.now and (pauses is None or pauses > at):
            # Its end is told before anybody has looked at the clock.
            self.now = at
            self.tell_ends([name])

    # What must hold

    @invariant()
    def gives_up_exactly_when_the_limit_is_passed(self) -> None:
        assert (self.group.phase is Phase.GAVE_UP) == self.predicted.given_up, self.group.reason

    @invariant()
    def members_are_where_they_were_predicted(self) -> None:
        failed = {name for name, each in self.group.members.items() if each.state is MemberState.FAILED}
        assert failed == set(self.predicted.alive(Life.FAILED))
        serving = {name for name, each in self.group.members.items() if each.state is MemberState.SERVING}
        assert serving == set(self.predicted.alive(Life.UP))

    @invariant()
    def pauses_are_what_was_predicted(self) -> None:
        pauses = {name: each.deadline for name, each in self.group.members.items() if each.state == "backing_off"}
        waiting = {name: each for name, each in self.predicted.members.items() if each.life is Life.WAITING}
        assert pauses == {name: each.due for name, each in waiting.items() if each.due > self.now}

    def teardown(self) -> None:
        if hasattr(self, "directory"):
            shutil.rmtree(self.directory)
            most = max(each.failures for each in self.predicted.members.values())
            target(float(most), label="failures in a row")


TestRestarts = RestartMachine.TestCase
TestRestarts.settings = settings(max_examples=examples(60), stateful_step_count=40)
