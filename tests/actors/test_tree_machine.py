"""The whole tree of real actors in a world where anything goes wrong at any moment."""

from __future__ import annotations

import shutil
import signal
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.profiles import examples
from support.simple_system import member_of
from support.simple_tree import FIRST_PORT, SimpleTree, agent, cluster

from quaestor_actors.actors.agent_messages import AgentChanged, Command
from quaestor_actors.actors.base import TreeActor
from quaestor_actors.actors.prober import HealthNews
from quaestor_actors.actors.registry_messages import Announce, Deregister, Register
from quaestor_actors.actors.view import TreeView
from quaestor_actors.core.group import member_names
from quaestor_actors.core.member import Health
from quaestor_actors.core.probe import ProbeKind, ProbeSpec
from quaestor_actors.core.restart import Backoff, Intensity, RestartType, Strategy
from quaestor_actors.core.spec import AgentSpec, ClusterSpec, Condition, RestartSpec, StopSpec
from quaestor_actors.testing.processes import FakeProcess

ACTORS = ["root", "registry", "balancer", "agent/Store", "agent/Worker", "agent/Worker/prober"]
WITHOUT_PROCESS = {"pending", "stopped", "backing_off", "failed"}
QUIET_S = 90.0
"""In a world without faults everything has come to rest by then: all back-offs, deadlines and windows are shorter."""

ALONE = RestartSpec(backoff=Backoff(cap_s=4.0))
TOGETHER = RestartSpec(
    backoff=Backoff(cap_s=4.0), strategy=Strategy.ONE_FOR_ALL, intensity=Intensity(limit=3, period_s=60.0)
)
STOP = StopSpec(drain_s=4.0, deadline_s=3.0)
STORE = agent("Store", count=1, first_port=6001, startup_deadline_s=5.0, restart=ALONE, stop=STOP)
WEB = agent(depends_on=(("Store", Condition.SERVING),), startup_deadline_s=5.0, restart=ALONE, stop=STOP)
JOB = agent(
    "Job",
    first_port=7001,
    probe=ProbeSpec(kind=ProbeKind.NONE),
    restart=replace(ALONE, type=RestartType.TRANSIENT),
    stop=STOP,
)


def _variant(*agents: AgentSpec) -> ClusterSpec:
    return cluster(*agents, heartbeat_interval_s=10.0, response_timeout_s=2.0)


VARIANTS = [
    _variant(STORE, WEB),
    _variant(STORE, replace(WEB, process_count=3, ports=(5001, 5002, 5003))),
    _variant(STORE, replace(WEB, arguments="--new")),
    _variant(STORE, replace(WEB, restart=TOGETHER)),
    _variant(replace(WEB, depends_on=(), probe=ProbeSpec(kind=ProbeKind.NONE))),
    _variant(STORE, replace(WEB, process_count=1, ports=(5001,)), JOB),
]


