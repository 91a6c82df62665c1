"""A member that exits at once: how often it is started, and what that costs, with every peer's own defaults."""

from __future__ import annotations

import time
from functools import partial

from peers.peer import Peer, Workload, write_script

from measure import processes
from measure.deployment import Deployment
from measure.session import Session

_FIRST_S = 5.0
"""The first attempts come in quick succession everywhere; the price is what is paid from then on."""


def measure(session: Session) -> None:
    """Measure each peer alone."""
    session.each("crash loop", partial(_one, session))


def _one(session: Session, peer: Peer) -> None:
    directory = session.new_directory()
    starts = directory / "starts"
    # Each start leaves a mark: a process that lives for a millisecond is not seen from outside.
    script = write_script(directory / "crash", f"echo >> {starts}", "exit 1")
    workload = Workload(command=(str(script), "now"), count=1)
    launch = peer.configure(directory, workload)
    with Deployment(launch, directory=directory, is_member=workload.is_member) as deployment:
        deployment.start()
        time.sleep(_FIRST_S)
        # The children count too, once they have ended: starting them is what the loop costs.
        before_s = processes.charged_s(deployment.own())
        rest_s = session.thoroughness.crash_loop_s - _FIRST_S
        time.sleep(rest_s)
        spent_s = processes.charged_s(deployment.own()) - before_s
        session.figures.add("crash_starts", peer.name, starts.stat().st_size)
        session.figures.add("crash_percent", peer.name, 100 * spent_s / rest_s)
