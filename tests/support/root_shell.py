"""The root as the models run it: what `actors.root` and `actors.children` do around `core.tree` and `core.cluster`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, assert_never

from support.agent_shell import Plan

from quaestor_actors.core import actor, cluster, tree
from quaestor_actors.core.actor import ActorState, ChildSpec
from quaestor_actors.core.cluster import AgentReport
from quaestor_actors.core.group import member_names
from quaestor_actors.core.rules import fingerprints, rules_of
from quaestor_actors.core.spec import AgentSpec, ClusterSpec

REGISTRY = "registry"
STOP_TRIES = 3
STOP_S = 60.0


@dataclass(frozen=True, slots=True)
class Start:
    """First message to an agent."""

    plan: Plan
    gate_open: bool
    fresh: bool


@dataclass(frozen=True, slots=True)
class Open:
    """To an agent: its gate."""


@dataclass(frozen=True, slots=True)
class Configure:
    """To an agent."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Restart:
    """To an agent: start afresh."""

    reason: str


@dataclass(frozen=True, slots=True)
class RegistryAt:
    """To an agent."""

    incarnation: int
    introduction: int


@dataclass(frozen=True, slots=True)
class Forget:
    """To the registry: what an agent has registered that is gone, and from which introduction on it may come again."""

    owner: str
    introduction: int


@dataclass(frozen=True, slots=True)
class Stop:
    """To an actor."""

    force: bool
    leaving: bool


@dataclass(frozen=True, slots=True)
class Begin:
    """First message to the registry."""


class GaveUpError(Exception):
    """The root ends."""


class ActorSystem(Protocol):
    """What the root acts on."""

    now: float

    def create(self, name: str, incarnation: int, first: object) -> None:
        """Make an actor and send it its first message."""

    def post(self, name: str, message: object) -> None:
        """Send a message to the actor that was created last under this name."""

    def kill(self, name: str) -> None:
        """Send SIGKILL to that actor."""

    def decided(self, event: cluster.Event, effects: tuple[cluster.Effect, ...]) -> None:
        """Look at what follows from agents' news."""

    def asks_to_stop(self, name: str) -> None:
        """Look at the order in which actors are stopped."""

    def all_stopped(self) -> None:
        """Know that the cluster has stopped."""

    def ends(self, *, failed: bool) -> None:
        """Know that the cluster ends by itself."""


def plan_of(agent: AgentSpec, spec: ClusterSpec) -> Plan:
    return Plan(wanted=fingerprints(agent), rules=rules_of(agent, spec, processors=1))


def child_specs(spec: ClusterSpec) -> list[ChildSpec]:
    """Return the root's actors in the order of their creation, and when each stops."""
    ranks = {name: rank + 1 for name, rank in cluster.stop_ranks(spec.agents).items()}
    registry = ChildSpec(name=REGISTRY, stop_rank=max(ranks.values(), default=0) + 1, stop_deadline_s=5.0)
    agents = [
        ChildSpec(
            name=agent.agent_type,
            stop_rank=ranks[agent.agent_type],
            stop_deadline_s=STOP_S,
            stop_tries=STOP_TRIES,
        )
        for agent in spec.agents
    ]
    return [registry, *agents]


