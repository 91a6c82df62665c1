"""A balancer of several processes on one port."""

from __future__ import annotations

import os
import signal

import psutil
from support.cluster import Cluster
from support.discovery import discovery
from support.waiting import wait_until

FRONTENDS = 3
NAMES = ["balancer", "balancer/2", "balancer/3"]


def listeners(cluster: Cluster) -> set[int]:
    """Return the pids that listen on the balancer's port."""
    return {
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
        and connection.laddr.port == cluster.balancer_port
        and connection.pid is not None
    }


def frontends(cluster: Cluster) -> dict[str, int]:
    """Return the pids of the frontends that run, by name."""
    actors = cluster.status()["actors"]
    return {actor["name"]: actor["pid"] for actor in actors if actor["name"] in NAMES and actor["state"] == "running"}


def set_frontends(cluster: Cluster, count: int) -> None:
    file = cluster.directory / "quaestor.loadbalancer.config.yml"
    kept = [line for line in file.read_text().splitlines() if "frontends:" not in line]
    kept.insert(kept.index("loadBalancerConfig:") + 1, f"  frontends: {count}")
    file.write_text("\n".join(kept) + "\n")


def wait_for_frontends(cluster: Cluster, names: list[str]) -> None:
    wait_until(lambda: list(frontends(cluster)) == names, what=f"{names} to run")
    wait_until(lambda: listeners(cluster) == set(frontends(cluster).values()), what="them to listen")


def test__frontends__share_the_port_and_each_other_s_work(cluster: Cluster) -> None:
    cluster.configure()
    set_frontends(cluster, FRONTENDS)
    cluster.launch()
    before = frontends(cluster)
    assert list(before) == NAMES
    wait_until(lambda: listeners(cluster) == set(before.values()), what="all to listen")
    os.kill(before["balancer"], signal.SIGKILL)
    with discovery(cluster.balancer_port) as client:
        # The others answer meanwhile; a new connection may meet the dead one's last moment.
        wait_until(lambda: client.all_or_nothing() == sorted(cluster.worker_ports), what="an answer")
    wait_until(lambda: len(frontends(cluster)) == FRONTENDS, what="the first one's successor")
    after = frontends(cluster)
    assert after["balancer"] != before["balancer"]
    assert {**before, "balancer": after["balancer"]} == after
    wait_until(lambda: listeners(cluster) == set(after.values()), what="all to listen again")


def test__number_of_frontends__may_change_while_running(cluster: Cluster) -> None:
    cluster.configure()
    cluster.launch()
    assert cluster.launcher is not None
    for count in (FRONTENDS, 1):
        set_frontends(cluster, count)
        cluster.launcher.send_signal(signal.SIGHUP)
        wait_for_frontends(cluster, NAMES[:count])
        with discovery(cluster.balancer_port) as client:
            wait_until(lambda: client.all_or_nothing() == sorted(cluster.worker_ports), what="an answer")
    assert cluster.stop() == 0
