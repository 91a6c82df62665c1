"""The metrics of real clusters, as Prometheus would scrape them."""

from __future__ import annotations

import os
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.cluster import Cluster
from support.ports import free_port
from support.waiting import wait_until

TIMEOUT_S = 30.0


def scrape(port: int) -> dict[tuple[str, frozenset[str]], float]:
    """Return the value of each sample, by its name and the values of its labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=TIMEOUT_S) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = answer.read().decode()
    families = text_string_to_metric_families(text)
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def value(port: int, name: str, *labels: str) -> float:
    return scrape(port).get((name, frozenset(labels)), -1.0)


@pytest.fixture
def port(cluster: Cluster) -> int:
    """Configure metrics, and return their port."""
    found = free_port()
    cluster.configure(cluster_extra=f"  metrics: {{port: {found}}}")
    return found


def test__cluster__is_counted_and_counts_survive_who_counts(cluster: Cluster, port: int) -> None:
    cluster.launch()
    cluster.wait_for_output(f"metrics on http://127.0.0.1:{port}/metrics")
    assert value(port, "quaestor_members", "Worker", "serving") == 2
    wait_until(lambda: value(port, "quaestor_probe_duration_seconds_count", "Worker") >= 2, TIMEOUT_S, "checks")
    assert value(port, "quaestor_discover_empty_total", "balancer", "DiscoverServices") == 0
    cluster.run("discover", "Nobody")
    cluster.run("discover", "Worker", "--top", "1")
    assert value(port, "quaestor_discover_empty_total", "balancer", "DiscoverServices") == 1
    assert value(port, "quaestor_discover_duration_seconds_count", "balancer", "DiscoverTopServices") == 1
    os.kill(cluster.member("Worker/1")["pid"], signal.SIGKILL)
    ended = ("quaestor_member_restarts_total", "Worker", "Worker/1", "exited")
    wait_until(lambda: value(port, *ended) == 1, TIMEOUT_S, "the restart to be counted")
    for name in ("agent/Worker", "balancer"):
        former = cluster.actor_pid(name)
        os.kill(former, signal.SIGKILL)
        wait_until(lambda: cluster.actor_is_replaced(name, former), TIMEOUT_S, f"{name} to be replaced")  # noqa: B023
        wait_until(lambda: value(port, "quaestor_actor_restarts_total", name) == 1, TIMEOUT_S, "it to be counted")  # noqa: B023
    assert value(port, *ended) == 1
    assert value(port, "quaestor_discover_duration_seconds_count", "balancer", "DiscoverTopServices") == 1


def test__killed__it_is_replaced_and_answers_again(cluster: Cluster, port: int) -> None:
    cluster.launch()
    cluster.wait_for_output("metrics on")
    former = cluster.actor_pid("metrics")
    os.kill(former, signal.SIGKILL)
    wait_until(lambda: cluster.actor_is_replaced("metrics", former), TIMEOUT_S, "it to be replaced")
    assert value(port, "quaestor_actor_restarts_total", "metrics") == 1
    assert cluster.stop() == 0


def test__root_that_hangs__gives_503_and_then_the_metrics(cluster: Cluster, port: int) -> None:
    cluster.launch()
    cluster.wait_for_output("metrics on")
    root = cluster.actor_pid("root")
    os.kill(root, signal.SIGSTOP)
    try:
        with pytest.raises(urllib.error.HTTPError, match="503"):
            scrape(port)
    finally:
        os.kill(root, signal.SIGCONT)
    assert value(port, "quaestor_members", "Worker", "serving") == 2


def test__port_taken__at_the_start__says_by_whom(cluster: Cluster, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        answer = cluster.run("cluster", "-c", str(cluster.directory), timeout_s=60)
    assert answer.returncode == 5
    assert f"the metrics' port {port} on 127.0.0.1 is taken by pid {os.getpid()}" in answer.stderr
    assert "set another port of metrics" in answer.stderr


def test__changed_configuration__brings_moves_and_ends_them(cluster: Cluster, port: int) -> None:
    cluster.configure()
    cluster.launch()
    with socket.create_server(("127.0.0.1", port)):
        cluster.configure(cluster_extra=f"  metrics: {{port: {port}}}")
        # Nothing but the metrics waits for a port that is taken.
        cluster.wait_for_output(f"the metrics' port {port} on 127.0.0.1 is taken by pid {os.getpid()}")
        assert "the metrics' port" in cluster.run("events", "metrics").stdout
    cluster.wait_for_output(f"metrics on http://127.0.0.1:{port}/metrics")
    other = free_port()
    cluster.configure(cluster_extra=f"  metrics: {{port: {other}}}")
    cluster.wait_for_output(f"metrics on http://127.0.0.1:{other}/metrics")
    assert value(other, "quaestor_members", "Worker", "serving") == 2
    cluster.configure()
    wait_until(lambda: all(a["name"] != "metrics" for a in cluster.status()["actors"]), TIMEOUT_S, "them to end")


def test__balancer_alone__has_them_too(cluster: Cluster, port: int, tmp_path: Path) -> None:
    file = tmp_path / "quaestor.loadbalancer.config.yml"
    file.write_text(file.read_text().replace("  port:", f"  metrics: {{port: {port}}}\n  port:"))
    cluster.launch("load-balancer", wait_for="metrics on")
    # The metrics may be there before the registry.
    wait_until(lambda: value(port, "quaestor_registry_locations", "memory") == 2, TIMEOUT_S, "the registry")
    assert value(port, "quaestor_members", "Worker", "serving") == -1
