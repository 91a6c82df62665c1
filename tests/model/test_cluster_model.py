"""A cluster of agents that need each other, under a root: order of start and stop, escalation, and the registry.

What the agents do among each other, and what follows from the ends of actors, is predicted here from what the root is
told; who may be discovered, from what is true.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.cluster_world import ActorProcess, ClusterWorld
from support.profiles import examples
from support.root_shell import REGISTRY, STOP_TRIES
from support.small_host import Fate

from quaestor_actors.core import cluster
from quaestor_actors.core.actor import ActorState, ClockAdvanced, StopTree
from quaestor_actors.core.agent import Phase
from quaestor_actors.core.group import member_names
from quaestor_actors.core.restart import AutoShutdown, Backoff, Intensity, RestartType, Strategy
from quaestor_actors.core.spec import AgentSpec, ClusterSpec, Condition, RestartSpec, StopSpec

TYPES = ("A", "B", "C")
ROUNDS = 120
PERIOD_S = 20.0

agent_settings = st.fixed_dictionaries(
    {
        "process_count": st.sampled_from([1, 2]),
        "essential": st.sampled_from([False, False, True]),
        "significant": st.booleans(),
        "startup_deadline_s": st.just(30.0),
        "stop": st.just(StopSpec(drain_s=0.0, deadline_s=5.0)),
        "restart": st.builds(
            RestartSpec,
            type=st.sampled_from([RestartType.PERMANENT, RestartType.PERMANENT, RestartType.TRANSIENT]),
            strategy=st.sampled_from(Strategy),
            intensity=st.sampled_from([Intensity(limit=0, period_s=60.0), Intensity(limit=2, period_s=60.0)]),
            backoff=st.just(Backoff(stable_s=10.0)),
            auto_shutdown=st.sampled_from([AutoShutdown.NEVER, *AutoShutdown]),
        ),
    }
)


@st.composite
def cluster_specs(draw: st.DrawFn) -> ClusterSpec:
    agents = []
    for number, name in enumerate(TYPES[: draw(st.integers(1, 3))]):
        needs = draw(st.lists(st.sampled_from(TYPES[:number]), unique=True)) if number else []
        depends_on = tuple((other, draw(st.sampled_from(Condition))) for other in needs)
        agents.append(AgentSpec(agent_type=name, depends_on=depends_on, **draw(agent_settings)))
    # In the file they may come in any order.
    order = draw(st.permutations(agents))
    return ClusterSpec(
        name="model",
        startup_retries=draw(st.sampled_from([2, 25])),
        strategy=draw(st.sampled_from(Strategy)),
        intensity=Intensity(limit=draw(st.sampled_from([0, 0, 1, 3])), period_s=PERIOD_S),
        auto_shutdown=draw(st.sampled_from([AutoShutdown.NEVER, *AutoShutdown])),
        agents=tuple(order),
    )


class ClusterMachine(RuleBasedStateMachine):
    """What happens to the cluster, and what must hold after each of it."""

    world: ClusterWorld

    @initialize(spec=cluster_specs())
    def begin(self, spec: ClusterSpec) -> None:
        self.world = ClusterWorld(spec)
        self.gave_up_at: list[float] = []
        self.phases: dict[str, Phase] = {}
        self.root_number = 1
        self.is_ending = False
        self.well()

    def some(self, data: st.DataObject, *, hung: bool = False) -> ActorProcess | None:
        living = self.world.living(hung=hung)
        return data.draw(st.sampled_from(living), label="actor") if living else None

    # What happens

    @rule(data=st.data())
    def an_actor_reads(self, data: st.DataObject) -> None:
        if actor := self.some(data):
            self.world.read(actor)

    @rule(data=st.data(), count=st.integers(1, 3))
    def messages_arrive(self, data: st.DataObject, count: int) -> None:
        for _ in range(count):
            lines = list(self.world.lines)
            if lines:
                self.deliver(data.draw(st.sampled_from(range(len(lines))), label="line"))

    def deliver(self, number: int) -> None:
        line = list(self.world.lines)[number]
        self.world.last = None
        self.world.deliver(line)
        self.compare()

    @rule(data=st.data(), says_so=st.booleans())
    def an_actor_dies(self, data: st.DataObject, says_so: bool) -> None:  # noqa: FBT001 - by name
        if actor := self.some(data):
            if says_so:
                self.world.says(actor, "crashed")
            self.world.dies(actor)

    @rule(data=st.data(), hung=st.booleans())
    def an_actor_hangs_or_goes_on(self, data: st.DataObject, hung: bool) -> None:  # noqa: FBT001 - by name
        if actor := self.some(data, hung=hung):
            actor.hangs = not hung

    @rule(data=st.data())
    def an_end_is_told(self, data: st.DataObject) -> None:
        if self.world.untold_ends:
            self.world.tell_end(data.draw(st.sampled_from(self.world.untold_ends), label="ended"))

    @rule()
    def root_dies(self) -> None:
        if not self.world.has_stopped:
            self.world.root_dies()

    @rule(data=st.data(), normal=st.booleans())
    def a_process_ends(self, data: st.DataObject, normal: bool) -> None:  # noqa: FBT001 - by name
        main = [each for each in self.world.host.processes.values() if each.is_main]
        if main:
            self.world.process_ends(data.draw(st.sampled_from(main), label="process"), normal=normal)

    @rule(data=st.data())
    def an_agent_hears_news(self, data: st.DataObject) -> None:
        if actor := self.some(data):
            self.world.news(actor)

    @rule(count=st.integers(1, 3))
    def starts_will_fail(self, count: int) -> None:
        self.world.fates = [Fate(starts=False)] * count

    @rule(seconds=st.sampled_from([0.25, 1.0, 5.0, 70.0, 10800.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.time_passes(seconds)

    @rule()
    def well(self) -> None:
        for _ in range(3):
            self.well_for_a_round()

    def well_for_a_round(self) -> None:
        """As the world's own, with each delivery looked at."""
        world = self.world
        for each in world.living():
            while each.lives and each.inbox:
                world.read(each)
        while world.lines:
            self.deliver(0)
        world.is_well_for_a_round()
        self.resynchronise()

    @rule(spec=cluster_specs())
    def reload(self, spec: ClusterSpec) -> None:
        if self.world.has_stopped or self.world.root.tree.stopping:
            return
        self.world.spec_was_changed = True
        self.world.spec = spec
        self.world.tell_root(spec)
        self.resynchronise()

    @rule(force=st.booleans(), sure=st.sampled_from([False, False, True]))
    def stop(self, force: bool, sure: bool) -> None:  # noqa: FBT001 - by name
        if sure:
            self.world.stop_wanted = True
            self.world.tell_root(StopTree(force=force))

    # What must follow

    def resynchronise(self) -> None:
        """Take over what happened without being looked at."""
        root = self.world.root
        self.root_number = root.incarnation
        self.gave_up_at = list(root.cluster.restarts)
        self.phases = {name: agent.report.phase for name, agent in root.cluster.agents.items()}
        self.is_ending = root.cluster.ending

    def compare(self) -> None:
        """Hold what the root did about an agent's news against what it should."""
        if self.world.root.incarnation != self.root_number:
            self.resynchronise()
            return
        if self.world.last is None or not isinstance(self.world.last[0], cluster.Reported):
            return
        event, effects = self.world.last
        assert isinstance(event, cluster.Reported)
        spec = self.world.root.spec
        agents = {agent.agent_type: agent for agent in spec.agents}
        if event.agent not in agents:
            assert not effects
            return
        before = self.phases.get(event.agent, Phase.WAITING)
        self.phases[event.agent] = event.report.phase
        afresh = [each.agent for each in effects if isinstance(each, cluster.StartAfresh)]
        ends = [each.failed for each in effects if isinstance(each, cluster.EndCluster)]
        expected_afresh, expected_ends = [], []
        if event.report.phase is not before and not self.is_ending:
            if event.report.phase is Phase.GAVE_UP:
                expected_afresh, expected_ends = self.after_giving_up(spec, agents[event.agent])
            elif event.report.phase is Phase.DONE and self.is_over(spec, agents[event.agent]):
                expected_ends = [False]
        assert afresh == expected_afresh
        assert ends == expected_ends
        self.is_ending = self.is_ending or bool(expected_ends)

    def after_giving_up(self, spec: ClusterSpec, agent: AgentSpec) -> tuple[list[str], list[bool]]:
        if agent.essential:
            return [], [True]
        now = self.world.now
        self.gave_up_at = [*(at for at in self.gave_up_at if now - at < PERIOD_S), now]
        if len(self.gave_up_at) > spec.intensity.limit:
            return [], []
        order = [each.agent_type for each in spec.agents]
        after = order[order.index(agent.agent_type) + 1 :]
        others = [name for name in order if name != agent.agent_type]
        mates = {Strategy.ONE_FOR_ONE: [], Strategy.ONE_FOR_ALL: others, Strategy.REST_FOR_ONE: after}
        return [agent.agent_type, *mates[spec.strategy]], []

    def is_over(self, spec: ClusterSpec, agent: AgentSpec) -> bool:
        significant = [each.agent_type for each in spec.agents if each.significant]
        if not agent.significant or spec.auto_shutdown is AutoShutdown.NEVER:
            return False
        all_done = all(self.phases.get(name) is Phase.DONE for name in significant)
        return spec.auto_shutdown is AutoShutdown.ANY_SIGNIFICANT or all_done

    # What must hold

    @invariant()
    def never_two_processes_of_a_member(self) -> None:
        tags = [each.tag[0] for each in self.world.host.processes.values() if each.tag is not None]
        assert len(tags) == len(set(tags))

    @invariant()
    def whatever_waits_has_a_wake_up(self) -> None:
        waiting = {ActorState.STARTING, ActorState.CRASHED, ActorState.BACKING_OFF, ActorState.STOPPING}
        for child in self.world.root.tree.children.values():
            assert child.state not in waiting or child.deadline is not None
            assert child.reason

    @invariant()
    def what_is_quiet_is_registered_rightly(self) -> None:
        registry = self.world.actors.get(REGISTRY)
        is_whole = all(self.world.is_running(name) for name in self.world.root.tree.children)
        hung = any(each.hangs for each in self.world.actors.values())
        if registry is None or registry.registry is None or not self.world.is_quiet() or not is_whole or hung:
            return
        held = {(e.owner, each.port) for each, e in registry.registry.entries.items()}
        true = set()
        for actor in self.world.living():
            if actor.shell is not None and actor.shell.prober is not None:
                true |= {(actor.name, port) for name, (_, port) in actor.shell.prober.targets.items()}
        assert held <= true, "discoverable, and nobody watches it"

    # How it must end

    def comes_to(self, is_there: Callable[[], bool]) -> bool:
        for _ in range(ROUNDS):
            if is_there():
                return True
            self.world.is_well_for_a_round()
        return False

    def is_settled(self) -> bool:
        """Return whether every agent that may run has all its members serving, and they can be discovered."""
        world = self.world
        if world.has_stopped or world.root.tree.stopping:
            return world.has_stopped
        if not world.is_quiet() or not all(world.is_running(name) for name in world.root.tree.children):
            return False
        registry = world.actors[REGISTRY].registry
        assert registry is not None
        discoverable = {each.port for each in registry.entries}
        owed: set[int] = set()
        for name, agent in world.root.cluster.agents.items():
            shell = world.actors[name].shell
            assert shell is not None
            if agent.report.phase is not shell.group.phase:
                return False
            if agent.report.phase is Phase.RUNNING and self.is_permanent(name):
                members = shell.group.members
                # What had done its work before its agent became permanent is started by hand.
                at_rest = {each for each in members if members[each].state == "failed" or members[each].completed}
                owed |= {world.port_of(each) for each in member_names(name, self.count(name)) if each not in at_rest}
        return owed <= discoverable

    def is_permanent(self, name: str) -> bool:
        return self.agent(name).restart.type is RestartType.PERMANENT

    def count(self, name: str) -> int:
        return self.agent(name).process_count

    def agent(self, name: str) -> AgentSpec:
        return next(agent for agent in self.world.root.spec.agents if agent.agent_type == name)

    def teardown(self) -> None:
        """Left alone, what can serve serves; asked to stop, everything stops and nothing is left."""
        if not hasattr(self, "world"):
            return
        has_failed = sys.exc_info()[0] is not None
        try:
            if not has_failed:
                self.settle()
        finally:
            self.world.close()

    def settle(self) -> None:
        world = self.world
        world.fates = []
        for each in world.living(hung=True):
            each.hangs = False
        assert self.comes_to(self.is_settled), (world.root.cluster, world.root.tree)
        world.tell_root(StopTree())
        world.stop_wanted = True
        assert self.comes_to(lambda: world.has_stopped), world.root.tree
        left = {each.tag[0].rpartition("/")[0] for each in world.host.processes.values() if each.tag and each.is_main}
        assert not {name for name in left - world.abandoned if world.stop_deaths[name] < STOP_TRIES}
        world.tell_root(ClockAdvanced())


TestCluster = ClusterMachine.TestCase
TestCluster.settings = settings(max_examples=examples(60), stateful_step_count=40)
