"""What a member's process is started with, and where its output goes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest
from support.cluster import Cluster
from support.waiting import wait_until

PRINTER = """
  - agentType: Job
    executablePath: {script}
    probe: none
    clusterShutdownAction: Kill
    {extra}
"""


def printer(cluster: Cluster, script: str, extra: str = "") -> str:
    path = cluster.directory / "job.sh"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return PRINTER.format(script=path, extra=extra)


def log_of(cluster: Cluster) -> Path:
    return next((cluster.directory / "log").glob("*/Job-1.log"))


def test__options__reach_the_process(cluster: Cluster) -> None:
    (cluster.directory / "place").mkdir()
    extra = (
        'workingDirectory: place\n    umask: "027"\n    rlimits: {nofile: 123}\n    environmentVariables: {COLOUR: red}'
    )
    cluster.write(printer(cluster, 'pwd; umask; ulimit -n; echo "$COLOUR"; exec sleep 100000', extra))
    cluster.launch()
    wait_until(lambda: log_of(cluster).read_text().count("\n") == 4, what="the output")
    assert log_of(cluster).read_text().splitlines() == [str(cluster.directory / "place"), "0027", "123", "red"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root may start processes as somebody else")
def test__user__is_who_the_process_runs_as(cluster: Cluster) -> None:
    cluster.write(
        """
  - agentType: Job
    executablePath: /bin/sleep
    commandLineArguments: "100000"
    user: nobody
    probe: none
    clusterShutdownAction: Kill
"""
    )
    cluster.launch()
    assert psutil.Process(cluster.member("Job/1")["pid"]).username() == "nobody"


def test__output__is_rotated_while_the_member_writes_and_survives_the_supervisor(cluster: Cluster) -> None:
    script = 'i=0; while :; do i=$((i+1)); echo "line $i of a member that says a lot"; done'
    cluster.write(
        printer(cluster, script, "logMaxMegabytes: 1\n    logFiles: 2"), cluster_extra="heartBeatIntervalSeconds: 0.2"
    )
    cluster.launch()
    log = log_of(cluster)
    wait_until(lambda: log.with_name("Job-1.log.2").exists(), timeout_s=30, what="two rotations")
    os.kill(cluster.actor_pid("agent/Job"), signal.SIGKILL)
    size = log.stat().st_size
    wait_until(lambda: log.stat().st_size != size, what="the member to write on")
    cluster.wait_for_output("agent/Job    running")
    assert not log.with_name("Job-1.log.3").exists()
    assert cluster.member("Job/1")["restarts"] == 0
