"""The events that the root writes down: of actors, the registry, the balancer's locations, reloads, and the cluster.

Those of members and agents are in the rings of the agents' supervisors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from quaestor_actors.actors.base import TreeActor
from quaestor_actors.actors.event_ring import EventRing
from quaestor_actors.actors.view import ActorView, CoordinationView, LocationView, RegistryView
from quaestor_actors.core.actor import ActorState
from quaestor_actors.core.event import Event, EventKind
from quaestor_actors.core.plan import Plan

RING_NAME = "cluster.events"

_BACK = frozenset({ActorState.STARTING.value, ActorState.RUNNING.value})
_ENDED = frozenset(
    {ActorState.CRASHED.value, ActorState.BACKING_OFF.value, ActorState.FAILED.value, ActorState.DONE.value}
)


class RootNotes:
    """The ring of events of a root."""

    def __init__(self, owner: TreeActor, *, cluster: str, log_directory: Path) -> None:
        """Name the file; nothing is written yet."""
        self._cluster = cluster
        self._ring = EventRing(owner, log_directory / RING_NAME)
        self._phase: str | None = None

    def cluster(self, phase: str, reason: str) -> None:
        """Write down that the cluster runs, stops or has stopped; what is written already is not repeated."""
        if phase == self._phase:
            return
        before, self._phase = self._phase, phase
        self._ring.write([self._event(EventKind.CLUSTER, self._cluster, before=before, after=phase, reason=reason)])

    def actors(self, before: Mapping[str, ActorView], after: Mapping[str, ActorView]) -> None:
        """Write down which actors have failed or were replaced; that all start and stop with the cluster is no news."""
        self._ring.write(of_actors(before, after, at=self._ring.now))

    def registry(self, before: RegistryView | None, after: RegistryView) -> None:
        """Write down how the registry stands with a store that others share."""
        if after.store == "memory":
            return
        was = None if before is None else before.state
        if was != after.state:
            reason = f"{after.store}: {after.reason}" if after.reason else after.store
            self._ring.write(
                [self._event(EventKind.REGISTRY, "registry", before=was, after=after.state, reason=reason)]
            )

    def metrics(self, trouble: str) -> None:
        """Write down why the metrics cannot be had."""
        self._ring.write([self._event(EventKind.ACTOR, "metrics", before=None, after="waiting", reason=trouble)])

    def coordination(self, before: CoordinationView | None, after: CoordinationView) -> None:
        """Write down who coordinates now, and that the store of several hosts was lost or is back."""
        was = "" if before is None else before.coordinator
        if was != after.coordinator:
            who = after.coordinator or "nobody"
            reason = "by what is written in the store"
            self._ring.write([self._event(EventKind.HOST, "coordinator", before=was or None, after=who, reason=reason)])
        had, has = before is not None and bool(before.trouble), bool(after.trouble)
        if had != has:
            states = ("out of touch", "in touch") if had else ("in touch", "out of touch")
            reason = f"what floats here ends with its lease: {after.trouble}" if has else "the store answers"
            self._ring.write(
                [self._event(EventKind.HOST, after.host, before=states[0], after=states[1], reason=reason)]
            )

    def locations(self, changed: Iterable[LocationView]) -> None:
        """Write down which locations the balancer began or ceased to hand out."""
        self._ring.write(
            self._event(
                EventKind.LOCATION,
                f"{each.service} at {each.address}",
                before="offered" if each.state == "withheld" else None,
                after=each.state,
                reason=each.detail,
            )
            for each in changed
        )

    def reloaded(self, plan: Plan) -> None:
        """Write down what a new configuration changes, or why it cannot be carried out."""
        if plan.refusal is not None:
            told = [("refused", plan.refusal)]
        else:
            told = [("changed", str(action)) for action in plan.actions]
        self._ring.write(
            self._event(EventKind.CONFIGURATION, self._cluster, before=None, after=after, reason=reason)
            for after, reason in told
        )

    def scaled(self, agent: str, plan: Plan) -> None:
        """Write down that an operator has changed the number of an agent's members."""
        self._ring.write(
            self._event(EventKind.CONFIGURATION, agent, before=None, after="scaled by hand", reason=str(action))
            for action in plan.actions
        )

    def _event(self, kind: EventKind, subject: str, *, before: str | None, after: str, reason: str) -> Event:
        return Event(at=self._ring.now, kind=kind, subject=subject, before=before, after=after, reason=reason)


def of_actors(before: Mapping[str, ActorView], after: Mapping[str, ActorView], *, at: float) -> Iterator[Event]:
    """Yield an event for each actor that has ended by itself, is being replaced, or works again."""
    for name, actor in after.items():
        former = before.get(name)
        if former is not None and (former.state, former.restarts) == (actor.state, actor.restarts):
            continue
        if actor.state in _ENDED or (actor.restarts and actor.state in _BACK):
            yield Event(
                at=at,
                kind=EventKind.ACTOR,
                subject=name,
                before=None if former is None else former.state,
                after=actor.state,
                reason=actor.reason,
                pid=actor.pid,
                incarnation=actor.restarts + 1,
                restarts=actor.restarts,
            )
