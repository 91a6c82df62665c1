"""The actors under the root: which must exist, what follows when one ends, and the order in which they stop.

Strategy one_for_one: an actor that ends is replaced at once; one that goes on ending, after growing pauses, so that a
cause that passes (a port that somebody holds for a while) does not bring the tree down. If more actors end within the
period than the intensity allows, the supervisor gives up (OTP: it terminates, and its own supervisor decides).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import assert_never

from quaestor_actors.core.restart import Backoff

READY_DEADLINE_S = 10.0
"""An actor that has not said it is ready by then is killed and replaced."""

EXIT_DEADLINE_S = 1.0
"""An actor that reported its own crash, or that it has stopped, and still exists after this time is killed."""


class ActorState(StrEnum):
    """Where an actor of the tree is in its life."""

    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    CRASHED = "crashed"
    BACKING_OFF = "backing_off"
    STOPPING = "stopping"
    STOPPED = "stopped"


ABSENT = frozenset({ActorState.PENDING, ActorState.BACKING_OFF, ActorState.STOPPED})
"""States without an actor; what is told of one then is late, because its end was told already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """An actor that the root keeps."""

    name: str
    stop_rank: int
    """Actors of a lower rank have stopped before those of a higher one are asked to."""
    stop_deadline_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """Everything the root knows about one actor. Times are seconds of the caller's monotonic clock."""

    spec: ChildSpec
    state: ActorState = ActorState.PENDING
    incarnation: int = 0
    pid: int | None = None
    since: float = 0.0
    reason: str = "not started yet"
    deadline: float | None = None
    failures: int = 0
    """Ends in a row without a stable time between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intensity:
    """More than `limit` restarts within `period_s` make the supervisor give up."""

    limit: int = 10
    period_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """All actors by name, and the recent restarts."""

    children: Mapping[str, Child]
    intensity: Intensity = field(default_factory=Intensity)
    backoff: Backoff = field(default_factory=lambda: Backoff(initial_s=0.2, cap_s=5.0))
    restarts: tuple[float, ...] = ()
    stopping: bool = False
    forced: bool = False
    given_up: bool = False


@dataclass(frozen=True, slots=True)
class StartTree:
    """Create every actor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildReady:
    """An actor works."""

    name: str
    incarnation: int
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildCrashed:
    """An actor reports the exception that ends it; its end follows."""

    name: str
    incarnation: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildStopped:
    """An actor reports that it has stopped in order; its end follows."""

    name: str
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEnded:
    """An actor exists no longer. May be told more than once."""

    name: str
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTree:
    """Stop everything, in order; `force` skips politeness towards members."""

    force: bool = False


@dataclass(frozen=True, slots=True)
class ClockAdvanced:
    """A deadline may have passed for any actor."""


Event = StartTree | ChildReady | ChildCrashed | ChildStopped | ChildEnded | StopTree | ClockAdvanced


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateActor:
    """Create this incarnation and tell it to start."""

    name: str
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AskToStop:
    """Ask an actor to stop what it keeps, and report."""

    name: str
    force: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KillActor:
    """End the actor's process now; its own children end with it."""

    name: str
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """The root cannot keep its actors; it ends and its guardian decides."""

    reason: str


@dataclass(frozen=True, slots=True)
class TellStopped:
    """Everything has stopped."""


Effect = CreateActor | AskToStop | KillActor | GiveUp | TellStopped
Step = tuple[Tree, tuple[Effect, ...]]


def create(specs: Iterable[ChildSpec], intensity: Intensity | None = None) -> Tree:
    """Return a tree of which nothing is started yet."""
    children = {spec.name: Child(spec=spec) for spec in specs}
    return Tree(children=MappingProxyType(children), intensity=intensity or Intensity())


def decide(tree: Tree, event: Event, now: float) -> Step:
    """Return the tree after the event and what must be done because of it, in order."""
    match event:
        case StartTree():
            pending = [c for c in tree.children.values() if c.state is ActorState.PENDING]
            return _create(tree, pending, "started with the cluster", now)
        case ChildReady():
            return _ready(tree, event, now), ()
        case ChildCrashed():
            return _crashed(tree, event, now), ()
        case ChildStopped():
            return _stopped(tree, event, now), ()
        case ChildEnded():
            return _ended(tree, event, now)
        case StopTree():
            return _stop(tree, now, force=event.force)
        case ClockAdvanced():
            return _clock_advanced(tree, now)
        case _:
            assert_never(event)


def next_deadline(tree: Tree) -> float | None:
    """Return when the tree must look at the clock again; None if nothing waits for time."""
    return min((c.deadline for c in tree.children.values() if c.deadline is not None), default=None)


def all_running(tree: Tree) -> bool:
    """Return whether every actor works."""
    return all(child.state is ActorState.RUNNING for child in tree.children.values())


def _put(tree: Tree, *changed: Child) -> Tree:
    children = dict(tree.children)
    children.update({child.spec.name: child for child in changed})
    return replace(tree, children=MappingProxyType(children))


