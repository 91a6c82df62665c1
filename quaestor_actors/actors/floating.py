"""The root's side of what floats: it hands on what the coordinator grants, and tells it what has come of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thespian.actors import ActorAddress

from quaestor_actors.actors.agent_messages import AgentChanged, ConfigureAgent
from quaestor_actors.actors.base import TreeActor
from quaestor_actors.actors.child_plans import COORDINATOR, ChildPlans, agent_name
from quaestor_actors.actors.children import Children
from quaestor_actors.actors.coordinator_messages import ConfigureCoordinator, CoordinationReported
from quaestor_actors.actors.root_notes import RootNotes
from quaestor_actors.actors.view import CoordinationView, MemberView
from quaestor_actors.adapters.term_file import TermFile
from quaestor_actors.core.actor import ActorState
from quaestor_actors.core.coordination_state import Grant, Leaving, RunningChanged
from quaestor_actors.core.floating import floating_of, granted_to, heeded_by_all, slots_of
from quaestor_actors.core.member import AT_REST
from quaestor_actors.core.spec import ClusterSpec

_AT_REST = frozenset(state.value for state in AT_REST)


class FloatingAgents:
    """The floating agents of one root."""

    def __init__(self, owner: TreeActor, plans: ChildPlans, terms: TermFile, notes: RootNotes) -> None:
        """Go on with what the coordinator has written down, as far as that holds; else nothing floats here yet."""
        self._owner = owner
        self._notes = notes
        self._plans = plans
        self._children: Children | None = None
        self._coordinator: ActorAddress | None = None
        remembered = terms.load() if floating_of(plans.spec) else None
        holds = remembered is not None and owner.outside.boot_clock() < remembered.stops_at
        slots = remembered.granted if remembered is not None and holds else {}
        self._grant = Grant(number=0, slots=slots)
        plans.spec = self.applied(plans.spec)
        self._heeded: dict[str, int] = {}
        self._floated: set[str] = set()
        """Agents that float, or did."""
        self._told: RunningChanged | None = None
        self._is_leaving = False
        self.view: CoordinationView | None = None
        """What people see; None while nobody has told it."""

    def keep(self, children: Children) -> None:
        """Take the root's children, when they are known."""
        self._children = children

    def applied(self, spec: ClusterSpec) -> ClusterSpec:
        """Return a specification with what has been granted."""
        return granted_to(spec, self._grant.slots)

    def handle(self, message: Any) -> bool:
        """Take a message of the coordinator; return whether it was one."""
        match message:
            case Grant():
                self._granted(message)
            case CoordinationReported():
                self._notes.coordination(self.view, message.view)
                self.view = message.view
            case _:
                return False
        return True

    def _granted(self, grant: Grant) -> None:
        if grant.number <= self._grant.number:
            # The last words of a coordinator that is dead may come late.
            return
        self._grant = grant
        self._plans.grant = grant.number
        self._plans.spec = self.applied(self._plans.spec)
        for name in self._names():
            if (address := self._address(agent_name(name))) is not None:
                plan = self._plans.agent_plan(agent_name(name))
                self._owner.send(address, ConfigureAgent(plan=plan))

    def heard(self, message: AgentChanged) -> None:
        """Take note of which grant an agent has heeded; `tell` follows."""
        self._heeded[message.agent.removeprefix("agent/")] = message.grant

    def tell(self, members: Mapping[str, MemberView], *, again: bool = False) -> None:
        """Tell the coordinator what runs here, if that has changed.

        Args:
            members: of all agents.
            again: a new coordinator is there, which knows nothing.
        """
        if self._coordinator is None:
            return
        names = self._names()
        self._floated |= names
        # Members of an agent that does not float any more are there by right.
        agents = names | (self._floated - {agent.agent_type for agent in self._plans.spec.agents})
        up = (name for name, member in members.items() if member.state not in _AT_REST)
        # A supervisor that has stopped starts nothing again.
        heeding = (name for name in names if self._state(agent_name(name)) is not ActorState.STOPPED)
        heeded = heeded_by_all(self._grant.number, heeding, self._heeded)
        news = RunningChanged(running=slots_of(up, agents), grant=heeded)
        # While it is stopping, too: it waits for the end of what floats here.
        is_there = self._state(COORDINATOR) in {ActorState.RUNNING, ActorState.STOPPING}
        if not is_there or (news == self._told and not again):
            return
        self._told = news
        self._owner.send(self._coordinator, news)

    def introduce(self, coordinator: ActorAddress, members: Mapping[str, MemberView]) -> None:
        """Tell a coordinator that works now what it has to know."""
        self._coordinator = coordinator
        if self._is_leaving:
            self._owner.send(coordinator, Leaving())
        self._owner.send(coordinator, ConfigureCoordinator(floating=floating_of(self._plans.spec)))
        self.tell(members, again=True)

    def leave(self) -> None:
        """Have what floats here stopped, for other hosts to take over."""
        self._is_leaving = True
        if (coordinator := self._address(COORDINATOR)) is not None:
            self._owner.send(coordinator, Leaving())

    def reloaded(self, before: ClusterSpec) -> None:
        """Tell the coordinator what a new specification changes for it."""
        spec, coordinator = self._plans.spec, self._address(COORDINATOR)
        if coordinator is None or self._children is None:
            return
        if before.stores[:1] != spec.stores[:1]:
            self._children.replace(COORDINATOR, "its configuration changed")
        elif floating_of(before) != floating_of(spec):
            self._owner.send(coordinator, ConfigureCoordinator(floating=floating_of(spec)))

    def _names(self) -> set[str]:
        return {each.agent for each in floating_of(self._plans.spec)}

    def _state(self, name: str) -> ActorState | None:
        child = None if self._children is None else self._children.tree.children.get(name)
        return None if child is None else child.state

    def _address(self, name: str) -> ActorAddress | None:
        return None if self._children is None else self._children.address(name)
