"""One agent in a hostile world: supervisors that die between any two steps and go on from what is in the state file.

The world is the model: it knows which processes live, who listens where and what was said of whom. What may be
discovered, signalled and started is judged by that, not by what the supervisor believes.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from support.agent_shell import Plan, verdict
from support.agent_world import AGENT, AgentWorld, Expected
from support.profiles import examples
from support.small_host import Fate, Leftover, Process

from quaestor_actors.core import agent, group, member
from quaestor_actors.core.agent import MemberFact, Phase, StopAll
from quaestor_actors.core.member import LIVE, UP, Health, MemberState, Rules
from quaestor_actors.core.restart import AutoShutdown, Backoff, Intensity, RestartType, Strategy

NAMES = group.member_names(AGENT, 4)
ROUNDS = 80
WAITING = {*LIVE, MemberState.BACKING_OFF} - UP
HOURS_S = 3 * 3600.0

names = st.sampled_from(NAMES)
some_rules = st.builds(
    Rules,
    shutdown_deadline_s=st.sampled_from([10.0, 0.0]),
    drain_s=st.sampled_from([0.0, 3.0]),
    startup_retries=st.sampled_from([5, 2]),
    probed=st.sampled_from([True, True, False]),
    failure_threshold=st.sampled_from([1, 2]),
    restart=st.sampled_from([RestartType.PERMANENT, *RestartType]),
    backoff=st.just(Backoff(stable_s=20.0)),
    recycling_interval_s=st.sampled_from([0.0, 50.0]),
    recycling_bytes=st.sampled_from([0, 100]),
    strategy=st.sampled_from(Strategy),
    intensity=st.sampled_from([None, Intensity(limit=2, period_s=20), Intensity(limit=0, period_s=60)]),
    auto_shutdown=st.sampled_from([AutoShutdown.NEVER, *AutoShutdown]),
    essential=st.booleans(),
    start_concurrency=st.sampled_from([None, 1, 2]),
    max_unavailable=st.sampled_from([1, 2]),
)
wanted = st.lists(st.sampled_from(["f1", "f2"]), min_size=1, max_size=4).map(
    lambda drawn: dict(zip(NAMES, drawn, strict=False))
)
plans = st.builds(Plan, wanted=wanted, rules=some_rules, fixed_ports=st.sampled_from([True, True, False]))
fates = st.builds(
    Fate,
    starts=st.sampled_from([True, True, True, False]),
    ends_at_once=st.sampled_from([False, False, True]),
    ignores_sigterm=st.booleans(),
    leftover=st.sampled_from([Leftover.NOTHING, *Leftover]),
)
seldom = st.sampled_from([False, False, False, True])


class AgentMachine(RuleBasedStateMachine):
    """What happens to the world, and what must hold after each of it."""

    world: AgentWorld

    @initialize(plan=plans, gate_open=st.sampled_from([True, True, False]), draw=st.floats(0, 1))
    def begin(self, plan: Plan, gate_open: bool, draw: float) -> None:  # noqa: FBT001 - by name
        self.world = AgentWorld(plan, gate_open=gate_open, draw=draw)
        self.old_texts: list[bytes] = []
        self.all_is_well_for_a_while()

    def process(self, data: st.DataObject) -> Process | None:
        running = self.world.host.main_processes(AGENT)
        return data.draw(st.sampled_from(running), label="process") if running else None

    # Supervisors

    @rule(steps=st.integers(0, 6), tears=st.booleans(), part=st.floats(0, 1))
    def supervisor_will_die(self, steps: int, tears: bool, part: float) -> None:  # noqa: FBT001 - by name
        self.world.dies_in, self.world.tears = steps, tears
        self.world.shell.notes.part = part

    @precondition(lambda self: not self.world.shell.ended)
    @rule(data=st.data(), meanwhile=st.booleans())
    def supervisor_dies(self, data: st.DataObject, meanwhile: bool) -> None:  # noqa: FBT001 - by name
        for each in self.world.host.main_processes(AGENT):
            if data.draw(st.booleans(), label="ends unseen"):
                self.world.host.end(each)
        if meanwhile:
            self.world.ends_during_adoption = self.process(data)
        self.world.take_over()

    @precondition(lambda self: not self.world.shell.ended)
    @rule(keeps=st.floats(0, 1), age=st.integers(0, 4), process_ends=st.booleans(), data=st.data())
    def supervisor_dies_and_notes_are_lost(
        self,
        keeps: float,
        age: int,
        process_ends: bool,  # noqa: FBT001 - by name
        data: st.DataObject,
    ) -> None:
        path = self.world.path
        if age and len(self.old_texts) >= age:
            path.write_bytes(self.old_texts[-age])
        elif path.exists():
            os.truncate(path, int(path.stat().st_size * keeps))
        if process_ends and (process := self.process(data)):
            self.world.host.end(process)
        self.world.take_over(is_lossy=True)

    @rule()
    def notes_are_copied(self) -> None:
        if self.world.path.exists():
            self.old_texts.append(self.world.path.read_bytes())

    @rule(part=st.floats(0, 1))
    def disk_fills_or_has_room_again(self, part: float) -> None:
        self.world.disk_is_full = not self.world.disk_is_full
        self.world.shell.notes.full = self.world.disk_is_full
        self.world.shell.notes.part = part

    @rule()
    def prober_is_replaced(self) -> None:
        self.world.shell.prober_is_ready()

    @rule()
    def registry_is_replaced(self) -> None:
        self.world.meet_registry()

    # Processes

    @rule(drawn=st.lists(fates, min_size=1, max_size=4))
    def processes_will_behave(self, drawn: list[Fate]) -> None:
        self.world.fates = drawn

    @rule(data=st.data(), told=st.booleans(), normal=st.booleans())
    def processes_end(self, data: st.DataObject, told: bool, normal: bool) -> None:  # noqa: FBT001 - by name
        running = self.world.host.main_processes(AGENT)
        if running:
            for each in data.draw(st.lists(st.sampled_from(running), unique=True, min_size=1), label="end"):
                self.world.host.end(each)
        if told:
            self.world.take_in_exits(normal=normal)

    @rule()
    def exits_are_told(self) -> None:
        self.world.take_in_exits()

    @rule(data=st.data(), way_back=st.booleans(), ends=st.booleans())
    def process_is_out_of_reach(self, data: st.DataObject, way_back: bool, ends: bool) -> None:  # noqa: FBT001 - by name
        if process := self.process(data):
            process.health = Health.UNREACHABLE
            self.verdicts_are_told()
            process.health = Health.SERVING if way_back else Health.TIMEOUT
            if ends and self.world.host.find(process.id):
                self.world.host.end(process)
                self.world.take_in_exits(normal=way_back)
            self.verdicts_are_told()

    @rule(data=st.data(), health=st.sampled_from([Health.SERVING, *Health]))
    def process_changes(self, data: st.DataObject, health: Health) -> None:
        if process := self.process(data):
            process.health = health
        self.verdicts_are_told()

    @rule()
    def who_was_asked_ends(self) -> None:
        for each in list(self.world.host.processes.values()):
            if each.killed or (each.asked and not each.fate.ignores_sigterm):
                self.world.host.end(each)
        self.world.take_in_exits()

    @rule(name=names, hidden=st.booleans(), health=st.sampled_from(Health))
    def stranger_takes_the_port(self, name: str, hidden: bool, health: Health) -> None:  # noqa: FBT001 - by name
        port = self.world.port_of(name)
        if self.world.host.holder(port) is None:
            stranger = self.world.host.start(port=port)
            stranger.hidden, stranger.health = hidden, health

    @rule()
    def strangers_and_leftovers_end(self) -> None:
        for each in [each for each in self.world.host.processes.values() if not each.is_main]:
            self.world.host.end(each)

    # News

    def verdicts_are_told(self) -> None:
        if prober := self.world.shell.prober:
            self.world.hear(prober.news(self.world.host))

    @rule(name=names, age=st.integers(0, 2), health=st.sampled_from(Health), twice=st.booleans())
    def verdict_is_a_lie_or_late(self, name: str, age: int, health: Health, twice: bool) -> None:  # noqa: FBT001
        each, prober = self.world.shell.group.members.get(name), self.world.shell.prober
        if each is None or prober is None or name not in prober.targets:
            return
        # Whoever is mistaken finds out sooner or later.
        prober.told.pop(name, None)
        self.world.hear([verdict(name, prober.targets[name][0] - age, health)] * (2 if twice else 1))

    @precondition(lambda self: self.world.gone)
    @rule(data=st.data())
    def verdict_of_one_that_is_gone(self, data: st.DataObject) -> None:
        name, incarnation = data.draw(st.sampled_from(sorted(self.world.gone)), label="gone")
        self.world.tell(verdict(name, incarnation, Health.SERVING))

    @precondition(lambda self: self.world.shell.prober and self.world.shell.prober.idle)
    @rule(data=st.data())
    def member_is_idle(self, data: st.DataObject) -> None:
        assert self.world.shell.prober is not None
        self.world.becomes_idle(*data.draw(st.sampled_from(sorted(self.world.shell.prober.idle)), label="idle"))

    @rule(name=names, resident_bytes=st.sampled_from([50, 150]))
    def memory_is_measured(self, name: str, resident_bytes: int) -> None:
        if each := self.world.shell.group.members.get(name):
            fact = member.MemoryMeasured(incarnation=each.incarnation, resident_bytes=resident_bytes)
            self.world.tell(MemberFact(member_id=name, fact=fact))

    # Time

    @rule(seconds=st.sampled_from([0.1, 1.0, 6.0, 40.0, HOURS_S]))
    def time_passes(self, seconds: float) -> None:
        self.world.time_passes(seconds)

    @rule(late_s=st.sampled_from([-0.01, 0.0, 0.0, 0.5]))
    def time_passes_to_the_next_deadline(self, late_s: float) -> None:
        at = self.world.next_deadline()
        if at is not None:
            self.world.now = max(self.world.now, at + late_s)
            self.world.time_passes(0.0)

    @rule(rounds=st.integers(1, 12))
    def all_is_well_for_longer(self, rounds: int) -> None:
        for _ in range(rounds):
            self.world.is_well_for_a_round()

    @rule()
    def all_is_well_for_a_while(self) -> None:
        for _ in range(3):
            self.world.is_well_for_a_round()

    # People

    @rule(name=names, restart=st.booleans())
    def start_by_hand(self, name: str, restart: bool) -> None:  # noqa: FBT001 - by name
        world = self.world
        world.intervene()
        fact = MemberFact(member_id=name, fact=member.StartRequested(reason="by hand"))
        event = agent.RestartMember(member_id=name, reason="by hand") if restart else fact
        if world.shell.group.phase is Phase.STOPPING:
            world.tell(event)
        else:
            world.act(lambda: world.shell.apply(event), lambda expected: expected.stopped.discard(name))

    @rule(chosen=st.lists(names, unique=True, min_size=1))
    def restart_rolling(self, chosen: list[str]) -> None:
        self.world.restart_rolling(chosen)

    @rule(name=names, drained=st.booleans())
    def drain_by_hand(self, name: str, drained: bool) -> None:  # noqa: FBT001 - by name
        self.world.drain(name, drained=drained)

    @rule(name=names, force=st.booleans())
    def stop_by_hand(self, name: str, force: bool) -> None:  # noqa: FBT001 - by name
        world = self.world
        stop = MemberFact(member_id=name, fact=member.StopRequested(reason="by hand", force=force))
        is_known = name in world.shell.group.members and not world.shell.ended
        world.act(lambda: world.shell.apply(stop), lambda expected: expected.stopped.update({name} if is_known else ()))

    @rule(plan=plans)
    def reconfigure(self, plan: Plan) -> None:
        if not self.world.shell.ended:
            self.world.configure(plan)

    @rule()
    def gate_opens(self) -> None:
        self.world.gate_open = True
        self.world.tell(agent.GateOpened())

    @rule()
    def agent_starts_afresh(self) -> None:
        world = self.world
        world.intervene()
        forgets = world.shell.group.phase is not Phase.STOPPING

        def learnt(expected: Expected) -> None:
            if forgets:
                expected.stopped.clear()

        world.act(lambda: world.shell.apply(agent.ReplaceAll(reason="afresh")), learnt)

    @rule(force=st.booleans(), sure=seldom)
    def agent_is_asked_to_stop(self, force: bool, sure: bool) -> None:  # noqa: FBT001 - by name
        if sure:
            self.world.tell(StopAll(reason="cluster stop", force=force))

    @rule(leaves_members=st.booleans())
    def cluster_ends_and_another_one_starts(self, leaves_members: bool) -> None:  # noqa: FBT001 - by name
        if leaves_members or self.world.shell.ended:
            self.world.take_over(fresh=True)

    # What must hold

    @invariant()
    def never_two_processes_and_none_out_of_sight(self) -> None:
        main = self.world.host.main_processes(AGENT)
        counts = Counter(each.tag[0] for each in main if each.tag)
        assert not counts or max(counts.values()) == 1
        if not self.world.shell.ended:
            watched = {process.id for process, *_ in self.world.shell.watched.values()}
            assert {each.id for each in main} <= watched, "nobody watches it"

    @invariant()
    def only_who_serves_can_be_discovered(self) -> None:
        discoverable, expected = self.world.discoverable(), self.world.expected
        assert discoverable <= expected.vouched, "nobody said that it serves"
        assert not {name for name, _ in discoverable} & expected.stopped, "it was stopped by hand"
        assert not {name for name, _ in discoverable} & expected.drained, "it was drained by hand"
        ports, exits = self.world.ports(), self.world.shell.exits()
        for name, _ in discoverable:
            is_known = self.world.host.holder(ports[name]) is None
            hidden = self.world.shell.group.members[name].foreign
            assert not is_known or name in exits or hidden, "it is known to have ended"

    @invariant()
    def whatever_waits_has_a_wake_up(self) -> None:
        shell = self.world.shell
        for name, each in shell.group.members.items():
            assert each.state not in WAITING or each.deadline is not None, each
            if each.state is MemberState.PENDING and shell.group.phase is Phase.RUNNING:
                others = [other for n, other in shell.group.members.items() if n != name]
                assert any(other.deadline is not None for other in others), "it waits for nobody"

    @invariant()
    def everything_has_a_reason(self) -> None:
        assert all(each.reason for each in self.world.shell.group.members.values())

    # How it must end

    def comes_to(self, is_there: Callable[[], bool]) -> bool:
        for _ in range(ROUNDS):
            if is_there():
                return True
            self.world.is_well_for_a_round()
        return False

    def is_settled(self) -> bool:
        world, group_ = self.world, self.world.shell.group
        if group_.phase not in {Phase.RUNNING, Phase.WAITING}:
            return True
        at_rest = {n for n, m in group_.members.items() if m.state in {MemberState.STOPPED, MemberState.FAILED}}
        at_rest |= {n for n, m in group_.members.items() if m.state is MemberState.DRAINED and n in world.plan.wanted}
        discoverable = {name for name, _ in world.discoverable()}
        if set(world.plan.wanted) - discoverable - at_rest or group_.rollout.is_active:
            return False
        outdated = [n for n in discoverable if not group_.members[n].foreign]
        is_whole = discoverable == set(world.plan.wanted)
        return not is_whole or all(group_.members[n].fingerprint == world.plan.wanted[n] for n in outdated)

    def teardown(self) -> None:
        """Left alone in a world without faults, a running agent serves; asked to stop, it comes to rest."""
        if not hasattr(self, "world"):
            return
        has_failed = sys.exc_info()[0] is not None
        world = self.world
        try:
            if not has_failed:
                self.settle()
        finally:
            world.close()

    def settle(self) -> None:
        world = self.world
        world.dies_in, world.fates = None, []
        world.disk_is_full = world.shell.notes.full = world.shell.notes.dies = False
        if world.shell.ended:
            world.take_over(fresh=True)
        self.strangers_and_leftovers_end()
        self.gate_opens()
        assert self.comes_to(self.is_settled), world.shell.group
        world.tell(StopAll(reason="cluster stop"))
        assert self.comes_to(lambda: world.shell.ended), world.shell.group
        assert not world.host.main_processes(AGENT)
        assert world.next_deadline() is None
        assert not world.registry.entries


TestAgent = AgentMachine.TestCase
TestAgent.settings = settings(max_examples=examples(80), stateful_step_count=40)
