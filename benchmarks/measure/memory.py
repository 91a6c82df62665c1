"""Memory of supervisors' own processes, as the kernel's proportional set size, each peer alone on the machine.

A page that several processes share counts for each by its part, so the sum over a tree counts it once.
"""

from __future__ import annotations

import time
from functools import partial

from peers.peer import Peer, sleepers

from measure import processes
from measure.follower import following
from measure.session import Session, deployed, start

COUNTS = (1, 100, 1_000)
SETTLE_S = 2.0
BYTES_PER_MB = 1_000_000
_BYTES_PER_KB = 1_000


def measure(session: Session) -> None:
    """Measure with each number of members; the difference of the larger two is what a member costs."""
    for members in COUNTS:
        session.each(f"memory with {members} members", partial(_one, session, members))
    fewer, more = COUNTS[-2:]
    for peer in session.peers:
        low = session.figures.value(f"pss_{fewer}_mb", peer)
        high = session.figures.value(f"pss_{more}_mb", peer)
        if low is not None and high is not None:
            per_member = (high - low) * BYTES_PER_MB / _BYTES_PER_KB / (more - fewer)
            session.figures.add("member_kb", peer, per_member)


def _one(session: Session, members: int, peer: Peer) -> None:
    workload = sleepers(members)
    with following(workload.is_member) as follower, deployed(session, peer, workload) as deployment:
        start(deployment, follower, members=members)
        time.sleep(SETTLE_S)
        used = processes.proportional_bytes(deployment.own())
        session.figures.add(f"pss_{members}_mb", peer.name, used / BYTES_PER_MB)