def _create(tree: Tree, children: Iterable[Child], reason: str, now: float) -> Step:
    effects: list[Effect] = []
    for child in children:
        incarnation = child.incarnation + 1
        started = replace(
            child,
            state=ActorState.STARTING,
            incarnation=incarnation,
            pid=None,
            since=now,
            reason=reason,
            deadline=now + READY_DEADLINE_S,
        )
        tree = _put(tree, started)
        effects.append(CreateActor(name=child.spec.name, incarnation=incarnation))
    return tree, tuple(effects)


def _current(tree: Tree, name: str, incarnation: int) -> Child | None:
    child = tree.children.get(name)
    return child if child is not None and child.incarnation == incarnation else None


def _ready(tree: Tree, event: ChildReady, now: float) -> Tree:
    child = _current(tree, event.name, event.incarnation)
    if child is None or child.state is not ActorState.STARTING:
        return tree
    return _put(tree, replace(child, state=ActorState.RUNNING, pid=event.pid, since=now, deadline=None))


def _crashed(tree: Tree, event: ChildCrashed, now: float) -> Tree:
    child = _current(tree, event.name, event.incarnation)
    if child is None or child.state in ABSENT:
        return tree
    state = ActorState.STOPPING if tree.stopping else ActorState.CRASHED
    return _put(tree, replace(child, state=state, reason=event.reason, since=now, deadline=now + EXIT_DEADLINE_S))


def _stopped(tree: Tree, event: ChildStopped, now: float) -> Tree:
    child = _current(tree, event.name, event.incarnation)
    if child is None or child.state is not ActorState.STOPPING:
        return tree
    return _put(tree, replace(child, reason="stopped in order", deadline=now + EXIT_DEADLINE_S))


def _ended(tree: Tree, event: ChildEnded, now: float) -> Step:
    child = _current(tree, event.name, event.incarnation)
    if child is None or child.state in ABSENT or tree.given_up:
        return tree, ()
    if tree.stopping:
        ended = replace(child, state=ActorState.STOPPED, pid=None, since=now, deadline=None)
        return _next_rank(_put(tree, ended), now)
    reason = child.reason if child.state is ActorState.CRASHED else "its process ended unexpectedly"
    return _restart(tree, child, reason, now)


def _restart(tree: Tree, child: Child, reason: str, now: float) -> Step:
    recent = (*(at for at in tree.restarts if at > now - tree.intensity.period_s), now)
    tree = replace(tree, restarts=recent)
    if len(recent) > tree.intensity.limit:
        why = (
            f"{len(recent)} restarts of actors within {tree.intensity.period_s:g} s "
            f"(limit {tree.intensity.limit}); the last: {child.spec.name}: {reason}"
        )
        return replace(tree, given_up=True), (GiveUp(reason=why),)
    was_stable = child.state is ActorState.RUNNING and now - child.since >= tree.backoff.stable_s
    failures = 1 if was_stable else child.failures + 1
    child = replace(child, failures=failures)
    delay_s = tree.backoff.delay_s(failures)
    if delay_s == 0.0:
        return _create(tree, [child], f"restarted: {reason}", now)
    waiting = f"{reason}; failure {failures} in a row, next try after {delay_s:g} s"
    pause = replace(child, state=ActorState.BACKING_OFF, pid=None, since=now, reason=waiting, deadline=now + delay_s)
    return _put(tree, pause), ()


def _stop(tree: Tree, now: float, *, force: bool) -> Step:
    if not tree.stopping:
        absent = {ActorState.PENDING, ActorState.BACKING_OFF}
        unborn = [
            replace(c, state=ActorState.STOPPED, deadline=None) for c in tree.children.values() if c.state in absent
        ]
        return _next_rank(replace(_put(tree, *unborn), stopping=True, forced=force), now)
    if not force or tree.forced:
        return tree, ()
    asked = [c.spec.name for c in tree.children.values() if c.state is ActorState.STOPPING]
    return replace(tree, forced=True), tuple(AskToStop(name=name, force=True) for name in asked)


def _next_rank(tree: Tree, now: float) -> Step:
    left = [c for c in tree.children.values() if c.state is not ActorState.STOPPED]
    if not left:
        return tree, (TellStopped(),)
    rank = min(child.spec.stop_rank for child in left)
    due = [c for c in left if c.spec.stop_rank == rank and c.state is not ActorState.STOPPING]
    asked = [
        replace(
            c,
            state=ActorState.STOPPING,
            since=now,
            reason="cluster stop",
            deadline=now + c.spec.stop_deadline_s,
        )
        for c in due
    ]
    return _put(tree, *asked), tuple(AskToStop(name=c.spec.name, force=tree.forced) for c in asked)


def _clock_advanced(tree: Tree, now: float) -> Step:
    if tree.given_up:
        return tree, ()
    effects: list[Effect] = []
    for child in tree.children.values():
        if child.deadline is None or child.deadline > now:
            continue
        if child.state is ActorState.BACKING_OFF:
            tree, created = _create(tree, [child], f"restarted: {child.reason}", now)
            effects.extend(created)
        else:
            tree = _put(tree, replace(child, deadline=now + EXIT_DEADLINE_S))
            effects.append(KillActor(name=child.spec.name, incarnation=child.incarnation))
    return tree, tuple(effects)
