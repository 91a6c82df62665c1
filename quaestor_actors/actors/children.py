"""A supervisor's hands: carries out what `core.tree` decides about the actors below a supervisor.

The end of an actor is noticed through a pidfd on its process. Thespian's own ChildActorExited may come before the
process has ended, twice, or for an address that was used again meanwhile, so it is not relied on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, assert_never

from thespian.actors import ActorAddress, ChildActorExited

from quaestor_actors.actors.base import Crashed, Identity, Ready, Stop, Stopped, TreeActor
from quaestor_actors.adapters.processes import WatchedProcess
from quaestor_actors.core import actor, tree
from quaestor_actors.core.actor import ChildSpec, Tree

WAKE_KEY = "children"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildPlan:
    """How to make one child: its rules, its class, and its first message for a given incarnation."""

    spec: ChildSpec
    actor_class: type[TreeActor]
    first_message: Callable[[int], Any]


class Children:
    """The child actors of one supervisor, kept per the decisions of the core.

    The owner forwards to `handle` every message it does not know, calls `wake` for the key WAKE_KEY, and gets told
    through the callbacks.
    """

    def __init__(
        self,
        owner: TreeActor,
        plans: Iterable[ChildPlan],
        *,
        on_ready: Callable[[str, ActorAddress], None],
        on_change: Callable[[], None],
        on_stopped: Callable[[], None],
    ) -> None:
        """Prepare the children; `start` makes them."""
        self._owner = owner
        self._plans = {plan.spec.name: plan for plan in plans}
        self._addresses: dict[str, ActorAddress] = {}
        self._processes: dict[str, WatchedProcess] = {}
        self._on_ready = on_ready
        self._on_change = on_change
        self._on_stopped = on_stopped
        self.tree: Tree = tree.create(plan.spec for plan in self._plans.values())

    def start(self) -> None:
        """Create every child."""
        self._apply(actor.StartTree())

    def stop(self, *, force: bool) -> None:
        """Stop every child, in order; `on_stopped` follows."""
        self._apply(actor.StopTree(force=force))

    def wake(self) -> None:
        """Look at the clock."""
        self._apply(actor.ClockAdvanced())

    def reconfigure(self, plans: Iterable[ChildPlan]) -> None:
        """Keep these children from now on; those that go on are not touched."""
        plans = list(plans)
        # What a child that leaves is made of is needed no more, but its name is until it has ended.
        self._plans.update({plan.spec.name: plan for plan in plans})
        self._apply(actor.Reconfigured(specs=tuple(plan.spec for plan in plans)))

    def replace(self, name: str, reason: str) -> None:
        """Stop a child in order and make another one, with a new first message."""
        self._apply(actor.ReplaceChild(name=name, reason=reason))

    def broadcast(self, message: Any) -> None:
        """Tell every child that works."""
        for name in self.tree.children:
            if (address := self.address(name)) is not None:
                self._owner.send(address, message)

    def address(self, name: str) -> ActorAddress | None:
        """Return the address of a child that works, or None."""
        child = self.tree.children.get(name)
        if child is None or child.state is not actor.ActorState.RUNNING:
            return None
        return self._addresses[name]

    def handle(self, message: Any, sender: ActorAddress) -> bool:
        """Take a message if it is about a child's life; return whether it was."""
        match message:
            case Ready(identity=identity, pid=pid):
                self._ready(identity, pid, sender)
            case Crashed(identity=identity, reason=reason):
                self._apply(actor.ChildCrashed(name=identity.name, incarnation=identity.incarnation, reason=reason))
            case Stopped(identity=identity):
                self._apply(actor.ChildStopped(name=identity.name, incarnation=identity.incarnation))
            case ChildActorExited():
                return True
            case _:
                return False
        return True

    def _ready(self, identity: Identity, pid: int, sender: ActorAddress) -> None:
        self._apply(actor.ChildReady(name=identity.name, incarnation=identity.incarnation, pid=pid))
        child = self.tree.children.get(identity.name)
        if child is None:
            # It was to go, and its end was noticed before its last words arrived.
            return
        if child.incarnation == identity.incarnation and child.state is actor.ActorState.RUNNING:
            # The sender is the child's real address; the one from its creation is only a promise of it.
            self._addresses[identity.name] = sender
            self._on_ready(identity.name, sender)

    def _exited(self, name: str, incarnation: int) -> None:
        ended = self._processes.pop(name)
        self._owner.unwatch(ended.pidfd)
        self._owner.outside.processes.forget(ended)
        self._apply(actor.ChildEnded(name=name, incarnation=incarnation))

    def _apply(self, event: actor.Event) -> None:
        self.tree, effects = tree.decide(self.tree, event, self._owner.outside.clock())
        self._on_change()
        for effect in effects:
            self._perform(effect)
        self._owner.wake_at(WAKE_KEY, tree.next_deadline(self.tree))

    def _perform(self, effect: actor.Effect) -> None:
        match effect:
            case actor.CreateActor(name=name, incarnation=incarnation):
                self._create(name, incarnation)
            case actor.AskToStop(name=name, force=force, leaving=leaving):
                self._owner.send(self._addresses[name], Stop(force=force, leaving=leaving))
            case actor.KillActor(name=name):
                self._kill(name)
            case actor.GiveUp(reason=reason):
                raise GaveUpError(reason)
            case actor.TellStopped():
                self._on_stopped()
            case _:
                assert_never(effect)

    def _create(self, name: str, incarnation: int) -> None:
        plan = self._plans[name]
        self._addresses[name] = self._owner.createActor(plan.actor_class)
        outside = self._owner.outside
        started = outside.processes.watch_child(outside.newest_child_pid(self._owner))
        self._processes[name] = started
        self._owner.watch(started.pidfd, lambda: self._exited(name, incarnation))
        self._owner.send(self._addresses[name], plan.first_message(incarnation))

    def _kill(self, name: str) -> None:
        if process := self._processes.get(name):
            self._owner.log.warning("actor %s (pid %d) overstayed its deadline: killed", name, process.process.pid)
            self._owner.outside.processes.kill(process)


class GaveUpError(Exception):
    """A supervisor could not keep its actors within the permitted intensity; its own end is the escalation."""
