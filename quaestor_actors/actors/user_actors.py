"""The root's side of actors of users: where they are, what has become of them, and which of them a change concerns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thespian.actors import ActorAddress

from quaestor_actors.actors.base import TreeActor
from quaestor_actors.actors.child_plans import HOSTS, ChildPlans, user_actor_name
from quaestor_actors.actors.children import Children
from quaestor_actors.actors.hosts_messages import PassedOn
from quaestor_actors.actors.user_actor_messages import FindActor, FindElsewhere, FindHere, Located
from quaestor_actors.core.actor import ActorState
from quaestor_actors.core.agent import Phase
from quaestor_actors.core.cluster import AgentReport, Cluster, Reported
from quaestor_actors.core.finding import Standing, Trouble, standing_of
from quaestor_actors.core.host_selector import on_host, split
from quaestor_actors.core.spec import ActorSpec
from quaestor_actors.core.user_actor import actors_here

_PHASES = {ActorState.FAILED: Phase.GAVE_UP, ActorState.DONE: Phase.DONE}


class UserActors:
    """The actors of users of one root."""

    def __init__(self, owner: TreeActor, plans: ChildPlans, children: Children) -> None:
        """Take what the root has; it changes all three."""
        self._owner = owner
        self._plans = plans
        self._children = children

    def handle(self, message: Any, sender: ActorAddress) -> bool:
        """Take a question about where an actor is; return whether it was one."""
        match message:
            case FindActor():
                self._find(message, sender)
            case FindHere():
                self._owner.send(sender, self._here(message.name, message.request_id))
            case _:
                return False
        return True

    def reports(self, cluster: Cluster) -> list[Reported]:
        """Return what is news of them to the one who decides about agents: it treats them as such.

        Args:
            cluster: what it knows.
        """
        news = []
        for name in actors_here(self._plans.spec):
            child = self._children.tree.children.get(user_actor_name(name))
            known = cluster.agents.get(name)
            if child is None or known is None:
                continue
            phase = _PHASES.get(child.state, Phase.RUNNING)
            if phase is not known.report.phase:
                report = AgentReport(phase=phase, reason=child.reason)
                news.append(Reported(agent=name, report=report))
        return news

    def start_afresh(self, name: str, reason: str) -> bool:
        """Replace an actor; return whether there is one of this name."""
        if name not in actors_here(self._plans.spec):
            return False
        self._children.replace(user_actor_name(name), reason)
        return True

    def changed(self, before: Mapping[str, ActorSpec]) -> None:
        """Replace those that go on and are to be made otherwise.

        Args:
            before: by their names in the tree.
        """
        for name, spec in self._plans.user_actors.items():
            if name in before and spec.made_of != before[name].made_of:
                self._children.replace(name, "its configuration changed")

    def _find(self, request: FindActor, sender: ActorAddress) -> None:
        spec = self._plans.spec
        hosts = [host.name for host in spec.hosts]
        name, host = split(request.name, hosts)
        if host is not None and host not in hosts:
            known = f"there are {', '.join(hosts)}" if hosts else "the cluster is on one machine"
            standing = Standing(trouble=Trouble.UNKNOWN, reason=f"there is no host {host}; {known}")
            self._owner.send(sender, Located(request_id=request.request_id, name=request.name, standing=standing))
            return
        here = self._here(name, request.request_id)
        is_elsewhere = host not in {None, spec.host} or (host is None and here.standing.trouble is Trouble.UNKNOWN)
        others = self._children.address(HOSTS)
        if not is_elsewhere or not spec.has_other_hosts:
            self._owner.send(sender, here)
        elif others is not None:
            question = FindElsewhere(request_id=request.request_id, name=name, host=host or "")
            self._owner.send(others, PassedOn(request=question, reply_to=sender))
        else:
            reason = "the actor that knows the other hosts is just being replaced"
            standing = Standing(trouble=Trouble.AWAY, reason=reason)
            self._owner.send(sender, Located(request_id=request.request_id, name=request.name, standing=standing))

    def _here(self, name: str, request_id: str) -> Located:
        full_name = on_host(name, self._plans.spec.host)
        in_tree = user_actor_name(name)
        child = self._children.tree.children.get(in_tree)
        standing = standing_of(full_name, child, actors_here(self._plans.spec))
        return Located(
            request_id=request_id,
            name=full_name,
            standing=standing,
            address=self._children.address(in_tree),
            incarnation=0 if child is None else child.incarnation,
        )
