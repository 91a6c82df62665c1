"""A thousand members: until all run, until all have ended, and until the supervisor is gone too.

The start is counted from the execution of the supervisor's own command, so its own start counts too, to the kernel's
time at which the last member executed its command. The stop is counted from the supervisor's stop signal.
"""

from __future__ import annotations

import time
from functools import partial

from peers.peer import Peer, sleepers

from measure.deployment import Deployment
from measure.follower import Follower, following
from measure.session import Session, deployed, start

MEMBERS = 1_000
SETTLE_S = 2.0
_STOP_DEADLINE_S = 60.0
_LOOK_S = 0.05


def measure(session: Session) -> None:
    """Let every peer have its turn in each round."""
    for number in range(session.thoroughness.scale_rounds):
        session.each(f"{MEMBERS} members, round {number + 1}", partial(_turn, session))


def _turn(session: Session, peer: Peer) -> None:
    workload = sleepers(MEMBERS)
    with following(workload.is_member) as follower, deployed(session, peer, workload) as deployment:
        session.figures.add("start_s", peer.name, start(deployment, follower, members=MEMBERS))
        time.sleep(SETTLE_S)
        stopped_s, gone_s = _stop(deployment, follower)
        session.figures.add("stop_s", peer.name, stopped_s)
        session.figures.add("gone_s", peer.name, gone_s)


def _stop(deployment: Deployment, follower: Follower) -> tuple[float, float]:
    follower.update()
    members = set(follower.members)
    tree = deployment.tree()
    asked_ns = time.monotonic_ns()
    deployment.ask_to_stop()

    def all_gone() -> bool:
        # What is forked on the way out belongs to the tree.
        newcomers = {fork.pid for fork in follower.forks.values() if fork.at_ns > asked_ns and fork.parent in tree}
        tree.update(newcomers)
        return tree <= follower.exits.keys()

    follower.wait(all_gone, deadline_s=_STOP_DEADLINE_S, pause_s=_LOOK_S)
    last_member_ns = max(follower.exits[pid] for pid in members)
    last_ns = max(follower.exits[pid] for pid in tree)
    return (last_member_ns - asked_ns) / 1e9, (last_ns - asked_ns) / 1e9
