"""Clusters that run in the background."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.cluster import Cluster
from support.waiting import wait_until

from quaestor_actors.cli.detach import LONGEST_LOG

TIMEOUT_S = 60.0


@pytest.fixture
def detached(cluster: Cluster) -> Iterator[Cluster]:
    """Yield a configured cluster, and end what was started of it."""
    yield cluster
    for process in cluster.relatives():
        process.kill()


def detach(cluster: Cluster, verb: str = "cluster") -> tuple[int, str]:
    """Run the command to its end."""
    ended = cluster.run(verb, "--detach", "-c", str(cluster.directory), timeout_s=TIMEOUT_S)
    assert ended.stdout == ""
    return ended.returncode, ended.stderr


def log(cluster: Cluster, name: str = "test") -> str:
    return (Path(cluster.environment["QUAESTOR_LOG_DIR"]) / name / "launcher.log").read_text()


def test__detach__returns_when_all_serve__and_refuses_a_second(detached: Cluster) -> None:
    code, told = detach(detached)
    assert code == 0, told
    status = detached.status()
    assert [member["state"] for member in status["members"]] == ["serving", "serving"]
    launcher = psutil.Process(status["launcher_pid"])
    assert f"test runs in the background (pid {launcher.pid}): 2/2 members serving" in told
    assert launcher.terminal() is None
    assert os.getsid(launcher.pid) == launcher.pid
    assert "all 2 members serve" in log(detached)
    code, told = detach(detached)
    assert (code, f"running already (launcher pid {launcher.pid})" in told) == (5, True)
    assert "running already" not in log(detached)
    launcher.send_signal(signal.SIGTERM)
    wait_until(lambda: not launcher.is_running(), TIMEOUT_S, "the end")
    assert log(detached).rstrip().endswith("stopped")
    assert detached.relatives() == []


def test__log_that_has_become_too_long__is_set_aside_while_the_launcher_runs(detached: Cluster) -> None:
    assert detach(detached)[0] == 0
    path = Path(detached.environment["QUAESTOR_LOG_DIR"]) / "test" / "launcher.log"
    with path.open("ab") as file:
        file.write(b"x" * LONGEST_LOG + b"\n")
    os.kill(detached.member("Worker/1")["pid"], signal.SIGKILL)
    wait_until(lambda: "restarted: killed by SIGKILL" in log(detached), TIMEOUT_S, "the news")
    assert path.stat().st_size < 10_000
    former = path.with_name("launcher.log.1")
    assert "all 2 members serve" in former.read_text()
    assert former.stat().st_size > LONGEST_LOG
    assert former.stat().st_mode & 0o777 == 0o600


def test__what_keeps_it_from_starting__is_the_command_s(detached: Cluster) -> None:
    with socket.create_server(("127.0.0.1", detached.balancer_port)):
        code, told = detach(detached)
    assert code == 5
    assert f"port {detached.balancer_port} is taken by pid {os.getpid()}" in told
    detached.configure(agent_extra="    processCuont: 1")
    code, told = detach(detached)
    assert (code, "processCuont: unknown key" in told) == (2, True)
    assert detached.relatives() == []


def test__members_that_do_not_serve__are_counted_when_their_time_is_over(detached: Cluster) -> None:
    detached.write("""
        - agentType: Deaf
          executablePath: /bin/sleep
          commandLineArguments: "1000"
          probe: tcp
          startupWaitSeconds: 1
          clusterShutdownAction: Kill
    """)
    code, told = detach(detached)
    assert (code, "0/1 members serving" in told) == (0, True)


def test__balancer_alone__too_and_in_json(detached: Cluster) -> None:
    detached.environment_extra["QUAESTOR_LOG_FORMAT"] = "json"
    code, told = detach(detached, "load-balancer")
    assert code == 0, told
    assert '"logger": "quaestor"' in log(detached, f"loadbalancer-{detached.balancer_port}")
