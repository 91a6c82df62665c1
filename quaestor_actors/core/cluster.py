"""The agents of a cluster among each other: who waits for whom, who starts afresh with whom, when the cluster ends.

The root's own machine for the agents' actors is `core.tree`; this one is about what the agents keep.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, assert_never

from quaestor_actors.core.agent import Group, Phase
from quaestor_actors.core.member import MemberState
from quaestor_actors.core.restart import AutoShutdown, Intensity, Strategy
from quaestor_actors.core.rolling import outdated
from quaestor_actors.core.spec import ActorSpec, AgentSpec, ClusterSpec, Condition
from quaestor_actors.core.user_actor import actors_here


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReport:
    """What an agent says of itself."""

    phase: Phase = Phase.WAITING
    reason: str = ""
    reached: frozenset[Condition] = frozenset()
    """What its members, taken together, have reached."""
    to_replace: tuple[str, ...] = ()
    """Members that are still to be replaced, by a rolling restart or because their configuration changed."""
    aborted: str = ""
    """Why the last rolling restart did not come to its end."""
    rolling_restarts: int = 0
    """How many there have been."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """What the root knows of one agent."""

    depends_on: tuple[tuple[str, Condition], ...] = ()
    essential: bool = False
    significant: bool = False
    report: AgentReport = field(default_factory=AgentReport)
    open: bool = False
    """Its gate: whether everything that it depends on has been reached once."""
    noun: str = "agent"
    """What people call it: an actor of the user's is like an agent whose only member it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """All agents by type, in the order of the specification, then actors of users by name."""

    agents: Mapping[str, Agent] = field(default_factory=lambda: MappingProxyType({}))
    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: Intensity = field(default_factory=lambda: Intensity(limit=0, period_s=60.0))
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    restarts: tuple[float, ...] = ()
    ending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """An agent says what has become of it."""

    agent: str
    report: AgentReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconfigured:
    """The cluster has another specification."""

    spec: ClusterSpec


Event = Reported | Reconfigured


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGate:
    """Let the members of an agent start."""

    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAfresh:
    """Have an agent replace, or start, all of its members."""

    agent: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCluster:
    """Stop everything, in order."""

    reason: str
    failed: bool
    """True: the exit code is to say so."""


Effect = OpenGate | StartAfresh | EndCluster
Step = tuple[Cluster, tuple[Effect, ...]]


def create(spec: ClusterSpec) -> Cluster:
    """Return a cluster whose agents have not said anything yet."""
    return _configured(Cluster(), spec)


def _configured(cluster: Cluster, spec: ClusterSpec) -> Cluster:
    agents = {agent.agent_type: _agent(agent, cluster.agents.get(agent.agent_type)) for agent in spec.agents}
    actors = {name: _actor(actor, cluster.agents.get(name)) for name, actor in actors_here(spec).items()}
    return replace(
        cluster,
        agents=MappingProxyType({**agents, **actors}),
        strategy=spec.strategy,
        intensity=spec.intensity,
        auto_shutdown=spec.auto_shutdown,
    )


def _agent(spec: AgentSpec, known: Agent | None) -> Agent:
    agent = known or Agent(open=not spec.depends_on)
    return replace(agent, depends_on=spec.depends_on, essential=spec.essential, significant=spec.significant)


def _actor(spec: ActorSpec, known: Agent | None) -> Agent:
    return replace(known or Agent(), open=True, noun="actor", essential=spec.essential)


def report_of(group: Group) -> AgentReport:
    """Return what the root has to know of a group of members."""
    if group.phase is Phase.WAITING:
        # Whatever is there is left over from before, and what is configured may not even be known yet.
        return AgentReport(phase=group.phase, reason=group.reason, **_replacing(group))
    wanted = [member for name, member in group.members.items() if name in group.wanted]
    reached = {
        Condition.STARTED: all(m.process is not None or m.foreign for m in wanted),
        Condition.SERVING: all(m.state is MemberState.SERVING for m in wanted),
        Condition.COMPLETED: all(m.completed for m in wanted),
    }
    met = frozenset(condition for condition, is_met in reached.items() if is_met)
    return AgentReport(phase=group.phase, reason=group.reason, reached=met, **_replacing(group))


def _replacing(group: Group) -> dict[str, Any]:
    to_replace = {*group.rollout.left, *group.rollout.under_way, *outdated(group.members, group.wanted)}
    names = tuple(name for name in group.members if name in to_replace)
    return {"to_replace": names, "aborted": group.rollout.aborted, "rolling_restarts": group.rollout.number}