class RootShell:
    """One incarnation of the root."""

    def __init__(self, system: ActorSystem, spec: ClusterSpec, incarnation: int) -> None:
        self.system = system
        self.spec = spec
        self.incarnation = incarnation
        self.cluster = cluster.create(spec)
        self.tree = tree.create(child_specs(spec))
        self._given: dict[str, Plan] = {}
        self._agents = {agent.agent_type: agent for agent in spec.agents}
        """Also those that are not configured any more: one may have to be created to stop what it has left."""
        self._introductions = 0
        self._owners: set[str] = set()

    def begin(self) -> None:
        self.apply(actor.StartTree())

    # The tree

    def apply(self, event: actor.Event) -> None:
        self.tree, effects = tree.decide(self.tree, event, self.system.now)
        for effect in effects:
            match effect:
                case actor.CreateActor(name=name, incarnation=incarnation):
                    self.system.create(name, incarnation, self._first_message(name, incarnation))
                case actor.AskToStop(name=name, force=force, leaving=leaving):
                    self.system.asks_to_stop(name)
                    self.system.post(name, Stop(force=force, leaving=leaving))
                case actor.KillActor(name=name):
                    self.system.kill(name)
                case actor.GiveUp(reason=reason):
                    raise GaveUpError(reason)
                case actor.TellStopped():
                    self.system.all_stopped()
                case _:
                    assert_never(effect)
        self._forget_owners()

    def _forget_owners(self) -> None:
        """Have the registry forget agents that are gone: their last supervisor may not have known it any more."""
        for name in self._owners - self.tree.children.keys():
            self._owners.discard(name)
            if self._is_running(REGISTRY):
                self._introductions += 1
                self.system.post(REGISTRY, Forget(owner=name, introduction=self._introductions))

    def _first_message(self, name: str, incarnation: int) -> object:
        if name == REGISTRY:
            return Begin()
        self._given[name] = self._plan(name)
        return Start(
            plan=self._given[name],
            gate_open=name in self.cluster.agents and self.cluster.agents[name].open,
            fresh=incarnation == 1 and self.incarnation == 1,
        )

    def _plan(self, name: str) -> Plan:
        return plan_of(self._agents[name], self.spec)

    def _is_running(self, name: str) -> bool:
        child = self.tree.children.get(name)
        return child is not None and child.state is ActorState.RUNNING

    def ready(self, name: str, incarnation: int) -> None:
        self.apply(actor.ChildReady(name=name, incarnation=incarnation, pid=1))
        child = self.tree.children.get(name)
        if child is None or child.incarnation != incarnation or not self._is_running(name):
            return
        agents = {agent.agent_type for agent in self.spec.agents}
        if name in agents:
            if self._plan(name) != self._given[name]:
                self.system.post(name, Configure(self._plan(name)))
            if self.cluster.agents[name].open:
                self.system.post(name, Open())
        if self._is_running(REGISTRY):
            number = self.tree.children[REGISTRY].incarnation
            newcomers = [agent for agent in agents if self._is_running(agent)] if name == REGISTRY else [name]
            self._owners |= agents if name == REGISTRY else {name} & agents
            for agent in newcomers:
                self._introductions += 1
                self.system.post(agent, RegistryAt(incarnation=number, introduction=self._introductions))

    # The agents

    def reported(self, name: str, report: AgentReport) -> None:
        self._decide(cluster.Reported(agent=name, report=report))

    def reload(self, spec: ClusterSpec) -> None:
        kept = {agent.agent_type for agent in self.spec.agents}
        before = {name: self._plan(name) for name in kept}
        self.spec = spec
        self._agents |= {agent.agent_type: agent for agent in spec.agents}
        self._decide(cluster.Reconfigured(spec=spec))
        self.apply(actor.Reconfigured(specs=tuple(child_specs(spec))))
        for name in [agent.agent_type for agent in spec.agents if agent.agent_type in kept]:
            if (after := self._plan(name)) != before[name]:
                self._tell(name, Configure(after))

    def _decide(self, event: cluster.Event) -> None:
        self.cluster, effects = cluster.decide(self.cluster, event, self.system.now)
        self.system.decided(event, effects)
        for effect in effects:
            match effect:
                case cluster.OpenGate():
                    self._tell(effect.agent, Open())
                case cluster.StartAfresh():
                    self._tell(effect.agent, Restart(effect.reason))
                case cluster.EndCluster():
                    self.system.ends(failed=effect.failed)
                    self.apply(actor.StopTree())
                case _:
                    assert_never(effect)

    def _tell(self, name: str, message: object) -> None:
        if self._is_running(name):
            self.system.post(name, message)


__all__ = ["GaveUpError", "RootShell", "child_specs", "member_names", "plan_of"]
