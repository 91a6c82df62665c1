"""A member's port that somebody else holds: taken over if it serves, named if it does not."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil
from support.cluster import Cluster
from support.waiting import wait_until
from support.workers import run_worker


def test__server_already_serving__is_taken_over_and_never_ended(cluster: Cluster) -> None:
    port = cluster.worker_ports[0]
    with run_worker(port=port) as worker:
        cluster.launch()
        member = cluster.member("Worker/1")
        assert member["pid"] == worker.process.pid
        assert "it serves, and is taken over" in member["reason"]
        assert cluster.member("Worker/2")["pid"] != worker.process.pid
        assert cluster.stop() == 0
        assert worker.process.poll() is None
        assert "its process is not this cluster's and goes on" in cluster.output


def test__taken_over_server_that_ends__is_replaced_by_a_member(cluster: Cluster) -> None:
    port = cluster.worker_ports[0]
    with run_worker(port=port) as worker:
        cluster.launch()
        worker.process.kill()
        cluster.wait_for_output("restarted: the process that was taken over ended")
    member = cluster.wait_for_member("Worker/1", "serving")
    assert member["port"] == port
    assert psutil.Process(member["pid"]).ppid() == cluster.actor_pid("agent/Worker")


def test__port_held_by_something_else__names_the_holder_and_retries(cluster: Cluster) -> None:
    port = cluster.worker_ports[0]
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", port))
        holder.listen()
        cluster.configure(cluster_extra="  memberResponseTimeOutSeconds: 0.3")
        cluster.launch(wait_for="Worker/1     backing off")
        named = f"port {port} is taken by pid {psutil.Process().pid} ("
        assert any(named in line for line in cluster.told("Worker/1"))
    cluster.wait_for_member("Worker/1", "serving")


def test__own_member_left_behind_without_a_state_file__is_adopted(cluster: Cluster, tmp_path: Path) -> None:
    cluster.configure(shutdown_action="None")
    cluster.launch()
    before = cluster.member("Worker/1")["pid"]
    assert cluster.stop() == 0
    for file in tmp_path.glob("run/*/agents/*.json"):
        file.write_bytes(b'{"version":3,"boot":"another"}\n{"member": torn')
    cluster.launch()
    assert cluster.member("Worker/1")["pid"] == before
    # It is known again as this cluster's own, so that it may be ended.
    assert cluster.run("restart", "Worker/1").returncode == 0
    wait_until(lambda: cluster.member("Worker/1")["pid"] not in {None, before}, what="the restart")
