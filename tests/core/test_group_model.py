"""An agent's members under any order of events, with supervisors that die at any point: what must hold after each step.

The model beside the machine is the world: which processes live, what is registered, whom a person stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.profiles import examples

from quaestor_actors.core import adoption, agent, group, member, rolling
from quaestor_actors.core.adoption import FoundProcess
from quaestor_actors.core.agent import Event, Group, MemberFact, Phase, Reconfigured, StartAll, StopAll
from quaestor_actors.core.member import LIVE, Effect, Health, Member, MemberState, Rules
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.core.restart import AutoShutdown, Backoff, Intensity, RestartType, Strategy

NAMES = group.member_names("W", 4)
names = st.sampled_from(NAMES)
PORT, ROUNDS = 5161, 60
WAITING = {*LIVE, MemberState.BACKING_OFF} - {MemberState.SERVING}
GOING = {MemberState.DRAINING, MemberState.STOPPING}
WITHOUT_PROCESS = set(MemberState) - LIVE

some_rules = st.builds(
    Rules,
    shutdown_deadline_s=st.sampled_from([0.0, 10.0]),
    drain_s=st.sampled_from([0.0, 3.0]),
    startup_retries=st.sampled_from([2, 5]),
    probed=st.sampled_from([True, True, False]),
    failure_threshold=st.sampled_from([1, 2]),
    restart=st.sampled_from([RestartType.PERMANENT, *RestartType]),
    backoff=st.just(Backoff(stable_s=20.0)),
    recycling_interval_s=st.sampled_from([0.0, 50.0]),
    recycling_bytes=st.sampled_from([0, 100]),
    strategy=st.sampled_from(Strategy),
    intensity=st.sampled_from([None, None, Intensity(limit=0, period_s=60), Intensity(limit=2, period_s=20)]),
    auto_shutdown=st.sampled_from([AutoShutdown.NEVER, *AutoShutdown]),
    essential=st.booleans(),
    start_concurrency=st.sampled_from([None, 1, 2]),
    max_unavailable=st.sampled_from([1, 2]),
)
gates = st.sampled_from([True, True, False])
fingerprints = st.lists(st.sampled_from(["f1", "f2"]), min_size=1, max_size=4)
specifications = fingerprints.map(lambda drawn: dict(zip(NAMES, drawn, strict=False)))


class GroupMachine(RuleBasedStateMachine):
    """The world around one agent supervisor, and the supervisor's machine in it."""

    @initialize(rules=some_rules, wanted=specifications, gate_open=gates, draw=st.floats(0, 1))
    def begin(self, rules: Rules, wanted: dict[str, str], gate_open: bool, draw: float) -> None:  # noqa: FBT001 - by name
        self.kept_by = rules
        self.draw = draw
        self.now = 100.0
        self.wanted = wanted
        self.gate_open = gate_open
        self.pids = 1000
        # Our processes by member, each with its incarnation; whose got a signal; who listens on a member's port.
        self.live: dict[str, tuple[int, ProcessId]] = {}
        self.asked: set[str] = set()
        self.strangers: dict[str, ProcessId] = {}
        self.unanswered: list[tuple[str, int]] = []
        self.registered: set[tuple[str, int]] = set()
        self.idle_watched: set[tuple[str, int]] = set()
        self.stopped_by_hand: set[str] = set()
        self.restarts: list[float] = []
        self.history: list[MemberFact] = []
        self.dies_after: int | None = None
        self.group = group.create(wanted)
        self.tell(StartAll(gate_open=gate_open))
        self.all_is_well_for_a_while()

    # The supervisor

    def tell(self, *events: Event) -> None:
        """Decide, write down, act; or die while acting."""
        before = self.group
        self.group, effects = group.decide(before, events, self.now, self.kept_by, self.draw)
        self.watch_step(before, self.group)
        after, self.dies_after = self.dies_after, None
        self.perform(effects[:after])
        if after is not None:
            self.take_over()

    def perform(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case member.Spawn():
                    assert effect.member_id not in self.live, "a second process while one lives"
                    assert effect.member_id not in self.stopped_by_hand, "started what a person stopped"
                    self.live[effect.member_id] = (effect.incarnation, self.new_process())
                    self.unanswered.append((effect.member_id, effect.incarnation))
                case member.Terminate() | member.Kill():
                    assert effect.process not in self.strangers.values(), "signalled somebody else's process"
                    if effect.member_id in self.live and self.live[effect.member_id][1] == effect.process:
                        self.asked.add(effect.member_id)
                case member.Register():
                    self.registered.add((effect.member_id, effect.incarnation))
                case member.Deregister():
                    self.registered.discard((effect.member_id, effect.incarnation))
                case member.WatchIdle():
                    self.idle_watched.add((effect.member_id, effect.incarnation))
                case member.StopProbe() | member.StartProbe():
                    pass

    def watch_step(self, before: Group, after: Group) -> None:
        """Count restarts, and who is away on purpose, as somebody would who sees the members only."""
        if self.group.phase is not before.phase and before.phase in {Phase.GAVE_UP, Phase.DONE}:
            self.restarts.clear()
        again = WAITING | {MemberState.PENDING}
        kept = [(name, old, after.members[name]) for name, old in before.members.items() if name in after.members]
        failed = [name for name, old, new in kept if new.failures > old.failures and new.state in again and new.wanted]
        alone = self.kept_by.strategy is Strategy.ONE_FOR_ONE
        counted = failed if alone else [name for name in failed if name not in before.held][:1]
        self.restarts += [self.now for _ in counted]
        going = [new for _, old, new in kept if old.state is MemberState.SERVING and new.state in GOING]
        well = [each for each in going if each.health in {None, Health.SERVING}]
        on_purpose = [each for each in well if each.reason.startswith((rolling.CHANGED, "recycled: "))]
        away = [n for n, m in after.members.items() if n in after.wanted and m.state in rolling.AWAY]
        assert not on_purpose or len(away) <= self.kept_by.max_unavailable

    def take_over(self) -> None:
        """Be replaced, as the agent's actor does it: settle doubts, resume, apply the configuration, announce."""
        found = [
            FoundProcess(member_id=name, incarnation=incarnation, port=PORT, process=process)
            for name, (incarnation, process) in self.live.items()
        ]
        self.unanswered.clear()
        self.idle_watched.clear()
        everybody = {process for _, process in self.live.values()} | set(self.strangers.values())
        alive = [name for name, each in self.group.members.items() if each.process in everybody]
        settled = adoption.settle(self.group, self.wanted, alive=alive, found=found, now=self.now, rules=self.kept_by)
        assert not settled.strays
        alive = [name for name, each in settled.group.members.items() if each.process in everybody]
        before = settled.group
        self.group, effects = group.resume(before, alive, self.now, self.kept_by, self.draw)
        self.watch_step(before, self.group)
        self.perform(effects)
        self.registered = {(n, m.incarnation) for n, m in self.group.members.items() if m.state is MemberState.SERVING}
        self.tell(Reconfigured(wanted=self.wanted), StartAll(fresh=False, gate_open=self.gate_open))

    def fact(self, name: str, fact: member.Fact) -> None:
        self.history.append(MemberFact(member_id=name, fact=fact))
        self.tell(self.history[-1])

    @rule(after=st.integers(0, 4))
    def supervisor_will_die_in_the_next_step(self, after: int) -> None:
        self.dies_after = after

    @rule(data=st.data())
    def supervisor_dies_and_processes_with_it(self, data: st.DataObject) -> None:
        for name in sorted(self.live):
            if data.draw(st.booleans(), label=f"{name} ends unseen"):
                self.ends(name)
        self.take_over()

    # The world

    def new_process(self) -> ProcessId:
        self.pids += 1
        return ProcessId(pid=self.pids, start_ticks=1)

    def ends(self, name: str) -> int:
        incarnation, _ = self.live.pop(name)
        self.asked.discard(name)
        self.unanswered = [(n, i) for n, i in self.unanswered if n != name]
        return incarnation

    def answer(self, name: str, incarnation: int, answer: str) -> None:
        self.unanswered.remove((name, incarnation))
        if name in self.strangers:
            del self.live[name]
            process = self.strangers[name] if self.strangers[name].pid % 2 else None
            self.fact(name, member.Found(incarnation=incarnation, process=process, port=PORT, holder="somebody"))
        elif answer == "failed":
            del self.live[name]
            self.fact(name, member.SpawnFailed(incarnation=incarnation, reason="no such file"))
        else:
            process = self.live[name][1]
            self.fact(name, member.Spawned(incarnation=incarnation, process=process, port=PORT))

    @rule()
    def all_is_well_for_a_while(self) -> None:
        for _ in range(3):
            self.let_the_world_be_well()

    @rule(name=names)
    def stranger_takes_the_port(self, name: str) -> None:
        if name not in self.live and name not in self.strangers:
            self.strangers[name] = self.new_process()

    @precondition(lambda self: self.unanswered)
    @rule(answer=st.sampled_from(["spawned", "failed"]))
    def spawn_answers(self, answer: str) -> None:
        self.answer(*self.unanswered[0], answer)

    @rule(data=st.data(), normal=st.booleans())
    def processes_end(self, data: st.DataObject, normal: bool) -> None:  # noqa: FBT001 - by name
        answered = sorted(set(self.live) - {name for name, _ in self.unanswered})
        ending = (
            data.draw(st.lists(st.sampled_from(answered), unique=True, min_size=1), label="ending") if answered else []
        )
        ends = {n: member.ProcessExited(incarnation=self.ends(n), reason="exited", normal=normal) for n in ending}
        told = [MemberFact(member_id=name, fact=fact) for name, fact in ends.items()]
        self.history += told
        self.tell(*told)

    @rule(name=names)
    def stranger_ends(self, name: str) -> None:
        process, user = self.strangers.pop(name, None), self.group.members.get(name)
        if process and user and user.process == process:
            self.fact(name, member.ProcessExited(incarnation=user.incarnation, reason="ended"))

    def checkable(self) -> list[Member]:
        up = [each for each in self.group.members.values() if each.process is not None or each.foreign]
        return up if self.kept_by.probed else []

    def check(self, each: Member, health: Health) -> None:
        fact = member.HealthReported(incarnation=each.incarnation, health=health, detail="checked")
        self.fact(each.member_id, fact)

    @rule(data=st.data(), health=st.sampled_from([Health.SERVING, Health.SERVING, *Health]))
    def verdict(self, data: st.DataObject, health: Health) -> None:
        if checkable := self.checkable():
            self.check(data.draw(st.sampled_from(checkable), label="checked"), health)

    @rule(name=names, age=st.integers(1, 2), health=st.sampled_from(Health))
    def late_verdict(self, name: str, age: int, health: Health) -> None:
        if each := self.group.members.get(name):
            before, dies = self.group, self.dies_after is not None
            late = member.HealthReported(incarnation=each.incarnation - age, health=health, detail="late")
            self.tell(MemberFact(member_id=name, fact=late))
            assert dies or self.group == before

    @precondition(lambda self: self.history)
    @rule(data=st.data())
    def fact_is_told_again(self, data: st.DataObject) -> None:
        self.tell(data.draw(st.sampled_from(self.history[-12:]), label="again"))

    def became_idle(self, name: str, incarnation: int) -> None:
        self.idle_watched.discard((name, incarnation))
        self.fact(name, member.BecameIdle(incarnation=incarnation, detail="no request"))

    @rule(data=st.data())
    def member_is_idle(self, data: st.DataObject) -> None:
        if self.idle_watched:
            self.became_idle(*data.draw(st.sampled_from(sorted(self.idle_watched)), label="idle"))

    @rule(name=names, resident_bytes=st.sampled_from([50, 150]))
    def memory(self, name: str, resident_bytes: int) -> None:
        if each := self.group.members.get(name):
            self.fact(name, member.MemoryMeasured(incarnation=each.incarnation, resident_bytes=resident_bytes))

    @rule(seconds=st.sampled_from([0.1, 1.0, 6.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.tell(agent.ClockAdvanced())

    @precondition(lambda self: self.asked)
    @rule()
    def who_was_asked_ends(self) -> None:
        for name in sorted(self.asked):
            if name in self.asked:
                self.fact(name, member.ProcessExited(incarnation=self.ends(name), reason="ended"))

    # People

    @rule(name=names, restart=st.booleans())
    def start_by_hand(self, name: str, restart: bool) -> None:  # noqa: FBT001 - by name
        if self.group.phase is not Phase.STOPPING:
            self.stopped_by_hand.discard(name)
        fact = MemberFact(member_id=name, fact=member.StartRequested(reason="by hand"))
        self.tell(agent.RestartMember(member_id=name, reason="by hand") if restart else fact)

    @rule(name=names, force=st.booleans())
    def stop_by_hand(self, name: str, force: bool) -> None:  # noqa: FBT001 - by name
        if name in self.group.members:
            self.stopped_by_hand.add(name)
        self.tell(MemberFact(member_id=name, fact=member.StopRequested(reason="by hand", force=force)))

    @rule(wanted=specifications)
    def reconfigure(self, wanted: dict[str, str]) -> None:
        # What comes back into the configuration starts with it.
        self.stopped_by_hand &= set(wanted) & set(self.wanted)
        self.wanted = wanted
        self.tell(Reconfigured(wanted=wanted))

    @rule()
    def gate_opens(self) -> None:
        self.gate_open = True
        self.tell(agent.GateOpened())

    @rule()
    def agent_starts_afresh(self) -> None:
        if self.group.phase is not Phase.STOPPING:
            self.stopped_by_hand.clear()
            self.restarts.clear()
        self.tell(agent.ReplaceAll(reason="afresh"))

    @rule(force=st.booleans())
    def agent_stops_and_starts(self, force: bool) -> None:  # noqa: FBT001 - by name
        self.tell(StopAll(reason="cluster stop", force=force))
        self.stopped_by_hand.clear()
        self.restarts.clear()
        self.tell(StartAll(gate_open=self.gate_open))

    # What must hold

    @invariant()
    def starting_stays_within_its_limit(self) -> None:
        starting = [each for each in self.group.members.values() if each.state is MemberState.STARTING]
        limit = self.kept_by.start_concurrency
        assert limit is None or not self.kept_by.probed or len(starting) <= limit

    @invariant()
    def exactly_the_serving_members_are_registered(self) -> None:
        serving = {(n, m.incarnation) for n, m in self.group.members.items() if m.state is MemberState.SERVING}
        assert self.registered == serving

    @invariant()
    def whatever_waits_has_a_wake_up(self) -> None:
        for name, each in self.group.members.items():
            assert each.state not in WAITING or each.deadline is not None
            if each.state is MemberState.PENDING and self.group.phase is Phase.RUNNING:
                ahead = [other for n, other in self.group.members.items() if n != name]
                assert any(other.deadline is not None for other in ahead), "it waits for nobody"
            assert each.state is not MemberState.PENDING or self.group.phase in {Phase.RUNNING, Phase.WAITING}

    @invariant()
    def a_member_at_rest_has_no_process_and_did_not_fail_by_being_stopped(self) -> None:
        for name, each in self.group.members.items():
            assert each.state not in WITHOUT_PROCESS or name not in self.live
            assert each.state is not MemberState.FAILED or name not in self.stopped_by_hand
        assert set(self.live) <= set(self.group.members)

    @invariant()
    def restarts_stay_within_the_intensity(self) -> None:
        intensity = self.kept_by.intensity
        if intensity is not None and self.group.phase in {Phase.RUNNING, Phase.WAITING}:
            assert sum(at > self.now - intensity.period_s for at in self.restarts) <= intensity.limit

    @invariant()
    def everything_has_a_reason(self) -> None:
        assert all(each.reason for each in self.group.members.values())
        assert self.group.reason or self.group.phase in {Phase.RUNNING, Phase.WAITING}

    # How it must end

    def let_the_world_be_well(self) -> None:
        """One round in which nothing fails: starts work, checks say serving, requests finish, who is asked ends."""
        for started in list(self.unanswered):
            if started in self.unanswered:
                self.answer(*started, "spawned")
        self.who_was_asked_ends()
        for each in self.checkable():
            self.check(each, Health.SERVING)
        for watched in sorted(self.idle_watched):
            self.became_idle(*watched)
        self.time_passes(seconds=2.0)

    def comes_to(self, is_there: Callable[[], bool]) -> bool:
        for _ in range(ROUNDS):
            if is_there():
                return True
            self.let_the_world_be_well()
        return False

    def is_settled(self) -> bool:
        if self.group.phase not in {Phase.RUNNING, Phase.WAITING}:
            return True
        settled = {MemberState.SERVING, MemberState.FAILED}
        if self.kept_by.restart is not RestartType.PERMANENT:
            settled.add(MemberState.STOPPED)
        known = {name: each for name, each in self.group.members.items() if name not in self.stopped_by_hand}
        if self.wanted.keys() != self.group.members.keys() or any(each.state not in settled for each in known.values()):
            return False
        # A member that failed for good is away, and may keep others from being replaced.
        is_whole = all(each.state is MemberState.SERVING for each in known.values())
        return not is_whole or all(each.foreign or each.fingerprint == self.wanted[n] for n, each in known.items())

    def teardown(self) -> None:
        """Left alone in a world without faults, a running agent serves; asked to stop, it comes to rest."""
        self.dies_after = None
        if not self.kept_by.probed:
            self.strangers.clear()
        self.gate_opens()
        assert self.comes_to(self.is_settled), self.group
        self.tell(StopAll(reason="cluster stop"))
        assert self.comes_to(lambda: group.all_stopped(self.group)), self.group
        assert not self.live
        assert group.next_deadline(self.group) is None


TestGroup = GroupMachine.TestCase
TestGroup.settings = settings(max_examples=examples(200), stateful_step_count=40)
