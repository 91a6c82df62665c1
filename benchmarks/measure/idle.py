"""Processor time of supervisors that have nothing to do.

All peers idle at the same time, each from five seconds after its own start: what each uses is counted process by
process, in the scheduler's nanoseconds. Beside it, for comparison, what the kernel charges in ticks, which includes
children that have ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from peers.peer import Peer, sleepers

from measure import processes
from measure.deployment import Deployment
from measure.follower import following
from measure.session import Session, deployed, start

COUNTS = (100, 1_000)
_SETTLE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Processor time of one supervisor's own processes up to some moment, and the members that it had then."""

    at: float
    scheduled_ns: int
    charged_s: float
    members: frozenset[int]


def _usage(deployment: Deployment) -> Usage:
    members = deployment.members()
    own = deployment.tree() - members
    return Usage(
        at=time.monotonic(),
        scheduled_ns=processes.scheduled_ns(own),
        charged_s=processes.charged_s(own),
        members=frozenset(members),
    )


def measure(session: Session) -> None:
    """Measure with each number of members."""
    for members in COUNTS:
        with ExitStack() as running:
            windows: dict[str, tuple[Deployment, Usage]] = {}
            # The first, which is ours, is started last: its time is the shortest, and what it does once after a start
            # weighs most.
            for peer in reversed(session.peers.values()):
                with session.attempt(f"{peer.name}: {members} members, to be idle"):
                    deployment = running.enter_context(_started(session, peer, members))
                    time.sleep(_SETTLE_S)
                    windows[peer.name] = (deployment, _usage(deployment))
            for name, (deployment, before) in windows.items():
                with session.attempt(f"{name}: {members} idle members"):
                    time.sleep(max(0.0, before.at + session.thoroughness.idle_s - time.monotonic()))
                    _compare(session, name, before, _usage(deployment))


@contextmanager
def _started(session: Session, peer: Peer, members: int) -> Iterator[Deployment]:
    workload = sleepers(members)
    with deployed(session, peer, workload) as deployment:
        with following(workload.is_member) as follower:
            start(deployment, follower, members=members)
        yield deployment


def _compare(session: Session, name: str, before: Usage, after: Usage) -> None:
    members = len(before.members)
    if after.members != before.members:
        session.figures.fail(f"{name}: was not idle with {members} members: it replaced some of them")
        return
    elapsed_s = after.at - before.at
    scheduled = (after.scheduled_ns - before.scheduled_ns) / 1e9 / elapsed_s
    charged = (after.charged_s - before.charged_s) / elapsed_s
    session.figures.add(f"idle_{members}_percent", name, 100 * scheduled)
    session.figures.add(f"idle_{members}_charged_percent", name, 100 * charged)