class TreeMachine(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 2**16), variant=st.sampled_from(range(len(VARIANTS))))
    def cluster_starts(self, seed: int, variant: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="quaestor-"))
        self.tree = SimpleTree(self.folder, VARIANTS[variant], seed=seed)
        self.stopped: set[str] = set()
        self.seen = 0
        self.half_way: int | None = None
        self.settle()

    def settle(self) -> None:
        """Let everything happen, or only the beginning of it: then the next step comes in between."""
        before = len(self.tree.spawned)
        if self.half_way is None:
            self.tree.settle()
        else:
            self.tree.world.look()
            for _ in range(self.half_way):
                self.tree.step()
        assert len(self.tree.spawned) - before < 20, "members are started again and again without a pause"

    @property
    def actors(self) -> dict[str, TreeActor]:
        return self.tree.actors

    def some_member(self, data: st.DataObject) -> FakeProcess | None:
        found = [process for each in self.tree.members.values() for process in each]
        return data.draw(st.sampled_from(found), label="member") if found else None

    # How far the actors get

    @rule(steps=st.integers(0, 12))
    def next_step_comes_in_between(self, steps: int) -> None:
        self.half_way = steps

    @rule()
    def all_comes_to_rest(self) -> None:
        self.half_way = None
        self.settle()

    # Processes

    @rule(data=st.data(), code=st.sampled_from([0, 3, None]))
    def member_ends(self, data: st.DataObject, code: int | None) -> None:
        if process := self.some_member(data):
            if code is None:
                self.tree.processes.crash(process)
            else:
                self.tree.processes.exit(process, code)
            self.settle()

    @rule(data=st.data())
    def member_hangs(self, data: st.DataObject) -> None:
        if process := self.some_member(data):
            self.tree.hang(process)
            self.settle()

    @rule(data=st.data())
    def member_goes_on(self, data: st.DataObject) -> None:
        if process := self.some_member(data):
            self.tree.go_on(process)
            self.settle()

    @rule(data=st.data(), health=st.sampled_from([Health.SERVING, Health.NOT_SERVING, Health.UNREACHABLE]))
    def member_says(self, data: st.DataObject, health: Health) -> None:
        if process := self.some_member(data):
            self.tree.world.healths[process.start_ticks] = health
            self.settle()

    @rule(data=st.data(), is_busy=st.booleans())
    def member_becomes_stubborn(self, data: st.DataObject, is_busy: bool) -> None:  # noqa: FBT001 - by name
        if process := self.some_member(data):
            process.ignores = {signal.SIGTERM}
            if is_busy:
                self.tree.world.busy.add(process.start_ticks)

    @rule(data=st.data(), leaves_group=st.booleans(), takes_port=st.booleans())
    def member_has_a_child(self, data: st.DataObject, leaves_group: bool, takes_port: bool) -> None:  # noqa: FBT001 - by name
        if process := self.some_member(data):
            self.tree.processes.fork(process, leaves_group=leaves_group, takes_port=takes_port)

    @rule(health=st.sampled_from([Health.SERVING, Health.NOT_SERVING, Health.UNREACHABLE]))
    def new_members_begin(self, health: Health) -> None:
        """Say how fast members start: those that are there stay as they are."""
        for process in self.tree.processes.alive:
            self.tree.world.healths.setdefault(process.start_ticks, self.tree.world.usual_health)
        self.tree.world.usual_health = health

    @rule(count=st.integers(1, 3))
    def starts_will_fail(self, count: int) -> None:
        self.tree.processes.spawn_faults = ["No such file or directory"] * count

    @rule(port=st.integers(FIRST_PORT, FIRST_PORT + 2), is_hidden=st.booleans())
    def stranger_takes_a_port(self, port: int, is_hidden: bool) -> None:  # noqa: FBT001 - by name
        if self.tree.processes.listener(port) is None:
            self.tree.processes.start("stranger", port=port).is_hidden = is_hidden

    @rule()
    def strangers_end(self) -> None:
        for process in self.strangers():
            self.tree.processes.exit(process)
        self.settle()

    @rule(data=st.data())
    def pid_is_used_again(self, data: st.DataObject) -> None:
        """A member ends without anybody to see it, and somebody else gets its pid."""
        process = self.some_member(data)
        name = process and f"agent/{member_of(process).rpartition('/')[0]}"
        if process and name in self.actors:
            self.tree.kill(name)
            self.tree.processes.exit(process)
            self.tree.processes.next_pid = process.pid
            self.tree.processes.start("stranger")
            self.settle()

    # Actors and what they say

    @rule(name=st.sampled_from(ACTORS))
    def actor_dies(self, name: str) -> None:
        if name in self.actors:
            self.tree.kill(name)
            self.settle()

    @rule(name=st.sampled_from(ACTORS), after=st.integers(0, 8))
    def actor_will_die_in_the_middle(self, name: str, after: int) -> None:
        self.tree.dies_after = (name, after)

    @rule(name=st.sampled_from(ACTORS))
    def actor_hangs_for_a_while(self, name: str) -> None:
        if name in self.actors:
            hung = self.tree.process_of_actor(name)
            self.tree.hang(hung)
            self.tree.pass_time(1.5)
            self.tree.go_on(hung)
            self.settle()

    @rule(kind=st.sampled_from([HealthNews, AgentChanged, Register, Deregister, Announce]))
    def message_comes_twice(self, kind: type) -> None:
        self.tree.fates[kind] = "doubled"

    @rule(kind=st.sampled_from([HealthNews, AgentChanged, Register, Deregister, Announce]), data=st.data())
    def last_word_of_a_dead_actor_comes_late(self, kind: type, data: st.DataObject) -> None:
        process = self.some_member(data)
        name = process and f"agent/{member_of(process).rpartition('/')[0]}"
        if process is None or name not in self.actors:
            return
        self.tree.fates[kind] = "held"
        self.tree.processes.exit(process, 1)
        self.settle()
        self.tree.fates.pop(kind, None)
        if name in self.actors:
            self.tree.kill(name)
        self.tree.settle()
        self.tree.release_held()
        self.settle()

    # People and time

    @rule(command=st.sampled_from(Command), who=st.sampled_from(["Worker", "Worker/1", "Worker/2", "Store", "Job/1"]))
    def operator(self, command: Command, who: str) -> None:
        if command is not Command.STOP:
            self.stopped = {name for name in self.stopped if not name.startswith(who)}
        self.look_for_starts()
        self.tree.command(command, who)
        self.half_way = None
        if command is Command.STOP and (view := self.view()) is not None:
            going = {"stopped", "stopping", "draining"}
            self.stopped |= {m.member for m in view.members if m.member.startswith(who) and m.state in going}

    @rule(variant=st.sampled_from(range(len(VARIANTS))))
    def configuration_changes(self, variant: int) -> None:
        spec = VARIANTS[variant]
        self.stopped &= _names(self.tree.spec) & _names(spec)
        self.tree.reload(spec)

    @rule(seconds=st.sampled_from([0.1, 1.0, 6.0, 20.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        self.half_way = None
        self.tree.pass_time(seconds)

    @rule(seconds=st.sampled_from([3.0, 100.0, 7200.0]))
    def machine_sleeps(self, seconds: float) -> None:
        self.tree.jump(seconds)

    # What must hold

    def view(self) -> TreeView | None:
        """Return what status says, if everything is at rest and every actor works."""
        if self.half_way is not None:
            return None
        view = self.tree.status()
        return view if all(each.state == "running" for each in view.actors) else None

    def strangers(self) -> list[FakeProcess]:
        actors = {id(self.tree.process_of_actor(name)) for name in self.actors}
        return [each for each in self.tree.processes.alive if not each.tag and id(each) not in actors]

    @invariant()
    def look_for_starts(self) -> None:
        """Nobody starts what a person has stopped. That no member has two processes is looked at when one starts."""
        started = {member_of(process) for process in self.tree.spawned[self.seen :]}
        self.seen = len(self.tree.spawned)
        assert not started & self.stopped, "started again, although stopped by hand"

    @invariant()
    def what_is_told_is_true(self) -> None:
        if (view := self.view()) is not None:
            self.status_says_what_is_there(view)
            self.only_what_serves_is_discoverable(view)

    def status_says_what_is_there(self, view: TreeView) -> None:
        shown = {each.member: each for each in view.members}
        for name, (process,) in self.tree.members.items():
            assert name in shown, f"{name} runs and is not shown"
            assert shown[name].pid == process.pid
        for each in view.members:
            assert each.reason
            assert (each.pid is None) or self.tree.processes.start_ticks(each.pid) is not None, each
            assert each.state not in WITHOUT_PROCESS or each.member not in self.tree.members, each

    def only_what_serves_is_discoverable(self, view: TreeView) -> None:
        expected = {each.port: each.incarnation for each in view.members if each.state == "serving"}
        told = {port: each.incarnation for port, each in self.tree.discoverable.items()}
        assert told == expected, (told, view.members)
        for port in told:
            process = self.tree.processes.listener(port)
            assert process is not None, f"nobody listens on {port}"
            if not self.is_unprobed(view, port) and not process.hangs:
                assert self.tree.world.health_of(process) is Health.SERVING

    def is_unprobed(self, view: TreeView, port: int) -> bool:
        owner = next(each for each in view.members if each.port == port).member.rpartition("/")[0]
        specs = {each.agent_type: each for each in self.tree.spec.agents}
        return owner not in specs or specs[owner].probe.kind is ProbeKind.NONE

    @invariant()
    def strangers_are_left_alone(self) -> None:
        for process in self.strangers():
            assert process.pid != process.group or not process.signals, process

    @invariant()
    def no_descriptor_is_forgotten(self) -> None:
        watched = {fd for each in self.actors.values() for fd in each._watched}
        assert self.tree.processes.open_descriptors <= watched

    # How it must end

    def teardown(self) -> None:
        if not hasattr(self, "tree"):
            return
        try:
            self.all_becomes_well()
            self.cluster_ends()
        finally:
            self.tree.close()
            shutil.rmtree(self.folder)

    def all_becomes_well(self) -> None:
        """Left alone in a world without faults, every member serves."""
        tree, world = self.tree, self.tree.world
        self.half_way, tree.dies_after, world.usual_health = None, None, Health.SERVING
        for faults in (tree.fates, world.healths, world.busy, tree.processes.spawn_faults):
            faults.clear()
        for process in tree.processes.alive:
            tree.go_on(process)
            process.ignores.clear()
        self.strangers_end()
        tree.pass_time(QUIET_S)
        self.look_for_starts()
        self.stopped.clear()
        tree.command(Command.START, *(each.agent_type for each in tree.spec.agents))
        tree.pass_time(QUIET_S)
        view = self.view()
        assert view is not None, "not all actors work"
        assert {each.member for each in view.members} == _names(tree.spec), view.members
        assert {each.state for each in view.members} <= {"serving", "failed"}, view.members
        self.only_what_serves_is_discoverable(view)

    def cluster_ends(self) -> None:
        self.tree.stop()
        self.tree.pass_time(60.0)
        assert self.tree.has_stopped
        assert not self.tree.members


def _names(spec: ClusterSpec) -> set[str]:
    return {name for each in spec.agents for name in member_names(each.agent_type, each.process_count)}


TestTree = TreeMachine.TestCase
TestTree.settings = settings(max_examples=examples(50), stateful_step_count=25)
