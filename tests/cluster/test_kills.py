"""Random SIGKILLs over every process of a running cluster, members and actors alike.

QUAESTOR_KILLS sets how many (500 shows what the issue asks for), QUAESTOR_KILLS_SEED which.
"""

from __future__ import annotations

import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.cluster import Cluster, make_cluster
from support.discovery import discovery
from support.waiting import wait_until

KILLS = int(os.environ.get("QUAESTOR_KILLS", "40"))
SEED = int(os.environ.get("QUAESTOR_KILLS_SEED", "1"))
WHOLE_TIMEOUT_S = 30.0


@pytest.fixture
def sample(tmp_path: Path) -> Iterator[Cluster]:
    cluster = make_cluster(tmp_path, workers=3)
    # Without pauses, so that many kills fit into the time; they are tested elsewhere.
    cluster.configure(agent_extra="    backoffInitialSeconds: 0.05\n    backoffMaxSeconds: 0.1")
    yield cluster
    cluster.clean_up()


def others(cluster: Cluster) -> list[psutil.Process]:
    """Return every process of the cluster but its launcher."""
    assert cluster.launcher is not None
    return [process for process in cluster.relatives() if process.pid != cluster.launcher.pid]


def member_of(process: psutil.Process) -> str | None:
    """Return which member a session leader says it is."""
    try:
        tag = process.environ().get("QUAESTOR_MEMBER")
        alive = process.status() != psutil.STATUS_ZOMBIE and os.getsid(process.pid) == process.pid
    except (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError):
        return None
    return tag.rsplit(" ", 2)[0].rpartition("json ")[2] if tag and alive else None


def actor_of(process: psutil.Process) -> str | None:
    """Return which actor a process's title names."""
    try:
        title = " ".join(process.cmdline())
        return title if title.startswith("quaestor: ") and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def doubled_members(cluster: Cluster) -> dict[str, list[int]]:
    """Return the members that two live processes claim to be, both seen alive after both were found."""
    found: dict[str, list[psutil.Process]] = defaultdict(list)
    for process in others(cluster):
        if (name := member_of(process)) is not None:
            found[name].append(process)
    alive = {
        name: [p.pid for p in claimants if member_of(p)] for name, claimants in found.items() if len(claimants) > 1
    }
    return {name: pids for name, pids in alive.items() if len(pids) > 1}


def is_whole(cluster: Cluster) -> bool:
    """Return whether every actor runs once and every member serves."""
    document = cluster.status_or_none()
    if document is None:
        return False
    titles = Counter(title for process in others(cluster) if (title := actor_of(process)))
    serving = all(member["state"] == "serving" for member in document["members"])
    running = all(actor["state"] == "running" for actor in document["actors"])
    return serving and running and len(document["actors"]) == 5 and set(titles.values()) == {1}


@pytest.mark.timeout(60 + KILLS * 5)
def test__random_kills__never_double_anything_and_leave_the_cluster_whole(sample: Cluster) -> None:
    sample.launch()
    wait_until(lambda: is_whole(sample), timeout_s=WHOLE_TIMEOUT_S, what="the cluster to be whole")
    before = Counter({actor_of(p) or member_of(p): p.num_fds() for p in others(sample)})
    chance = random.Random(SEED)
    number = 0
    while number < KILLS:
        victims = wait_until(lambda: others(sample), timeout_s=WHOLE_TIMEOUT_S, what="a process to kill")
        try:
            chance.choice(victims).kill()
        except psutil.NoSuchProcess:
            continue
        number += 1
        assert not doubled_members(sample), f"after kill {number} of seed {SEED}"
        # Now and then the next one hits a cluster that has come to itself.
        if chance.random() < 0.3:
            wait_until(lambda: is_whole(sample), timeout_s=WHOLE_TIMEOUT_S, what=f"the cluster after kill {number}")
    wait_until(lambda: is_whole(sample), timeout_s=WHOLE_TIMEOUT_S, what="the cluster to be whole at the end")
    assert not doubled_members(sample)
    with discovery(sample.balancer_port) as client:
        wait_until(lambda: client.all() == sorted(sample.worker_ports), what="all locations")
    wait_until(lambda: not _surplus(sample, before), what="no descriptors to be left over")
    assert sample.stop() == 0
    assert not sample.relatives()


def _surplus(cluster: Cluster, before: Counter[str | None]) -> dict[str | None, int]:
    """Return the descriptors by which processes noticeably exceed what their counterparts had at the start."""
    now = {actor_of(p) or member_of(p): p.num_fds() for p in others(cluster)}
    return {name: count - before[name] for name, count in now.items() if count > before[name] + 4}
