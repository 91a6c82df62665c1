"""Memory of our own tree: what an agent costs, and the sample cluster, whose tree has every kind of actor."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from peers import ours
from peers.peer import sleepers

from measure import processes
from measure.deployment import Deployment
from measure.follower import DeadlineError, following
from measure.memory import BYTES_PER_MB, SETTLE_S
from measure.session import Session, start

AGENTS = (1, 2, 5)
_SERVING_DEADLINE_S = 30.0
_STATUS_DEADLINE_S = 10.0
_PAUSE_S = 0.3


def measure(session: Session) -> None:
    """Measure the cost of agents, then the sample."""
    peer = session.peers.get("ours")
    if not isinstance(peer, ours.Ours):
        return
    with session.attempt(f"ours: memory with {', '.join(map(str, AGENTS))} agents"):
        used = {agents: _with_agents(session, peer, agents) for agents in AGENTS}
        fewest, *_, most = AGENTS
        for agents, size in used.items():
            session.figures.add(f"agents_{agents}_mb", peer.name, size / BYTES_PER_MB)
        each = (used[most] - used[fewest]) / (most - fewest)
        session.figures.add("agent_mb", peer.name, each / BYTES_PER_MB)
    with session.attempt("ours: memory of the sample"):
        own, workers = _sample(session, peer)
        session.figures.add("sample_mb", peer.name, own / BYTES_PER_MB)
        session.figures.add("sample_workers_mb", peer.name, workers / BYTES_PER_MB)


def _with_agents(session: Session, peer: ours.Ours, agents: int) -> int:
    workload = sleepers(1)
    directory = session.new_directory()
    launch = peer.configure_agents(directory, workload, agents=agents)
    with (
        following(workload.is_member) as follower,
        Deployment(launch, directory=directory, is_member=workload.is_member) as deployment,
    ):
        start(deployment, follower, members=agents)
        time.sleep(SETTLE_S)
        return processes.proportional_bytes(deployment.own())


def _sample(session: Session, peer: ours.Ours) -> tuple[int, int]:
    directory = session.new_directory()
    launch = peer.configure_sample(directory)
    with Deployment(launch, directory=directory, is_member=_is_worker) as deployment:
        deployment.start()
        _wait_until_serving({**os.environ, **launch.environment})
        time.sleep(SETTLE_S)
        members = deployment.members()
        return (
            processes.proportional_bytes(deployment.tree() - members),
            processes.proportional_bytes(members),
        )


def _is_worker(command_line: tuple[str, ...]) -> bool:
    return any(Path(part).name == "worker.py" for part in command_line)


def _wait_until_serving(environment: dict[str, str]) -> None:
    deadline = time.monotonic() + _SERVING_DEADLINE_S
    while time.monotonic() < deadline:
        asked = subprocess.run(
            [str(ours.program()), "status", "-o", "json"],
            env=environment,
            capture_output=True,
            check=False,
            timeout=_STATUS_DEADLINE_S,
        )
        members = json.loads(asked.stdout)["members"] if asked.returncode == 0 else []
        if members and all(member["state"] == "serving" for member in members):
            return
        time.sleep(_PAUSE_S)
    raise DeadlineError(f"the sample does not serve within {_SERVING_DEADLINE_S:g} s")
