"""What people see of everything that the root keeps, and what of it the launcher has been told."""

from __future__ import annotations

import os
from dataclasses import replace

from quaestor_actors.actors import view
from quaestor_actors.actors.agent_messages import AgentChanged
from quaestor_actors.actors.base import TreeActor
from quaestor_actors.actors.child_plans import ChildPlans, agent_name
from quaestor_actors.actors.children import Children
from quaestor_actors.actors.root_messages import Changed
from quaestor_actors.actors.root_notes import RootNotes
from quaestor_actors.actors.view import ActorView, AgentView, CoordinationView, MemberView, RegistryView, TreeView
from quaestor_actors.adapters.package_version import package_version
from quaestor_actors.core import cluster
from quaestor_actors.core.actor import ActorState, Child
from quaestor_actors.core.cluster import Cluster
from quaestor_actors.core.spec import AgentSpec


class RootView:
    """The root's memory of what its children have told; it decides nothing."""

    def __init__(self, root: TreeActor, plans: ChildPlans, children: Children, notes: RootNotes) -> None:
        """Begin with nobody; all four are the root's, and it changes them."""
        self._root = root
        self._plans = plans
        self._children = children
        self._notes = notes
        self.members: dict[str, MemberView] = {}
        self.balancer_address: str | None = None
        self.registry: RegistryView | None = None
        self.reloads = 0
        """How often the root has been told a configuration."""
        self._grandchildren: dict[str, tuple[ActorView, ...]] = {}
        self._recent_restarts: dict[str, tuple[float, ...]] = {}
        self._shown: dict[str, ActorView] = {}
        self._shown_agents: dict[str, AgentView] = {}
        self._version = package_version()
        self._since = root.outside.wall_clock()

    def agent_changed(self, message: AgentChanged) -> Changed | None:
        """Take in what the present supervisor of an agent tells; return what of its members is news."""
        self._grandchildren[message.agent] = message.actors
        self._recent_restarts[message.agent] = message.restarts
        gone = self._gone(message)
        self.members.update({member.member: member for member in message.members})
        for name in gone:
            self.members.pop(name, None)
        return Changed(members=message.members, gone=gone) if message.members or gone else None

    def _gone(self, message: AgentChanged) -> tuple[str, ...]:
        if not message.whole:
            return message.gone
        # The one before may have ended before it could say whom it had forgotten.
        there = {member.member for member in message.members}
        known = (name for name in self.members if agent_name(name.rpartition("/")[0]) == message.agent)
        return tuple(name for name in known if name not in there)

    def forget_agents(self, names: set[str]) -> None:
        """Forget agents that are not configured any more."""
        for name in names:
            self._shown_agents.pop(name.removeprefix("agent/"), None)
            self._recent_restarts.pop(name, None)

    def forget_members_without_agent(self) -> Changed | None:
        """Forget members whose supervisor is gone for good; return that, if there were any."""
        agents = self._children.tree.children
        gone = tuple(name for name in self.members if agent_name(name.rpartition("/")[0]) not in agents)
        for name in gone:
            del self.members[name]
        return Changed(gone=gone) if gone else None

    def news(self, agents: Cluster) -> Changed | None:
        """Return what has changed of actors and agents since this was asked last; actors' changes are noted.

        Args:
            agents: how they stand to each other now.
        """
        actors = {actor.name: actor for actor in self._actor_views()}
        news = tuple(new for name, new in actors.items() if _differs(new, self._shown.get(name)))
        self._notes.actors(self._shown, actors)
        self._shown = actors
        # Who was restarted when is there for whoever asks; it is no news by itself.
        shown = {agent.agent: replace(agent, recent_restarts=()) for agent in self._agent_views(agents)}
        changed = tuple(new for name, new in shown.items() if self._shown_agents.get(name) != new)
        self._shown_agents = shown
        return Changed(actors=news, agents=changed) if news or changed else None

    def tree(self, agents: Cluster, coordination: CoordinationView | None) -> TreeView:
        """Return everything, for whoever asks.

        Args:
            agents: how they stand to each other now.
            coordination: what is known of other hosts through a store.
        """
        root = ActorView(
            name=self._root.identity.name,
            parent=None,
            state=(ActorState.STOPPING if self._children.tree.stopping else ActorState.RUNNING).value,
            reason="",
            since=self._since,
            pid=os.getpid(),
            restarts=self._root.identity.incarnation - 1,
        )
        return TreeView(
            cluster=self._root.identity.cluster,
            actors=(root, *self._actor_views()),
            agents=tuple(self._agent_views(agents)),
            members=tuple(self.members.values()),
            balancer_address=self.balancer_address if self._plans.spec.balancer is not None else None,
            registry=self.registry,
            reloads=self.reloads,
            configuration=self._plans.spec.digest,
            scaled=tuple(agent for agent, _ in self._plans.spec.scaled),
            version=self._version,
            coordination=coordination,
        )

    def _agent_views(self, agents: Cluster) -> list[AgentView]:
        kept = self._plans.agents
        names = [name for name in agents.agents if agent_name(name) in kept]
        return [self._agent_view(agents, name, kept[agent_name(name)]) for name in names]

    def _agent_view(self, agents: Cluster, name: str, spec: AgentSpec) -> AgentView:
        agent, intensity = agents.agents[name], spec.restart.intensity
        return AgentView(
            agent=name,
            phase=agent.report.phase.value,
            reason=agent.report.reason,
            waits_for=tuple(cluster.missing(agents, name)) if not agent.open else (),
            startup_retries=max(1, self._plans.spec.startup_retries),
            restart_limit=None if intensity is None else intensity.limit,
            restart_period_s=None if intensity is None else intensity.period_s,
            recent_restarts=self._recent_restarts.get(agent_name(name), ()),
            to_replace=agent.report.to_replace,
            aborted=agent.report.aborted,
            rolling_restarts=agent.report.rolling_restarts,
        )

    def _actor_views(self) -> list[ActorView]:
        children = self._children.tree.children
        own = [self._child_view(child) for child in children.values()]
        below = [actor for name, actors in self._grandchildren.items() if name in children for actor in actors]
        return [*own, *below]

    def _child_view(self, child: Child) -> ActorView:
        return view.of_child(child, parent=self._root.identity.name, since=self._root.epoch_of(child.since))


def _differs(new: ActorView, old: ActorView | None) -> bool:
    return old is None or replace(new, since=0.0, reason="") != replace(old, since=0.0, reason="")
