"""The actors under a supervisor: which must exist, what follows when one ends, and the order in which they stop.

Strategy one_for_one: an actor that ends is replaced at once; one that goes on ending, after growing pauses, so that a
cause that passes (a port that somebody holds for a while) does not bring the tree down. If more actors end within the
period than the intensity allows, the supervisor gives up (OTP: it terminates, and its own supervisor decides). An actor
with a rule of its own for its end does not count there: it may be done, or given up, and the others go on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType
from typing import assert_never

from quaestor_actors.core.actor import (
    ABSENT,
    AT_REST,
    ActorState,
    AskToStop,
    Child,
    ChildCrashed,
    ChildEnded,
    ChildReady,
    ChildSpec,
    ChildStopped,
    ClockAdvanced,
    CreateActor,
    Effect,
    Event,
    GiveUp,
    KillActor,
    Reconfigured,
    ReplaceChild,
    StartTree,
    StopTree,
    TellStopped,
    Tree,
)
from quaestor_actors.core.restart import Intensity, RestartType

READY_DEADLINE_S = 10.0
"""An actor that has not said it is ready by then is killed and replaced."""

EXIT_DEADLINE_S = 1.0
"""An actor that reported its own crash, or that it has stopped, and still exists after this time is killed."""


Step = tuple[Tree, tuple[Effect, ...]]


def create(specs: Iterable[ChildSpec], intensity: Intensity | None = None) -> Tree:
    """Return a tree of which nothing is started yet."""
    children = {spec.name: Child(spec=spec) for spec in specs}
    tree = Tree(children=MappingProxyType(children))
    return tree if intensity is None else replace(tree, intensity=intensity)


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
        case Reconfigured():
            return _reconfigured(tree, event, now)
        case ReplaceChild():
            return _replace_child(tree, event, now)
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
            replacing=False,
            finished=False,
        )
        tree = _put(tree, started)
        effects.append(CreateActor(name=child.spec.name, incarnation=incarnation))
    return tree, tuple(effects)


def _current(tree: Tree, name: str, incarnation: int) -> Child | None:
    child = tree.children.get(name)
    return child if child is not None and child.incarnation == incarnation else None


def _ready(tree: Tree, event: ChildReady, now: float) -> Tree:
    child = _current(tree, event.name, event.incarnation)
    if child is None or child.state is not ActorState.STARTING or child.replacing:
        return tree
    return _put(tree, replace(child, state=ActorState.RUNNING, pid=event.pid, since=now, deadline=None))


def _crashed(tree: Tree, event: ChildCrashed, now: float) -> Tree:
    child = _current(tree, event.name, event.incarnation)
    if child is None or child.state in ABSENT:
        return tree
    was_asked = tree.stopping and child.state is ActorState.STOPPING
    state = ActorState.STOPPING if was_asked else ActorState.CRASHED
    failures = 0 if _is_stable(tree, child, now) else child.failures
    deadline = now + EXIT_DEADLINE_S
    return _put(tree, replace(child, state=state, reason=event.reason, since=now, deadline=deadline, failures=failures))


def _is_stable(tree: Tree, child: Child, now: float) -> bool:
    return child.state is ActorState.RUNNING and now - child.since >= tree.backoff.stable_s


def _stopped(tree: Tree, event: ChildStopped, now: float) -> Tree:
    child = _current(tree, event.name, event.incarnation)
    if (
        child is not None
        and child.state in {ActorState.STARTING, ActorState.RUNNING}
        and child.spec.own_end is not None
    ):
        return _put(tree, replace(child, finished=True, reason="it has done its work", deadline=now + EXIT_DEADLINE_S))
    if child is None or child.state is not ActorState.STOPPING:
        return tree
    reason = child.reason if child.replacing else "stopped in order"
    return _put(tree, replace(child, reason=reason, stops=0, deadline=now + EXIT_DEADLINE_S))


def _ended(tree: Tree, event: ChildEnded, now: float) -> Step:
    child = _current(tree, event.name, event.incarnation)
    if child is None or child.state in ABSENT or tree.given_up:
        return tree, ()
    is_stopping = child.state is ActorState.STOPPING
    was_asked = child.leaving or (tree.stopping and is_stopping and not child.replacing)
    if was_asked and 0 < child.stops < child.spec.stop_tries:
        return _stop_again(tree, child, now)
    has_stopped = is_stopping and child.stops == 0
    if tree.stopping and not was_asked and not has_stopped and child.stops + 1 < child.spec.stop_tries:
        # It has not been asked in its turn yet, and what it keeps has to stop all the same.
        tree, created = _create(tree, [replace(child, stops=child.stops + 1)], _what_is_left(child), now)
        tree, asked = _next_rank(tree, now)
        return tree, (*created, *asked)
    if tree.stopping:
        ended = replace(child, state=ActorState.STOPPED, pid=None, since=now, deadline=None)
        return _next_rank(_put(tree, ended), now)
    if child.leaving:
        return _forget(tree, child), ()
    if child.replacing:
        return _create(tree, [replace(child, stops=0)], child.reason, now)
    has_said_why = child.finished or child.state is ActorState.CRASHED
    reason = child.reason if has_said_why else "its process ended unexpectedly"
    if child.spec.own_end is not None:
        return _end_by_own_rule(tree, child, reason, now)
    return _restart(tree, child, reason, now)


def _end_by_own_rule(tree: Tree, child: Child, reason: str, now: float) -> Step:
    rule = child.spec.own_end
    assert rule is not None  # noqa: S101 - checked by the caller
    ended = replace(child, state=ActorState.DONE, pid=None, since=now, reason=reason, deadline=None)
    if rule.restart is RestartType.TRANSIENT and child.finished:
        return _put(tree, ended), ()
    if rule.restart is RestartType.TEMPORARY:
        why = reason if child.finished else f"{reason}; not started again, as it is temporary"
        return _put(tree, replace(ended, reason=why)), ()
    if rule.intensity is not None:
        recent = (*rule.intensity.recent(child.restarts, now), now)
        if len(recent) > rule.intensity.limit:
            limit, period_s = rule.intensity.limit, rule.intensity.period_s
            why = f"{len(recent)} restarts within {period_s:g} s (limit {limit}); the last: {reason}"
            return _put(tree, replace(ended, state=ActorState.FAILED, reason=why, restarts=recent)), ()
        child = replace(child, restarts=recent)
    return _start_again(tree, child, reason, now)


def _restart(tree: Tree, child: Child, reason: str, now: float) -> Step:
    recent = (*(at for at in tree.restarts if at > now - tree.intensity.period_s), now)
    tree = replace(tree, restarts=recent)
    if len(recent) > tree.intensity.limit:
        why = (
            f"{len(recent)} restarts of actors within {tree.intensity.period_s:g} s "
            f"(limit {tree.intensity.limit}); the last: {child.spec.name}: {reason}"
        )
        return replace(tree, given_up=True), (GiveUp(reason=why),)
    return _start_again(tree, child, reason, now)


def _start_again(tree: Tree, child: Child, reason: str, now: float) -> Step:
    failures = 1 if _is_stable(tree, child, now) else child.failures + 1
    child = replace(child, failures=failures)
    delay_s = tree.backoff.delay_s(failures)
    if delay_s == 0.0:
        return _create(tree, [child], f"restarted: {reason}", now)
    waiting = f"{reason}; failure {failures} in a row, next try after {delay_s:g} s"
    pause = replace(child, state=ActorState.BACKING_OFF, pid=None, since=now, reason=waiting, deadline=now + delay_s)
    return _put(tree, pause), ()


def _stop(tree: Tree, now: float, *, force: bool) -> Step:
    if not tree.stopping:
        absent = [c for c in tree.children.values() if c.state in {ActorState.PENDING, ActorState.BACKING_OFF}]
        unborn = [replace(c, state=ActorState.STOPPED, deadline=None) for c in absent if not _has_left_something(c)]
        tree = replace(_put(tree, *unborn), stopping=True, forced=force)
        effects: list[Effect] = []
        for child in absent:
            if _has_left_something(child):
                tree, created = _create(tree, [child], _what_is_left(child), now)
                effects.extend(created)
        tree, caused = _next_rank(tree, now)
        return tree, (*effects, *caused)
    if not force or tree.forced:
        return tree, ()
    asked = [c.spec.name for c in tree.children.values() if c.state is ActorState.STOPPING]
    return replace(tree, forced=True), tuple(AskToStop(name=name, force=True) for name in asked)


def _next_rank(tree: Tree, now: float) -> Step:
    left = [c for c in tree.children.values() if c.state not in AT_REST]
    if not left:
        return tree, (TellStopped(),)
    rank = min(child.spec.stop_rank for child in left)
    due = [c for c in left if c.spec.stop_rank == rank and c.state is not ActorState.STOPPING]
    tree = _put(tree, *(_stopping(child, "cluster stop", now) for child in due))
    return tree, tuple(AskToStop(name=c.spec.name, force=tree.forced) for c in due)


def _stopping(child: Child, reason: str, now: float) -> Child:
    deadline = now + child.spec.stop_deadline_s
    # One that is asked again, after having left and come back, is still the same actor.
    stops = max(child.stops, 1) if child.state is ActorState.STOPPING else child.stops + 1
    return replace(child, state=ActorState.STOPPING, since=now, reason=reason, deadline=deadline, stops=stops)


def _stop_again(tree: Tree, child: Child, now: float) -> Step:
    """Have a new actor stop what the one that ended has left: processes must not outlive the cluster by accident."""
    tree, created = _create(tree, [child], _what_is_left(child), now)
    tree = _put(tree, _stopping(tree.children[child.spec.name], "cluster stop", now))
    return tree, (*created, AskToStop(name=child.spec.name, force=tree.forced, leaving=child.leaving))


def _has_left_something(child: Child) -> bool:
    return child.state is ActorState.BACKING_OFF and child.spec.stop_tries > 1


def _what_is_left(child: Child) -> str:
    return f"created to stop what is left: {child.reason}"


def _forget(tree: Tree, child: Child) -> Tree:
    return replace(tree, children=MappingProxyType({n: c for n, c in tree.children.items() if n != child.spec.name}))


def _reconfigured(tree: Tree, event: Reconfigured, now: float) -> Step:
    if tree.stopping or tree.given_up:
        return tree, ()
    specs = {spec.name: spec for spec in event.specs}
    effects: list[Effect] = []
    for name, child in tree.children.items():
        if name in specs:
            back = child.leaving
            tree = _put(tree, replace(child, spec=specs[name], leaving=False, replacing=child.replacing or back))
        elif _has_left_something(child):
            tree, caused = _stop_again(tree, replace(child, leaving=True), now)
            effects.extend(caused)
        elif child.state in ABSENT:
            tree = _forget(tree, child)
        elif not child.leaving:
            tree = _put(tree, replace(_stopping(child, "no longer configured", now), leaving=True))
            effects.append(AskToStop(name=name, leaving=True))
    new = [Child(spec=spec) for name, spec in specs.items() if name not in tree.children]
    tree, created = _create(tree, new, "added to the configuration", now)
    return tree, (*effects, *created)


def _replace_child(tree: Tree, event: ReplaceChild, now: float) -> Step:
    child = tree.children.get(event.name)
    if child is None or tree.stopping or tree.given_up or child.leaving:
        return tree, ()
    if child.state in ABSENT:
        fresh = replace(child, restarts=(), failures=0) if child.state in AT_REST else child
        return _create(tree, [fresh], event.reason, now)
    if child.state is ActorState.STOPPING:
        return _put(tree, replace(child, replacing=True)), ()
    if child.state is not ActorState.RUNNING:
        # It is being created with an older first message: it goes, too, but it cannot be asked yet.
        going = replace(child, replacing=True, reason=event.reason, deadline=now)
        return _put(tree, going), (KillActor(name=event.name, incarnation=child.incarnation),)
    return _put(tree, replace(_stopping(child, event.reason, now), replacing=True)), (AskToStop(name=event.name),)


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
