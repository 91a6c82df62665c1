"""The root actor: supervisor of everything the cluster runs on this machine, and the one that operators ask."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, assert_never

from thespian.actors import ActorAddress

from quaestor_actors.actors.agent_messages import (
    AgentChanged,
    CommandMembers,
    ConfigureAgent,
    OpenAgent,
    RegistryAt,
    RestartAgent,
)
from quaestor_actors.actors.balancer import BalancerChanged, ListLoads
from quaestor_actors.actors.base import Ready, SetLogLevel, Stop, Stopped, TreeActor
from quaestor_actors.actors.child_plans import COORDINATOR, HOSTS, METRICS, REGISTRY, ChildPlans, agent_name
from quaestor_actors.actors.children import Children
from quaestor_actors.actors.floating import FloatingAgents
from quaestor_actors.actors.hosts_messages import HostsChanged, HostsReply, HostsRequest, PassedOn
from quaestor_actors.actors.metrics import MetricsReported
from quaestor_actors.actors.records_messages import EventsRequest, OutputRequest
from quaestor_actors.actors.registry_messages import STATIC_OWNER, Announce, Follow, ListRegistrations, RegistryReported
from quaestor_actors.actors.root_messages import (
    Changed,
    CommandReply,
    CommandRequest,
    Ending,
    LoadsReply,
    LoadsRequest,
    Ping,
    PlanReply,
    PlanRequest,
    Pong,
    RegistryRequest,
    Reload,
    Reloaded,
    ReloadReply,
    ReloadRequest,
    ReloadWanted,
    Scaled,
    ScaleReply,
    ScaleRequest,
    StartRoot,
)
from quaestor_actors.actors.root_notes import RootNotes
from quaestor_actors.actors.root_view import RootView
from quaestor_actors.actors.status_messages import StatusReply, StatusRequest
from quaestor_actors.actors.user_actors import UserActors
from quaestor_actors.actors.view import RegistryView, TreeView
from quaestor_actors.adapters.tally import forget_tallies
from quaestor_actors.adapters.term_file import TermFile
from quaestor_actors.core import cluster, plan, scaling, selector
from quaestor_actors.core.agent import Phase
from quaestor_actors.core.cluster import AgentReport, Cluster
from quaestor_actors.core.location import join_address
from quaestor_actors.core.membership import ROOT
from quaestor_actors.core.spec import LOAD_BALANCER, ClusterSpec, Condition


class RootSupervisor(TreeActor):
    """Keeps the registry, the balancer and the agents' supervisors."""

    _plans: ChildPlans
    _children: Children
    _cluster: Cluster
    _notes: RootNotes
    _floating: FloatingAgents
    _seen: RootView
    _user_actors: UserActors

    def __init__(self) -> None:
        """Begin with nothing; StartRoot brings everything."""
        super().__init__()
        self._introductions = 0
        self._owners: set[str] = set()
        """Agents that the registry may have heard of."""
        self._owed: dict[str, list[CommandMembers]] = {}
        """Commands for agents whose supervisor did not work when they came."""

    def receive(self, message: Any, sender: ActorAddress) -> None:  # noqa: C901, PLR0912 - a table
        """Handle the launcher, operators and children."""
        match message:
            case StartRoot():
                self._begin(message, sender)
            case Ping():
                self.send(sender, Pong())
            case StatusRequest():
                self.send(sender, StatusReply(request_id=message.request_id, tree=self._tree()))
            case PlanRequest():
                self.send(sender, PlanReply(request_id=message.request_id, plan=plan.diff(self._spec, message.spec)))
            case CommandRequest():
                self.send(sender, self._command(message))
            case ReloadRequest():
                self.send(self.parent, ReloadWanted())
                self.send(sender, ReloadReply(request_id=message.request_id))
            case ScaleRequest():
                self.send(sender, self._scale(message))
            case Reload():
                self._reload(message.spec)
            case AgentChanged():
                self._agent_changed(message)
            case BalancerChanged():
                self._balancer_changed(message)
            case RegistryReported():
                self._registry_reported(message.view)
            case MetricsReported():
                self._metrics_reported(message)
            case RegistryRequest() | LoadsRequest():
                self._pass_on(message, sender)
            case HostsRequest() | EventsRequest() | OutputRequest():
                self._ask_hosts(message, sender)
            case HostsChanged():
                self.send(self.parent, Changed(hosts=message.hosts))
            case Stop():
                self._notes.cluster("stopping", "as commanded")
                self._floating.leave()
                self._children.stop(force=message.force)
            case _ if not self._is_for_a_part(message, sender):
                self.log.warning("unexpected message %s", type(message).__name__)

    def on_wake(self, _key: str) -> None:
        """Look at the clock for the children; nothing else here waits for time."""
        self._children.wake()

    def on_log_level(self, message: SetLogLevel) -> None:
        """Pass it on."""
        self._children.broadcast(message)

    def _is_for_a_part(self, message: Any, sender: ActorAddress) -> bool:
        """Hand a message to whichever part of the root it is for; return whether there is one."""
        is_of_children = self._children.handle(message, sender)
        return is_of_children or self._floating.handle(message) or self._user_actors.handle(message, sender)

    @property
    def _spec(self) -> ClusterSpec:
        return self._plans.spec

    def _begin(self, message: StartRoot, sender: ActorAddress) -> None:
        self.begin(message.identity, sender)
        self._cluster = cluster.create(message.spec)
        self._notes = RootNotes(self, cluster=message.spec.name, log_directory=message.log_directory)
        if message.identity.incarnation == 1:
            forget_tallies(message.state_directory)
        again = f"every actor was started again (tree number {message.identity.incarnation})"
        self._notes.cluster("running", "launched" if message.identity.incarnation == 1 else again)
        self._plans = ChildPlans(message, lambda name: self._cluster.agents[name].open)
        self._floating = FloatingAgents(self, self._plans, TermFile(message.state_directory), self._notes)
        self._children = Children(
            self,
            self._plans.all(),
            on_ready=self._introduce,
            on_change=self._tell_launcher,
            on_stopped=self._all_stopped,
        )
        self._seen = RootView(self, self._plans, self._children, self._notes)
        self._user_actors = UserActors(self, self._plans, self._children)
        self._floating.keep(self._children)
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
                    if not self._user_actors.start_afresh(effect.agent, effect.reason):
                        self._tell_agent(effect.agent, RestartAgent(reason=effect.reason))
                case cluster.EndCluster():
                    self.log.warning("the cluster ends: %s", effect.reason)
                    self._notes.cluster("stopping", effect.reason)
                    self.send(self.parent, Ending(reason=effect.reason, failed=effect.failed))
                    self._floating.leave()
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
        self._floating.heard(message)
        self._tell(self._seen.agent_changed(message))
        self._decide(cluster.Reported(agent=message.agent.removeprefix("agent/"), report=message.report))
        self._tell_launcher()

    def _balancer_changed(self, message: BalancerChanged) -> None:
        self._seen.balancer_address = message.address
        self._notes.locations(message.locations)
        self.send(self.parent, Changed(locations=message.locations))
        reached = frozenset({Condition.STARTED, Condition.SERVING})
        report = AgentReport(phase=Phase.RUNNING, reached=reached)
        self._decide(cluster.Reported(agent=LOAD_BALANCER, report=report))

    def _registry_reported(self, found: RegistryView) -> None:
        before, self._seen.registry = self._seen.registry, found
        if before is None or before.state != found.state:
            self._notes.registry(before, found)
            self.send(self.parent, Changed(registry=found))

    def _metrics_reported(self, message: MetricsReported) -> None:
        told = message.trouble or f"metrics on {message.address}"
        if message.trouble:
            self._notes.metrics(told)
        self.send(self.parent, Changed(said=(told,)))

    def _pass_on(self, request: RegistryRequest | LoadsRequest, sender: ActorAddress) -> None:
        if isinstance(request, LoadsRequest):
            self._ask_balancer(request, sender)
        elif (registry := self._children.address(REGISTRY)) is not None:
            self.send(registry, ListRegistrations(request_id=request.request_id, reply_to=sender))

    def _ask_balancer(self, request: LoadsRequest, sender: ActorAddress) -> None:
        found = (address for name in self._plans.balancers if (address := self._children.address(name)) is not None)
        if (balancer := next(found, None)) is None:
            self.send(sender, LoadsReply(request_id=request.request_id, loads=()))
            return
        # It may know thousands of locations of other machines.
        addresses = frozenset(join_address(each.host, each.port) for each in self._seen.members.values() if each.port)
        self.send(balancer, ListLoads(request_id=request.request_id, reply_to=sender, addresses=addresses))

    def _ask_hosts(self, request: HostsRequest | EventsRequest | OutputRequest, sender: ActorAddress) -> None:
        if (hosts := self._children.address(HOSTS)) is not None:
            self.send(hosts, PassedOn(request=request, reply_to=sender))
        elif isinstance(request, HostsRequest):
            self.send(sender, HostsReply(request_id=request.request_id))

    # Changes while running

    def _reload(self, spec: ClusterSpec) -> None:
        self._seen.reloads += 1
        found = plan.diff(self._spec, spec)
        self._notes.reloaded(found)
        self.send(self.parent, Reloaded(plan=found))
        if found.refusal is not None:
            return
        if found.actions:
            self._change(spec)
        # What other hosts run, or a comma, may be all that is new.
        self._plans.spec = replace(self._spec, digest=spec.digest, scaled=spec.scaled)

    def _scale(self, request: ScaleRequest) -> ScaleReply:
        before, after = self._spec, scaling.scaled(self._spec, request.agent, request.count)
        if isinstance(after, scaling.Unscalable):
            return ScaleReply(request_id=request.request_id, plan=plan.Plan(), refused=after)
        found = plan.diff(before, after)
        if found.actions:
            self._notes.scaled(request.agent, found)
            self.send(self.parent, Scaled(before=before, after=after, plan=found))
            self._change(after)
        return ScaleReply(request_id=request.request_id, plan=found)

    def _change(self, spec: ClusterSpec) -> None:
        before = self._spec
        kept, balancers = set(self._plans.agents), set(self._plans.balancers)
        actors_before = self._plans.user_actors
        plans_before = {name: self._plans.agent_plan(name) for name in kept}
        self._plans.spec = self._floating.applied(spec)
        self._decide(cluster.Reconfigured(spec=spec))
        self._seen.forget_agents(kept - set(self._plans.agents))
        self._children.reconfigure(self._plans.all())
        for name in kept & set(self._plans.agents):
            after = self._plans.agent_plan(name)
            if after != plans_before[name]:
                self._tell_agent(after.spec.agent_type, ConfigureAgent(plan=after))
        self._user_actors.changed(actors_before)
        if before.balancer is not None and spec.balancer not in {None, before.balancer}:
            for name in balancers & set(self._plans.balancers):
                self._children.replace(name, "its configuration changed")
        registry = self._children.address(REGISTRY)
        if before.stores != spec.stores or (spec.stores and before.static_agents != spec.static_agents):
            self._children.replace(REGISTRY, "its configuration changed")
        elif registry is not None and before.static_agents != spec.static_agents:
            static = self._plans.static_registrations()
            self.send(registry, Announce(owner=STATIC_OWNER, introduction=0, registrations=static))
        if before.metrics is not None and spec.metrics not in {None, before.metrics}:
            self._children.replace(METRICS, "its configuration changed")
        self._floating.reloaded(before)
        if before.log_level != spec.log_level:
            self.send(self.myAddress, SetLogLevel(level=spec.log_level))

    def _command(self, request: CommandRequest) -> CommandReply:
        chosen = selector.choose(request.selectors, self._seen.members)
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
        if name == COORDINATOR:
            self._floating.introduce(address, self._seen.members)
            return
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
        for report in self._user_actors.reports(self._cluster):
            self._decide(report)
        self._tell(self._seen.forget_members_without_agent())
        self._floating.tell(self._seen.members)
        self._tell(self._seen.news(self._cluster))

    def _tell(self, change: Changed | None) -> None:
        if change is not None:
            self.send(self.parent, change)

    def _tree(self) -> TreeView:
        return self._seen.tree(self._cluster, self._floating.view)

    def _forget_owners(self) -> None:
        """Have the registry forget agents that are gone: their last supervisor may not have known it any more."""
        registry = self._children.address(REGISTRY)
        for name in self._owners - self._children.tree.children.keys():
            self._owners.discard(name)
            if registry is not None:
                self._introductions += 1
                owner = name.removeprefix("agent/")
                self.send(registry, Announce(owner=owner, introduction=self._introductions, registrations=()))

    def _all_stopped(self) -> None:
        self._notes.cluster("stopped", "every actor has stopped")
        self.send(self.parent, Stopped(identity=self.identity))
        self.end()