def decide(cluster: Cluster, event: Event, now: float) -> Step:
    """Return the cluster after the event and what must be done because of it, in order."""
    match event:
        case Reconfigured():
            return _open_gates(_configured(cluster, event.spec))
        case Reported():
            before = cluster.agents.get(event.agent)
            if before is None:
                return cluster, ()
            cluster = _put(cluster, event.agent, replace(before, report=event.report))
            cluster, effects = _phase_changed(cluster, event.agent, before.report.phase, now)
            cluster, opened = _open_gates(cluster)
            return cluster, (*effects, *opened)
        case _:
            assert_never(event)


def _put(cluster: Cluster, name: str, agent: Agent) -> Cluster:
    return replace(cluster, agents=MappingProxyType({**cluster.agents, name: agent}))


def _phase_changed(cluster: Cluster, name: str, before: Phase, now: float) -> Step:
    agent = cluster.agents[name]
    if agent.report.phase is before or cluster.ending:
        return cluster, ()
    match agent.report.phase:
        case Phase.GAVE_UP:
            return _gave_up(cluster, name, agent, now)
        case Phase.DONE:
            return _done(cluster, name, agent)
        case _:
            return cluster, ()


def _gave_up(cluster: Cluster, name: str, agent: Agent, now: float) -> Step:
    if agent.essential:
        why = f"the essential {agent.noun} {name} {_given_up(agent)}: {agent.report.reason}"
        return replace(cluster, ending=True), (EndCluster(reason=why, failed=True),)
    recent = (*cluster.intensity.recent(cluster.restarts, now), now)
    cluster = replace(cluster, restarts=recent)
    if len(recent) > cluster.intensity.limit:
        return cluster, ()
    reason = f"{agent.noun} {name} {_given_up(agent)} and is started afresh: {agent.report.reason}"
    companions = _companions(cluster, name)
    return cluster, tuple(StartAfresh(agent=other, reason=reason) for other in (name, *companions))


def _given_up(agent: Agent) -> str:
    return "gave up" if agent.noun == "agent" else "was given up"


def _companions(cluster: Cluster, name: str) -> list[str]:
    order = list(cluster.agents)
    match cluster.strategy:
        case Strategy.ONE_FOR_ONE:
            return []
        case Strategy.ONE_FOR_ALL:
            return [other for other in order if other != name]
        case Strategy.REST_FOR_ONE:
            return order[order.index(name) + 1 :]
        case _:
            assert_never(cluster.strategy)


def _done(cluster: Cluster, name: str, agent: Agent) -> Step:
    significant = [other for other in cluster.agents.values() if other.significant]
    is_over = {
        AutoShutdown.NEVER: False,
        AutoShutdown.ANY_SIGNIFICANT: agent.significant,
        AutoShutdown.ALL_SIGNIFICANT: agent.significant and all(o.report.phase is Phase.DONE for o in significant),
    }[cluster.auto_shutdown]
    if not is_over:
        return cluster, ()
    why = f"auto shutdown: agent {name} is done ({agent.report.reason})"
    return replace(cluster, ending=True), (EndCluster(reason=why, failed=False),)


def _open_gates(cluster: Cluster) -> Step:
    effects: list[Effect] = []
    for name, agent in cluster.agents.items():
        if cluster.ending:
            break
        if not agent.open and not missing(cluster, name):
            cluster = _put(cluster, name, replace(agent, open=True))
            effects.append(OpenGate(agent=name))
    return cluster, tuple(effects)


def missing(cluster: Cluster, name: str) -> list[str]:
    """Return what an agent still waits for, for people: `KeyValueStore (serving)`."""
    waits = []
    for other, condition in cluster.agents[name].depends_on:
        agent = cluster.agents.get(other)
        if agent is not None and condition not in agent.report.reached:
            waits.append(f"{other} ({condition.value})")
    return waits


def stop_ranks(agents: Iterable[AgentSpec]) -> dict[str, int]:
    """Return when each agent stops: those that depend on others before those that others depend on."""
    depends_on = {agent.agent_type: [name for name, _ in agent.depends_on] for agent in agents}

    def depth(name: str) -> int:
        return 1 + max((depth(other) for other in depends_on[name] if other in depends_on), default=-1)

    depths = {name: depth(name) for name in depends_on}
    deepest = max(depths.values(), default=0)
    return {name: deepest - own for name, own in depths.items()}
