"""Taking members out of service: drained, asked by the right signal, killed with all that they started."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from support.cluster import Cluster
from support.processes import is_alive
from support.waiting import wait_until

WITH_CHILD = "sleep 100000 &\necho $! > {file}\n{end}"
FOR_EVER = "while :; do sleep 0.01; done"


def shell_job(cluster: Cluster, script: str, extra: str = "") -> str:
    """Return an agent whose member is a shell script."""
    path = cluster.directory / "job.sh"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return f"""
  - agentType: Job
    executablePath: {path}
    probe: none
    clusterShutdownAction: Kill
    {extra}
"""


def pid_in(file: Path) -> int:
    return int(wait_until(lambda: file.exists() and file.read_text().strip(), what=f"a pid in {file.name}"))


def test__busy_member__is_deregistered_and_then_drained_until_the_deadline(cluster: Cluster) -> None:
    cluster.configure(agent_extra="    drainSeconds: 0.7")
    text = (cluster.directory / "quaestor.cluster.config.yml").read_text()
    # Worker/1 reports one running request for ever.
    (cluster.directory / "quaestor.cluster.config.yml").write_text(text.replace('Worker {Port}"', 'Worker {Port} 0 1"'))
    cluster.launch()
    assert cluster.run("stop", "Worker/1").returncode == 0
    stopped = cluster.wait_for_member("Worker/1", "stopped")
    assert "requests still running after 0.7 s" in stopped["reason"]
    assert any(line.startswith("draining") for line in cluster.told("Worker/1"))


def test__idle_member__is_stopped_without_waiting(cluster: Cluster) -> None:
    cluster.configure(agent_extra="    drainSeconds: 60")
    cluster.launch()
    assert cluster.stop(timeout_s=10) == 0


def test__stop_signal__is_the_configured_one(cluster: Cluster) -> None:
    said = cluster.directory / "said"
    script = f"trap 'echo usr2 > {said}; exit 0' USR2\ntouch {said}.ready\n{FOR_EVER}"
    cluster.write(shell_job(cluster, script, "stopSignal: SIGUSR2"))
    cluster.launch()
    wait_until(Path(f"{said}.ready").exists, what="the trap to be set")
    assert cluster.stop() == 0
    assert said.read_text() == "usr2\n"


def test__member_that_ignores_the_signal__is_killed_at_the_deadline_with_its_children(cluster: Cluster) -> None:
    file = cluster.directory / "child"
    script = f"trap : TERM\n{WITH_CHILD.format(file=file, end=FOR_EVER)}"
    cluster.write(shell_job(cluster, script, "maxShutdownTimeSeconds: 0.3"))
    cluster.launch()
    child = psutil.Process(pid_in(file))
    assert cluster.stop() == 0
    assert "cluster stop; killed by SIGKILL" in cluster.output
    assert not child.is_running()


@pytest.mark.parametrize("is_adopted", [False, True])
def test__member_that_dies__takes_its_children_along_before_it_is_replaced(
    cluster: Cluster, *, is_adopted: bool
) -> None:
    file = cluster.directory / "child"
    cluster.write(shell_job(cluster, WITH_CHILD.format(file=file, end="wait")))
    cluster.launch()
    child = psutil.Process(pid_in(file))
    member = cluster.member("Job/1")
    if is_adopted:
        os.kill(cluster.actor_pid("agent/Job"), signal.SIGKILL)
        wait_until(lambda: cluster.run("status").returncode == 0, what="the tree to answer")
        cluster.wait_for_output("agent/Job    running")
    os.kill(member["pid"], signal.SIGKILL)
    wait_until(lambda: any("; restarted: " in line for line in cluster.told("Job/1")), what="the replacement")
    wait_until(lambda: not is_alive(child), what="the child to be gone")


def test__ten_members__take_as_long_as_one(cluster: Cluster) -> None:
    def stop_s(count: int) -> float:
        extra = f"processCount: {count}\n    maxShutdownTimeSeconds: 30"
        cluster.write(shell_job(cluster, f"trap 'sleep 1; exit 0' TERM\n{FOR_EVER}", extra))
        cluster.launch()
        began = time.monotonic()
        assert cluster.stop() == 0
        return time.monotonic() - began

    # Each needs one second: one after the other would be ten.
    assert stop_s(10) < stop_s(1) + 5


def test__supervisor_killed_while_stopping__its_members_are_stopped_all_the_same(cluster: Cluster) -> None:
    cluster.write(shell_job(cluster, f"trap : TERM\n{FOR_EVER}", "maxShutdownTimeSeconds: 3"))
    cluster.launch()
    member = psutil.Process(cluster.member("Job/1")["pid"])
    agent = cluster.actor_pid("agent/Job")
    assert cluster.launcher is not None
    cluster.launcher.terminate()
    cluster.wait_for_output("Job/1        stopping")
    os.kill(agent, signal.SIGKILL)
    assert cluster.wait_for_end() == 0
    assert not member.is_running()


def test__second_signal__kills_at_once(cluster: Cluster) -> None:
    cluster.write(shell_job(cluster, f"trap : TERM\n{FOR_EVER}", "maxShutdownTimeSeconds: 600"))
    cluster.launch()
    assert cluster.launcher is not None
    cluster.launcher.terminate()
    cluster.wait_for_output("Job/1        stopping")
    assert cluster.stop(timeout_s=10) == 0
