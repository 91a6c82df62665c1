"""How the root makes each of its children, from the specification that is in force when it does."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from quaestor_actors.actors.agent import AgentSupervisor
from quaestor_actors.actors.agent_messages import AgentPlan, StartAgent
from quaestor_actors.actors.balancer import BalancerActor, StartBalancer
from quaestor_actors.actors.base import Identity, TreeActor
from quaestor_actors.actors.children import ChildPlan
from quaestor_actors.actors.coordinator import CoordinatorActor
from quaestor_actors.actors.coordinator_messages import StartCoordinator
from quaestor_actors.actors.hosts import HostsActor
from quaestor_actors.actors.hosts_messages import StartHosts
from quaestor_actors.actors.metrics import MetricsActor, StartMetrics
from quaestor_actors.actors.registry import RegistryActor
from quaestor_actors.actors.registry_messages import StartRegistry
from quaestor_actors.actors.root_messages import StartRoot
from quaestor_actors.actors.user_actor import UserActor
from quaestor_actors.actors.user_actor_messages import StartUserActor
from quaestor_actors.core import cluster
from quaestor_actors.core.actor import ChildSpec, OwnEnd
from quaestor_actors.core.floating import floating_of
from quaestor_actors.core.host_selector import on_host
from quaestor_actors.core.location import ClientTls, Location, Registration
from quaestor_actors.core.rules import rules_of
from quaestor_actors.core.spec import LOAD_BALANCER, ActorSpec, AgentSpec, ClusterSpec
from quaestor_actors.core.user_actor import actors_here

REGISTRY = "registry"
BALANCER = "balancer"
METRICS = "metrics"
COORDINATOR = "coordinator"
HOSTS = "hosts"
STOP_MARGIN_S = 5.0
"""What an actor may need beyond its members' own deadlines to stop."""
STOP_TRIES = 3


def agent_name(agent_type: str) -> str:
    """Return the name of the actor that supervises an agent."""
    return f"agent/{agent_type}"


def user_actor_name(name: str) -> str:
    """Return the name, in the tree, of an actor of the user's."""
    return f"actor/{name}"


