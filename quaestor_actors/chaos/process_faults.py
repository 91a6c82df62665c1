"""Faults of single processes: signals, and descriptors that run out."""

from __future__ import annotations

import os
import resource
import signal

from quaestor_actors.chaos.fault import Injury, NotPossibleError
from quaestor_actors.chaos.plan import Action, Fault, Role
from quaestor_actors.chaos.sighting import Seen
from quaestor_actors.chaos.world import World

_ON_THE_WAY = frozenset({Role.LAUNCHER, Role.ACTOR_SYSTEM, Role.ROOT, Role.BALANCER})
"""Whose trouble keeps clients from answers: the balancer, and those whose end, or whose successor, ends it."""

_SIGNALS = {Fault.KILL: signal.SIGKILL, Fault.TERMINATE: signal.SIGTERM}


def end(world: World, action: Action) -> Injury:
    """Kill or terminate a process."""
    target = _target(world, action)
    _send(world, target, _SIGNALS[action.fault])
    return Injury(what=f"{action.fault} {target}", blocks_answers=target.role in _ON_THE_WAY)


def hang(world: World, action: Action) -> Injury:
    """Stop a process, and let it go on later."""
    target = _target(world, action)
    _send(world, target, signal.SIGSTOP)

    def go_on() -> None:
        world.signal(target, signal.SIGCONT)

    return Injury(
        what=f"hang {target} for {action.lasts_s:g} s",
        lasts_s=action.lasts_s,
        mend=go_on,
        blocks_answers=target.role in _ON_THE_WAY,
    )


def use_up_descriptors(world: World, action: Action) -> Injury:
    """Let a process open nothing more than it has; what it starts meanwhile inherits that."""
    target = _target(world, action)
    try:
        used = len(os.listdir(f"/proc/{target.pid}/fd"))  # noqa: PTH208 - names are enough
        soft, hard = resource.prlimit(target.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(target.pid, resource.RLIMIT_NOFILE, (used, hard))
    except (FileNotFoundError, ProcessLookupError) as error:
        raise NotPossibleError(f"{target} has just ended") from error

    def give_back() -> None:
        for each in world.look().processes:
            try:
                now, _ = resource.prlimit(each.pid, resource.RLIMIT_NOFILE)
                if now == used:
                    resource.prlimit(each.pid, resource.RLIMIT_NOFILE, (soft, hard))
            except ProcessLookupError:
                continue

    return Injury(
        what=f"no descriptors beyond {used} for {target} for {action.lasts_s:g} s",
        lasts_s=action.lasts_s,
        mend=give_back,
        blocks_answers=target.role in _ON_THE_WAY,
    )


def _target(world: World, action: Action) -> Seen:
    if action.role is None:
        raise NotPossibleError("it names no process")
    return world.find(action.role, action.index)


def _send(world: World, target: Seen, number: signal.Signals) -> None:
    if not world.signal(target, number):
        raise NotPossibleError(f"{target} has just ended")
