"""From the SIGKILL of one of ten members to the existence of its replacement.

A trial kills the member that has run longest, at a random moment, and only when it has run for longer than any compared
supervisor takes for a sign of trouble (the longest such time is one second): no back-off is measured. The clock is read
just before kill(2); the end is the kernel's time of the fork of the process that then executes the member's command.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Sequence
from functools import partial

from peers.peer import Peer, sleepers

from measure.follower import DeadlineError, Follower, following
from measure.session import Session, deployed, start

MEMBERS = 10
SETTLED_S = 1.5
_UNDISTURBED_S = 0.02
"""Nothing is looked at for this long after a kill, so that the supervisor has the machine for itself."""
_LOOK_S = 0.01
_DEADLINE_S = 30.0


def measure(session: Session) -> None:
    """Let every peer have its turn in each round."""
    for number in range(session.thoroughness.restart_rounds):
        session.each(f"restarts, round {number + 1}", partial(_turn, session))


def _turn(session: Session, peer: Peer) -> None:
    workload = sleepers(MEMBERS, immediate=True)
    with following(workload.is_member) as follower, deployed(session, peer, workload) as deployment:
        start(deployment, follower, members=MEMBERS)
        end = time.monotonic() + session.thoroughness.restart_round_s
        for _ in range(session.thoroughness.restarts_per_round):
            victim = _oldest_settled(follower)
            _lose_step(session.figures.samples.get("forked_ms", {}).get(peer.name, []))
            if time.monotonic() > end:
                break
            forked_ms, executed_ms = _trial(follower, victim)
            session.figures.add("forked_ms", peer.name, forked_ms)
            session.figures.add("executed_ms", peer.name, executed_ms)
        found = len(deployment.members())
        if found != MEMBERS:
            session.figures.fail(f"{peer.name}: {found} members instead of {MEMBERS} after the restarts")


def _oldest_settled(follower: Follower) -> int:
    """Return the member that has run longest, as soon as it has run long enough."""
    victim, since_ns = min(follower.members.items(), key=lambda item: item[1])
    time.sleep(max(0.0, SETTLED_S - (time.monotonic_ns() - since_ns) / 1e9))
    return victim


def _lose_step(latencies_ms: Sequence[float]) -> None:
    """Wait by chance, for up to twice the longest restart so far.

    A supervisor that looks now and then has just looked when it has replaced a member: killing the next one at once
    would always find it at the beginning of its pause.
    """
    time.sleep(random.random() * 2 * max(latencies_ms, default=0.0) / 1e3)  # noqa: S311 - no secret


def _trial(follower: Follower, victim: int) -> tuple[float, float]:
    """Kill a member; return the milliseconds until its replacement was forked, and until it ran its command."""
    follower.update()
    before = set(follower.members)
    killed_ns = time.monotonic_ns()
    os.kill(victim, signal.SIGKILL)
    time.sleep(_UNDISTURBED_S)
    follower.wait(lambda: bool(follower.members.keys() - before), deadline_s=_DEADLINE_S, pause_s=_LOOK_S)
    replacement = (follower.members.keys() - before).pop()
    fork = follower.forks.get(replacement)
    if fork is None:
        raise DeadlineError(f"the fork of {replacement} was not told")
    return (fork.at_ns - killed_ns) / 1e6, (follower.members[replacement] - killed_ns) / 1e6
