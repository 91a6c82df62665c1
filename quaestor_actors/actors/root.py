"""The root actor: supervisor of everything the cluster runs on this machine, and the one that operators ask."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, assert_never

from thespian.actors import ActorAddress

from quaestor_actors.actors import view
from quaestor_actors.actors.agent_messages import (
    AgentChanged,
    CommandMembers,
    ConfigureAgent,
    OpenAgent,
    RegistryAt,
    RestartAgent,
)
from quaestor_actors.actors.balancer import BalancerChanged
from quaestor_actors.actors.base import Ready, SetLogLevel, Stop, Stopped, TreeActor
from quaestor_actors.actors.child_plans import HOSTS, REGISTRY, ChildPlans, agent_name
from quaestor_actors.actors.children import Children
from quaestor_actors.actors.hosts_messages import HostsChanged, HostsReply, HostsRequest, PassedOn
from quaestor_actors.actors.records_messages import EventsRequest, OutputRequest
from quaestor_actors.actors.registry_messages import STATIC_OWNER, Announce, Follow, ListRegistrations, RegistryReported
from quaestor_actors.actors.root_messages import (
    Changed,
    CommandReply,
    CommandRequest,
    Ending,
    Ping,
    PlanReply,
    PlanRequest,
    Pong,
    RegistryRequest,
    Reload,
    Reloaded,
    StartRoot,
    StatusReply,
    StatusRequest,
)
from quaestor_actors.actors.root_notes import RootNotes
from quaestor_actors.actors.view import ActorView, AgentView, MemberView, RegistryView, TreeView
from quaestor_actors.core import cluster, plan, selector
from quaestor_actors.core.actor import ActorState, Child
from quaestor_actors.core.agent import Phase
from quaestor_actors.core.cluster import AgentReport, Cluster
from quaestor_actors.core.membership import ROOT
from quaestor_actors.core.spec import LOAD_BALANCER, AgentSpec, ClusterSpec, Condition


class RootSupervisor(TreeActor):
    """Keeps the registry, the balancer and the agents' supervisors."""

    _plans: ChildPlans
    _children: Children
    _cluster: Cluster
    _notes: RootNotes

    def __init__(self) -> None:
        """Begin with nothing; StartRoot brings everything."""
        super().__init__()
        self._members: dict[str, MemberView] = {}
        self._grandchildren: dict[str, tuple[ActorView, ...]] = {}
        self._recent_restarts: dict[str, tuple[float, ...]] = {}
        self._balancer_address: str | None = None
        self._registry_view: RegistryView | None = None
        self._introductions = 0
        self._owners: set[str] = set()
        """Agents that the registry may have heard of."""
        self._owed: dict[str, list[CommandMembers]] = {}
        """Commands for agents whose supervisor did not work when they came."""
        self._shown: dict[str, ActorView] = {}
        self._shown_agents: dict[str, AgentView] = {}
        self._since = self.outside.wall_clock()

    def receive(self, message: Any, sender: ActorAddress) -> None:  # noqa: C901, PLR0912 - a table
        """Handle the launcher, operators and children."""
        match message:
            case StartRoot():
                self._begin(message, sender)
            case Ping():
                self.send(sender, Pong())
            case StatusRequest():
                self.send(sender, StatusReply(request_id=message.request_id, tree=self._view()))
            case PlanRequest():
                found = plan.diff(self._plans.spec, message.spec)
                self.send(sender, PlanReply(request_id=message.request_id, plan=found))
            case CommandRequest():
                self.send(sender, self._command(message))
            case Reload():
                self._reload(message.spec)
            case AgentChanged():
                self._agent_changed(message)
            case BalancerChanged():
                self._balancer_changed(message)
            case RegistryReported():
                self._registry_reported(message.view)
            case RegistryRequest():
                self._pass_on(message, sender)
            case HostsRequest() | EventsRequest() | OutputRequest():
                self._ask_hosts(message, sender)
            case HostsChanged():
                self.send(self.parent, Changed(hosts=message.hosts))
            case Stop():
                self._notes.cluster("stopping", "as commanded")
                self._children.stop(force=message.force)
            case _ if not self._children.handle(message, sender):
                self.log.warning("unexpected message %s", type(message).__name__)

    def on_wake(self, _key: str) -> None:
        """Look at the clock for the children; nothing else here waits for time."""
        self._children.wake()

    def on_log_level(self, message: SetLogLevel) -> None:
        """Pass it on."""
        self._children.broadcast(message)

    @property
    def _spec(self) -> ClusterSpec:
        return self._plans.spec

    def _begin(self, message: StartRoot, sender: ActorAddress) -> None:
        self.begin(message.identity, sender)
        self._cluster = cluster.create(message.spec)
        self._notes = RootNotes(self, cluster=message.spec.name, log_directory=message.log_directory)
        again = f"every actor was started again (tree number {message.identity.incarnation})"
        self._notes.cluster("running", "launched" if message.identity.incarnation == 1 else again)
        self._plans = ChildPlans(message, lambda name: self._cluster.agents[name].open)
        self._children = Children(
            self,
            self._plans.all(),
            on_ready=self._introduce,
            on_change=self._tell_launcher,
            on_stopped=self._all_stopped,
        )
        self._children.start()
        if message.spec.has_other_hosts:
            self.updateCapability(ROOT, self.myAddress)
        self.send(sender, Ready(identity=self.identity, pid=os.getpid()))

    # The agents among each other

    def _decide(self, event: cluster.Event) -> None:
        self._cluster, effects = cluster.decide(self._cluster, event, self.outside.clock())
        for effect in effects:
            match effect:
                case cluster.OpenGate():
                    self._tell_agent(effect.agent, OpenAgent())
                case cluster.StartAfresh():
                    self.log.warning("%s: %s", effect.agent, effect.reason)
                    self._tell_agent(effect.agent, RestartAgent(reason=effect.reason))
                case cluster.EndCluster():
                    self.log.warning("the cluster ends: %s", effect.reason)
                    self._notes.cluster("stopping", effect.reason)
                    self.send(self.parent, Ending(reason=effect.reason, failed=effect.failed))
                    self._children.stop(force=False)
                case _:
                    assert_never(effect)

    def _tell_agent(self, agent_type: str, message: Any) -> None:
        # One that is being created learns what it needs from its first message.
        if (address := self._children.address(agent_name(agent_type))) is not None:
            self.send(address, message)

    def _agent_changed(self, message: AgentChanged) -> None:
        child = self._children.tree.children.get(message.agent)
        if child is None or child.incarnation != message.incarnation:
            return
        self._grandchildren[message.agent] = message.actors
        self._recent_restarts[message.agent] = message.restarts
        gone = self._gone(message)
        self._members.update({member.member: member for member in message.members})
        for name in gone:
            self._members.pop(name, None)
        if message.members or gone:
            self.send(self.parent, Changed(members=message.members, gone=gone))
        self._decide(cluster.Reported(agent=message.agent.removeprefix("agent/"), report=message.report))
        self._tell_launcher()

    def _gone(self, message: AgentChanged) -> tuple[str, ...]:
        if not message.whole:
            return message.gone
        # The one before may have ended before it could say whom it had forgotten.
        there = {member.member for member in message.members}
        known = (name for name in self._members if agent_name(name.rpartition("/")[0]) == message.agent)
        return tuple(name for name in known if name not in there)

    def _balancer_changed(self, message: BalancerChanged) -> None:
        self._balancer_address = message.address
        self._notes.locations(message.locations)
        self.send(self.parent, Changed(locations=message.locations))
        reached = frozenset({Condition.STARTED, Condition.SERVING})
        report = AgentReport(phase=Phase.RUNNING, reached=reached)
        self._decide(cluster.Reported(agent=LOAD_BALANCER, report=report))

    def _registry_reported(self, found: RegistryView) -> None:
        before, self._registry_view = self._registry_view, found
        if before is None or before.state != found.state:
            self._notes.registry(before, found)
            self.send(self.parent, Changed(registry=found))

    def _pass_on(self, request: RegistryRequest, sender: ActorAddress) -> None:
        registry = self._children.address(REGISTRY)
        if registry is not None:
            self.send(registry, ListRegistrations(request_id=request.request_id, reply_to=sender))

    def _ask_hosts(self, request: HostsRequest | EventsRequest | OutputRequest, sender: ActorAddress) -> None:
        if (hosts := self._children.address(HOSTS)) is not None:
            self.send(hosts, PassedOn(request=request, reply_to=sender))
        elif isinstance(request, HostsRequest):
            self.send(sender, HostsReply(request_id=request.request_id))

    # Changes while running

    def _reload(self, spec: ClusterSpec) -> None:
        before = self._spec
        found = plan.diff(before, spec)
        self._notes.reloaded(found)
        self.send(self.parent, Reloaded(plan=found))
        if found.refusal is not None or not found.actions:
            return
        kept, balancers = set(self._plans.agents), set(self._plans.balancers)
        plans_before = {name: self._plans.agent_plan(name) for name in kept}
        self._plans.spec = spec
        self._decide(cluster.Reconfigured(spec=spec))
        self._forget_agents(kept - set(self._plans.agents))
        self._children.reconfigure(self._plans.all())
        for name in kept & set(self._plans.agents):
            after = self._plans.agent_plan(name)
            if after != plans_before[name]:
                self._tell_agent(after.spec.agent_type, ConfigureAgent(plan=after))
        if before.balancer is not None and spec.balancer not in {None, before.balancer}:
            for name in balancers & set(self._plans.balancers):
                self._children.replace(name, "its configuration changed")
        registry = self._children.address(REGISTRY)
        if before.stores != spec.stores or (spec.stores and before.static_agents != spec.static_agents):
            self._children.replace(REGISTRY, "its configuration changed")
        elif registry is not None and before.static_agents != spec.static_agents:
            static = self._plans.static_registrations()
            self.send(registry, Announce(owner=STATIC_OWNER, introduction=0, registrations=static))
        if before.log_level != spec.log_level:
            self.send(self.myAddress, SetLogLevel(level=spec.log_level))

    def _forget_agents(self, names: set[str]) -> None:
        for name in names:
            self._shown_agents.pop(name.removeprefix("agent/"), None)
            self._recent_restarts.pop(name, None)

    def _command(self, request: CommandRequest) -> CommandReply:
        chosen = selector.choose(request.selectors, self._members)
        for name, agent in self._plans.agents.items():
            members = tuple(m for m in chosen.members if m.rpartition("/")[0] == agent.agent_type)
            if not members or chosen.unknown:
                continue
            command = CommandMembers(command=request.command, members=members)
            if (address := self._children.address(name)) is None:
                # Its supervisor is being replaced; the next one is told.
                self._owed.setdefault(name, []).append(command)
            else:
                self.send(address, command)
        return CommandReply(request_id=request.request_id, members=chosen.members, unknown=chosen.unknown)

    # Who needs to know whom

    def _introduce(self, name: str, address: ActorAddress) -> None:
        self._catch_up(name, address)
        registry = self._children.address(REGISTRY)
        if registry is None:
            return
        if name == REGISTRY:
            newcomers = [found for agent in self._plans.agents if (found := self._children.address(agent))]
            followers = [found for balancer in self._plans.balancers if (found := self._children.address(balancer))]
        else:
            newcomers = [address] if name in self._plans.agents else []
            followers = [address] if name in self._plans.balancers else []
        self._owners.update(self._plans.agents if name == REGISTRY else {name} & self._plans.agents.keys())
        for agent_address in newcomers:
            self._introductions += 1
            self.send(agent_address, RegistryAt(registry=registry, introduction=self._introductions))
        for follower in followers:
            self.send(registry, Follow(follower=follower))

    def _catch_up(self, name: str, address: ActorAddress) -> None:
        """Tell an agent what may have changed while its supervisor was being created."""
        agent = self._plans.agents.get(name)
        if agent is None:
            return
        if (current := self._plans.agent_plan(name)) != self._plans.given[name]:
            self.send(address, ConfigureAgent(plan=current))
        if self._cluster.agents[agent.agent_type].open:
            self.send(address, OpenAgent())
        for command in self._owed.pop(name, ()):
            self.send(address, command)

    # What people see

    def _tell_launcher(self) -> None:
        self._forget_owners()
        self._forget_members_without_agent()
        actors = {actor.name: actor for actor in self._actor_views()}
        news = tuple(new for name, new in actors.items() if _differs(new, self._shown.get(name)))
        self._notes.actors(self._shown, actors)
        self._shown = actors
        # Who was restarted when is there for whoever asks; it is no news by itself.
        agents = {agent.agent: replace(agent, recent_restarts=()) for agent in self._agent_views()}
        changed = tuple(new for name, new in agents.items() if self._shown_agents.get(name) != new)
        self._shown_agents = agents
        if news or changed:
            self.send(self.parent, Changed(actors=news, agents=changed))

    def _forget_owners(self) -> None:
        """Have the registry forget agents that are gone: their last supervisor may not have known it any more."""
        registry = self._children.address(REGISTRY)
        for name in self._owners - self._children.tree.children.keys():
            self._owners.discard(name)
            if registry is not None:
                self._introductions += 1
                owner = name.removeprefix("agent/")
                self.send(registry, Announce(owner=owner, introduction=self._introductions, registrations=()))

    def _forget_members_without_agent(self) -> None:
        agents = self._children.tree.children
        gone = tuple(name for name in self._members if agent_name(name.rpartition("/")[0]) not in agents)
        for name in gone:
            del self._members[name]
        if gone:
            self.send(self.parent, Changed(gone=gone))

    def _agent_views(self) -> list[AgentView]:
        kept = self._plans.agents
        return [
            self._agent_view(name, kept[agent_name(name)]) for name in self._cluster.agents if agent_name(name) in kept
        ]

    def _agent_view(self, name: str, spec: AgentSpec) -> AgentView:
        agent, intensity = self._cluster.agents[name], spec.restart.intensity
        return AgentView(
            agent=name,
            phase=agent.report.phase.value,
            reason=agent.report.reason,
            waits_for=tuple(cluster.missing(self._cluster, name)) if not agent.open else (),
            startup_retries=max(1, self._spec.startup_retries),
            restart_limit=None if intensity is None else intensity.limit,
            restart_period_s=None if intensity is None else intensity.period_s,
            recent_restarts=self._recent_restarts.get(agent_name(name), ()),
        )

    def _actor_views(self) -> list[ActorView]:
        children = self._children.tree.children
        own = [self._child_view(child) for child in children.values()]
        below = [actor for name, actors in self._grandchildren.items() if name in children for actor in actors]
        return [*own, *below]

    def _child_view(self, child: Child) -> ActorView:
        return view.of_child(child, parent=self.identity.name, since=self.epoch_of(child.since))

    def _view(self) -> TreeView:
        root = ActorView(
            name=self.identity.name,
            parent=None,
            state=ActorState.STOPPING if self._children.tree.stopping else ActorState.RUNNING,
            reason="",
            since=self._since,
            pid=os.getpid(),
            restarts=self.identity.incarnation - 1,
        )
        return TreeView(
            cluster=self.identity.cluster,
            actors=(root, *self._actor_views()),
            agents=tuple(self._agent_views()),
            members=tuple(self._members.values()),
            balancer_address=self._balancer_address if self._spec.balancer is not None else None,
            registry=self._registry_view,
        )

    def _all_stopped(self) -> None:
        self._notes.cluster("stopped", "every actor has stopped")
        self.send(self.parent, Stopped(identity=self.identity))
        self.end()


def _differs(new: ActorView, old: ActorView | None) -> bool:
    return old is None or replace(new, since=0.0, reason="") != replace(old, since=0.0, reason="")
