"""Other ways to the same cluster: built in Python, with the balancer as a process, or with bad luck at the start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cluster import QUAESTOR, ROOT, Cluster
from support.discovery import discovery
from support.ports import free_port
from support.sample_ports import BALANCER_PORT, WORKER_PORTS, sample_ports
from support.waiting import wait_until


@pytest.fixture
def sample(tmp_path: Path) -> Iterator[Cluster]:
    """Yield what watches the sample, and ends it."""
    watching = Cluster(directory=tmp_path, worker_ports=WORKER_PORTS, balancer_port=BALANCER_PORT)
    with sample_ports():
        yield watching
        watching.clean_up()


def test__cluster_in_python__is_the_sample(sample: Cluster, tmp_path: Path) -> None:
    with (tmp_path / "launcher.out").open("wb") as output:
        sample.launcher = subprocess.Popen(
            [sys.executable, ROOT / "examples" / "hello_world" / "cluster.py"],
            env=sample.environment,
            stdout=output,
            stderr=output,
        )
    sample.wait_for_output("all 4 members serve")
    with discovery(sample.balancer_port) as client:
        wait_until(lambda: client.all() == list(WORKER_PORTS), what="four locations")
    assert sample.stop(signal.SIGINT) == 0


def test__load_balancer_with_an_executable__is_a_managed_process(cluster: Cluster, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    other = Cluster(directory=inner, worker_ports=cluster.worker_ports, balancer_port=cluster.balancer_port)
    other.configure_balancer()
    config = tmp_path / "quaestor.cluster.config.yml"
    managed = f"""  - agentType: LoadBalancer
    executablePath: {QUAESTOR.with_name("quaestor-loadbalancer")}
    commandLineArguments: "--configDir {inner}"
    ports: [{cluster.balancer_port}]
    hostName: 127.0.0.1
    serviceNames: [ServiceDiscoveryGrpc]
    clusterShutdownAction: Kill
"""
    config.write_text(config.read_text().replace("  - agentType: LoadBalancer\n", managed))
    cluster.launch(wait_for="all 3 members serve")
    assert cluster.member("LoadBalancer/1")["state"] == "serving"
    with discovery(cluster.balancer_port) as client:
        wait_until(lambda: client.all() == sorted(cluster.worker_ports), what="both locations")
    os.kill(cluster.member("LoadBalancer/1")["pid"], signal.SIGKILL)
    wait_until(lambda: cluster.member("LoadBalancer/1")["restarts"] >= 1, what="the restart")
    wait_until(lambda: cluster.member("LoadBalancer/1")["state"] == "serving", timeout_s=20, what="the balancer")
    assert cluster.stop() == 0


def test__port_held_by_a_stranger__names_the_holder(cluster: Cluster) -> None:
    port = cluster.worker_ports[0]
    stranger = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with subprocess.Popen(stranger, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            cluster.launch(wait_for=f"port {port} is taken by pid {process.pid}")
            assert cluster.member("Worker/2")["state"] in {"starting", "serving"}
        finally:
            process.kill()
    wait_until(lambda: cluster.member("Worker/1")["state"] == "serving", timeout_s=30, what="the port's end")


def test__missing_executable_at_run_time__is_given_up_with_a_reason(cluster: Cluster, tmp_path: Path) -> None:
    script = tmp_path / "gone"
    script.write_text("#!/bin/sh\nexit 3\n")
    script.chmod(0o700)
    config = tmp_path / "quaestor.cluster.config.yml"
    text = config.read_text().replace(str(ROOT / "examples" / "hello_world" / "worker.py"), str(script))
    config.write_text(text.replace(f"name: {cluster.name}", f"name: {cluster.name}\n  memberMaxStartupRetries: 2"))
    cluster.launch(wait_for="given up after 2 failed starts in a row; the last: exited with code 3")
    assert cluster.member("Worker/1")["state"] == "failed"
    assert cluster.stop() == 0


@pytest.mark.parametrize("signal_twice", [signal.SIGINT])
def test__second_signal__does_not_wait_for_members_that_ignore_the_first(
    cluster: Cluster, tmp_path: Path, signal_twice: signal.Signals
) -> None:
    script = tmp_path / "stubborn"
    script.write_text("#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n")
    script.chmod(0o700)
    config = tmp_path / "quaestor.cluster.config.yml"
    text = config.read_text().replace(str(ROOT / "examples" / "hello_world" / "worker.py"), str(script))
    config.write_text(text.replace("    serviceNames: [Worker]\n", "", 1))
    cluster.environment_extra["QUAESTOR_ASSUME_PROCESS_ALWAYS_HEALTHY"] = "true"
    cluster.launch()
    assert cluster.launcher is not None
    cluster.launcher.send_signal(signal_twice)
    cluster.wait_for_output("Worker/2     stopping")
    assert cluster.stop(signal_twice) == 0
    assert "ending members at once" in cluster.output


def test__free_ports__are_taken_when_none_are_named(cluster: Cluster, tmp_path: Path) -> None:
    config = tmp_path / "quaestor.cluster.config.yml"
    config.write_text("\n".join(line for line in config.read_text().splitlines() if "ports:" not in line))
    cluster.launch()
    ports = [member["port"] for member in cluster.status()["members"]]
    assert len(set(ports)) == 2
    assert free_port() not in ports
    with discovery(cluster.balancer_port) as client:
        wait_until(lambda: client.all() == sorted(ports), what="both locations")


THIEF = """
import socket, sys
while True:
    try:
        server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
        break
    except OSError:
        continue
print("stolen", flush=True)
sys.stdin.read()
"""


def test__balancer_whose_port_was_stolen__says_why_and_comes_back_when_it_is_free(running: Cluster) -> None:
    thief = [
        sys.executable,
        "-c",
        THIEF,
        str(running.balancer_port),
    ]
    members = {member["member"]: member["pid"] for member in running.status()["members"]}
    os.kill(running.actor_pid("balancer"), signal.SIGSTOP)
    with subprocess.Popen(thief, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        os.kill(running.actor_pid("balancer"), signal.SIGKILL)
        assert process.stdout.readline() == "stolen\n"

        def reason() -> str:
            balancer = next(actor for actor in running.status()["actors"] if actor["name"] == "balancer")
            return str(balancer["reason"]) if balancer["state"] == "backing_off" else ""

        assert f"port {running.balancer_port}" in wait_until(reason, timeout_s=15, what="the balancer's reason")
        process.stdin.close()
        process.wait(10)
    with discovery(running.balancer_port) as client:
        wait_until(lambda: client.all_or_nothing() == sorted(running.worker_ports), timeout_s=15, what="the answers")
    assert {member["member"]: member["pid"] for member in running.status()["members"]} == members
