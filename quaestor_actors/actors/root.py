"""The root actor: supervisor of everything the cluster runs on this machine, and the one that operators ask."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thespian.actors import ActorAddress

from quaestor_actors.actors import view
from quaestor_actors.actors.agent import AgentChanged, AgentSupervisor, RegistryAt, StartAgent
from quaestor_actors.actors.balancer import BalancerActor, BalancerChanged, StartBalancer
from quaestor_actors.actors.base import Identity, Ready, Stop, Stopped, TreeActor
from quaestor_actors.actors.children import ChildPlan, Children
from quaestor_actors.actors.registry import Follow, RegistryActor, StartRegistry
from quaestor_actors.actors.view import ActorView, LocationView, MemberView, TreeView
from quaestor_actors.core import tree
from quaestor_actors.core.lifecycle import Rules
from quaestor_actors.core.location import Location, Registration
from quaestor_actors.core.spec import AgentSpec, ClusterSpec

REGISTRY = "registry"
BALANCER = "balancer"
STOP_MARGIN_S = 5.0
"""What an agent may need beyond its members' own deadline to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRoot:
    """From the launcher: run this cluster, and keep me informed."""

    identity: Identity
    spec: ClusterSpec
    environment: tuple[tuple[str, str], ...] = field(repr=False)
    state_directory: Path
    log_directory: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRequest:
    """From anybody with the cookie: show the tree."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReply:
    """The answer to one StatusRequest."""

    request_id: str
    tree: TreeView


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """To the launcher: what people may want to see of a change."""

    members: tuple[MemberView, ...] = ()
    actors: tuple[ActorView, ...] = ()
    locations: tuple[LocationView, ...] = ()


class RootSupervisor(TreeActor):
    """Keeps the registry, the balancer and the agents' supervisors; one_for_one."""

    _start: StartRoot
    _children: Children

    def __init__(self) -> None:
        """Begin with nothing; StartRoot brings everything."""
        super().__init__()
        self._agents: dict[str, AgentSpec] = {}
        self._members: dict[str, MemberView] = {}
        self._grandchildren: dict[str, tuple[ActorView, ...]] = {}
        self._balancer_address: str | None = None
        self._shown: dict[str, ActorView] = {}
        self._since = time.time()

    def receive(self, message: Any, sender: ActorAddress) -> None:
        """Handle the launcher, operators and children."""
        match message:
            case StartRoot():
                self._begin(message, sender)
            case StatusRequest():
                self.send(sender, StatusReply(request_id=message.request_id, tree=self._view()))
            case AgentChanged():
                self._agent_changed(message)
            case BalancerChanged():
                self._balancer_address = message.address
                self.send(self.parent, Changed(locations=message.locations))
            case Stop():
                self._children.stop(force=message.force)
            case _ if not self._children.handle(message, sender):
                self.log.warning("unexpected message %s", type(message).__name__)

    def on_wake(self, _key: str) -> None:
        """Look at the clock for the children; nothing else here waits for time."""
        self._children.wake()

    def _begin(self, message: StartRoot, sender: ActorAddress) -> None:
        self.begin(message.identity, sender)
        self._start = message
        self._agents = {
            f"agent/{agent.agent_type}": agent for agent in message.spec.agents if not agent.is_builtin_balancer
        }
        plans = [
            self._registry_plan(),
            *(self._agent_plan(name, agent) for name, agent in self._agents.items()),
        ]
        if message.spec.balancer is not None:
            plans.append(self._plan(BALANCER, BalancerActor, stop_rank=0, first=self._first_message_of_balancer))
        self._children = Children(
            self, plans, on_ready=self._introduce, on_change=self._tell_actors, on_stopped=self._all_stopped
        )
        self._children.start()
        self.send(sender, Ready(identity=self.identity, pid=os.getpid()))

    # The children's plans

    def _plan(self, name: str, actor_class: type[TreeActor], *, stop_rank: int, first: Any) -> ChildPlan:
        spec = tree.ChildSpec(name=name, stop_rank=stop_rank, stop_deadline_s=STOP_MARGIN_S)
        return ChildPlan(spec=spec, actor_class=actor_class, first_message=first)

    def _child_identity(self, name: str, incarnation: int) -> Identity:
        return Identity(cluster=self.identity.cluster, name=name, incarnation=incarnation)

    def _registry_plan(self) -> ChildPlan:
        # Only agents that register something are waited for.
        static = tuple(r for agent in self._start.spec.static_agents for r in _static_registrations(agent))

        def first(incarnation: int) -> StartRegistry:
            return StartRegistry(
                identity=self._child_identity(REGISTRY, incarnation),
                awaited=frozenset(agent.agent_type for agent in self._agents.values()),
                static=static,
            )

        return self._plan(REGISTRY, RegistryActor, stop_rank=2, first=first)

    def _first_message_of_balancer(self, incarnation: int) -> StartBalancer:
        assert self._start.spec.balancer is not None  # noqa: S101 - planned only if there is one
        return StartBalancer(identity=self._child_identity(BALANCER, incarnation), spec=self._start.spec.balancer)

    def _agent_plan(self, name: str, agent: AgentSpec) -> ChildPlan:
        spec = self._start.spec

        def first(incarnation: int) -> StartAgent:
            return StartAgent(
                identity=self._child_identity(name, incarnation),
                spec=agent,
                rules=Rules(
                    startup_deadline_s=agent.startup_deadline_s,
                    response_timeout_s=spec.response_timeout_s,
                    shutdown_deadline_s=spec.shutdown_deadline_s,
                    startup_retries=spec.startup_retries,
                    assume_healthy=agent.assume_healthy,
                ),
                heartbeat_interval_s=spec.heartbeat_interval_s,
                environment=self._start.environment,
                state_path=self._start.state_directory / f"{agent.agent_type}.json",
                log_directory=self._start.log_directory,
            )

        child = tree.ChildSpec(name=name, stop_rank=1, stop_deadline_s=spec.shutdown_deadline_s + STOP_MARGIN_S)
        return ChildPlan(spec=child, actor_class=AgentSupervisor, first_message=first)

    # Who needs to know whom

    def _introduce(self, name: str, address: ActorAddress) -> None:
        registry = self._children.address(REGISTRY)
        if registry is None:
            return
        if name == REGISTRY:
            newcomers = [found for agent in self._agents if (found := self._children.address(agent))]
            followers = [found for found in [self._children.address(BALANCER)] if found]
        else:
            newcomers, followers = ([], [address]) if name == BALANCER else ([address], [])
        for agent_address in newcomers:
            self.send(agent_address, RegistryAt(registry=registry))
        for follower in followers:
            self.send(registry, Follow(follower=follower))

    # What people see

    def _agent_changed(self, message: AgentChanged) -> None:
        self._grandchildren[message.agent] = message.actors
        self._members.update({member.member: member for member in message.members})
        if message.members:
            self.send(self.parent, Changed(members=message.members))
        self._tell_actors()

    def _tell_actors(self) -> None:
        actors = {actor.name: actor for actor in self._actor_views()}
        news = tuple(new for name, new in actors.items() if _differs(new, self._shown.get(name)))
        self._shown = actors
        if news:
            self.send(self.parent, Changed(actors=news))

    def _actor_views(self) -> list[ActorView]:
        own = [view.of_child(child, self.identity.name) for child in self._children.tree.children.values()]
        return [*own, *(actor for actors in self._grandchildren.values() for actor in actors)]

    def _view(self) -> TreeView:
        root = ActorView(
            name=self.identity.name,
            parent=None,
            state=tree.ActorState.STOPPING if self._children.tree.stopping else tree.ActorState.RUNNING,
            reason="",
            since=self._since,
            pid=os.getpid(),
            restarts=self.identity.incarnation - 1,
        )
        return TreeView(
            cluster=self.identity.cluster,
            actors=(root, *self._actor_views()),
            members=tuple(self._members.values()),
            balancer_address=self._balancer_address,
        )

    def _all_stopped(self) -> None:
        self.send(self.parent, Stopped(identity=self.identity))
        self.end()


def _differs(new: ActorView, old: ActorView | None) -> bool:
    return old is None or (new.state, new.pid, new.restarts) != (old.state, old.pid, old.restarts)


def _static_registrations(agent: AgentSpec) -> tuple[Registration, ...]:
    return tuple(
        Registration(location=Location(service_name=name, host_name=agent.host_name, port=port, use_tls=agent.use_tls))
        for name in agent.service_names or (agent.agent_type,)
        for port in agent.ports
    )