class ChildPlans:
    """The plans of all children of one root; `spec` may be replaced at any time."""

    def __init__(self, start: StartRoot, is_open: Callable[[str], bool]) -> None:
        """Take what the root was started with, and whom to ask whether an agent's members may start."""
        self.spec: ClusterSpec = start.spec
        self._start = start
        self._is_open = is_open
        self.given: dict[str, AgentPlan] = {}
        """What each agent supervisor was told at its start."""
        self.grant = 0
        """Number of the last grant; `spec` says what it was."""

    @property
    def agents(self) -> dict[str, AgentSpec]:
        """The agents that have a supervisor, by its name."""
        agents = (agent for agent in self.spec.agents if not agent.is_builtin_balancer)
        return {agent_name(agent.agent_type): agent for agent in agents}

    @property
    def user_actors(self) -> dict[str, ActorSpec]:
        """The actors of the user's on this host, by their names in the tree."""
        return {user_actor_name(name): spec for name, spec in actors_here(self.spec).items()}

    @property
    def balancers(self) -> list[str]:
        """The names of the balancer's processes, each with a frontend of its own; the first one is `BALANCER`."""
        count = 0 if self.spec.balancer is None else self.spec.balancer.frontends
        return [BALANCER if number == 1 else f"{BALANCER}/{number}" for number in range(1, count + 1)]

    def all(self) -> list[ChildPlan]:
        """Return a plan for each child, in the order in which they are created."""
        # Those that others depend on stop after them, the registry last: every stop is a deregistration.
        ranks = {name: rank + 1 for name, rank in cluster.stop_ranks(self.spec.agents).items()}
        awaited = {name for agent in self.spec.agents for name, _ in agent.depends_on}
        last = max(ranks.values(), default=0) + 1
        plans = [self._registry(rank=last)]
        if self.spec.hosts and self.spec.stores:
            plans.append(self._coordinator(rank=last))
        if self.spec.has_other_hosts:
            plans.append(self._hosts(rank=last))
        plans += [self._agent(name, agent, rank=ranks[agent.agent_type]) for name, agent in self.agents.items()]
        rank = ranks[LOAD_BALANCER] if LOAD_BALANCER in awaited else 0
        plans += [self._balancer(name, number, rank=rank) for number, name in enumerate(self.balancers, start=1)]
        plans += [self._user_actor(name, spec) for name, spec in self.user_actors.items()]
        return plans if self.spec.metrics is None else [*plans, self._metrics()]

    def agent_plan(self, name: str) -> AgentPlan:
        """Return what the supervisor of that name is to keep."""
        return self._plan_of(self.agents[name])

    def _plan_of(self, agent: AgentSpec) -> AgentPlan:
        rules = rules_of(agent, self.spec, processors=os.cpu_count() or 1)
        grant = 0 if agent.floating is None else self.grant
        return AgentPlan(spec=agent, rules=rules, heartbeat_interval_s=self.spec.heartbeat_interval_s, grant=grant)

    def static_registrations(self) -> tuple[Registration, ...]:
        """Return what somebody else runs and the registry holds for as long as the cluster runs."""
        return tuple(
            Registration(
                location=Location(service_name=name, host_name=agent.host_name, port=port, use_tls=agent.use_tls),
                tls=agent.tls,
            )
            for agent in self.spec.static_agents
            for name in agent.service_names or (agent.agent_type,)
            for port in agent.ports
        )

    def _tls_of_services(self) -> dict[str, ClientTls]:
        """Return how services are connected to, by name: of the agents here that have them, or know them."""
        balanced = self.spec.balancer.agents if self.spec.balancer is not None else ()
        agents = (*self.spec.agents, *balanced)
        known = {name: agent.tls for agent in reversed(agents) if agent.use_tls for name in agent.service_names}
        others = {agent.agent_type: agent.tls for agent in balanced if agent.use_tls and not agent.service_names}
        return others | known

    def _plan(
        self,
        name: str,
        actor_class: type[TreeActor],
        *,
        rank: int,
        first: Callable[[int], Any],
        stop_s: float | None = None,
        own_end: OwnEnd | None = None,
    ) -> ChildPlan:
        keeps_processes = stop_s is not None
        spec = ChildSpec(
            name=name,
            stop_rank=rank,
            stop_deadline_s=(stop_s or 0.0) + STOP_MARGIN_S,
            stop_tries=STOP_TRIES if keeps_processes else 1,
            own_end=own_end,
        )
        return ChildPlan(spec=spec, actor_class=actor_class, first_message=first)

    def _identity(self, name: str, incarnation: int) -> Identity:
        return Identity(cluster=self.spec.name, name=name, incarnation=incarnation, log_level=self.spec.log_level)

    def _registry(self, *, rank: int) -> ChildPlan:
        def first(incarnation: int) -> StartRegistry:
            return StartRegistry(
                identity=self._identity(REGISTRY, incarnation),
                awaited=frozenset(agent.agent_type for agent in self.agents.values()),
                static=self.static_registrations(),
                stores=self.spec.stores,
                tls=self._tls_of_services(),
                directory=self._start.state_directory,
            )

        return self._plan(REGISTRY, RegistryActor, rank=rank, first=first)

    def _coordinator(self, *, rank: int) -> ChildPlan:
        def first(incarnation: int) -> StartCoordinator:
            return StartCoordinator(
                identity=self._identity(COORDINATOR, incarnation),
                host=self.spec.host,
                hosts=tuple(host.name for host in self.spec.hosts),
                floating=floating_of(self.spec),
                store=self.spec.stores[0],
                directory=self._start.state_directory,
            )

        return self._plan(COORDINATOR, CoordinatorActor, rank=rank, first=first)

    def _hosts(self, *, rank: int) -> ChildPlan:
        def first(incarnation: int) -> StartHosts:
            return StartHosts(
                identity=self._identity(HOSTS, incarnation),
                hosts=self.spec.hosts,
                own=self.spec.host,
                log_directory=self._start.log_directory,
            )

        return self._plan(HOSTS, HostsActor, rank=rank, first=first)

    def _balancer(self, name: str, number: int, *, rank: int) -> ChildPlan:
        def first(incarnation: int) -> StartBalancer:
            if self.spec.balancer is None:
                raise RuntimeError("a balancer is created only where one is configured")
            return StartBalancer(
                identity=self._identity(name, incarnation),
                spec=self.spec.balancer,
                number=number,
                directory=self._start.state_directory,
            )

        return self._plan(name, BalancerActor, rank=rank, first=first)

    def _metrics(self) -> ChildPlan:
        def first(incarnation: int) -> StartMetrics:
            if self.spec.metrics is None:
                raise RuntimeError("metrics are served only where that is configured")
            identity, directory = self._identity(METRICS, incarnation), self._start.state_directory
            return StartMetrics(identity=identity, spec=self.spec.metrics, directory=directory)

        return self._plan(METRICS, MetricsActor, rank=0, first=first)

    def _user_actor(self, name: str, spec: ActorSpec) -> ChildPlan:
        def first(incarnation: int) -> StartUserActor:
            full_name = on_host(spec.name, self.spec.host)
            return StartUserActor(identity=self._identity(name, incarnation), spec=spec, name=full_name)

        own_end = OwnEnd(restart=spec.restart, intensity=spec.intensity)
        return self._plan(name, UserActor, rank=0, first=first, own_end=own_end)

    def _agent(self, name: str, agent: AgentSpec, *, rank: int) -> ChildPlan:
        def first(incarnation: int) -> StartAgent:
            # One that is not configured any more is created again if it ended before it had stopped what it keeps.
            self.given[name] = self._plan_of(self.agents.get(name, agent))
            return StartAgent(
                identity=self._identity(name, incarnation),
                plan=self.given[name],
                environment=self._start.environment,
                state_path=self._start.state_directory / f"{agent.agent_type}.json",
                log_directory=self._start.log_directory,
                gate_open=name in self.agents and self._is_open(agent.agent_type),
                fresh=incarnation == 1 and self._start.identity.incarnation == 1,
            )

        rules = rules_of(agent, self.spec, processors=1)
        stop_s = rules.drain_s + rules.shutdown_deadline_s
        return self._plan(name, AgentSupervisor, rank=rank, first=first, stop_s=stop_s)
