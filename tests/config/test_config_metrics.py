"""Where the metrics are to be had, in both files."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.config_hosts import agent, complaints, load

from quaestor_actors.config.balancer import load_balancer
from quaestor_actors.core.spec import MetricsSpec
from quaestor_actors.errors import ConfigError

WORKER = "\nagents: {Worker: {ports: [5161]}}\n"


def balancer(folder: Path, config: str) -> MetricsSpec | None:
    """Return what the file of a balancer says that runs alone."""
    (folder / "quaestor.loadbalancer.config.yml").write_text(f"loadBalancerConfig: {{{config}}}{WORKER}")
    return load_balancer(folder, environ={}).spec.metrics


def test__cluster__has_them_where_it_says(tmp_path: Path) -> None:
    assert load(tmp_path, agent("A"), config="logLevel: info", environ={}).spec.metrics is None
    found = load(tmp_path, agent("A"), config="metrics: {PORT: 9150}", environ={}).spec.metrics
    assert found == MetricsSpec(port=9150, host="127.0.0.1")


def test__balancer_alone__too(tmp_path: Path) -> None:
    assert balancer(tmp_path, "port: 5150") is None
    assert balancer(tmp_path, "metrics: {port: 9150, host: 0.0.0.0}") == MetricsSpec(port=9150, host="0.0.0.0")  # noqa: S104


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ("{}", "clusterConfig.metrics.port: missing; write {port: 9150}, or another free port"),
        ("{port: 0}", "clusterConfig.metrics.port: "),
        ("{prot: 9150}", "clusterConfig.metrics.prot: unknown key (did you mean port?)"),
        ("9150", "clusterConfig.metrics: "),
    ],
)
def test__cluster__what_is_wrong(tmp_path: Path, metrics: str, expected: str) -> None:
    (found,) = complaints(tmp_path, agent("A"), config=f"metrics: {metrics}")
    assert found.startswith(expected)


def test__port__that_a_member_has__is_a_fault(tmp_path: Path) -> None:
    found = complaints(tmp_path, agent("A", "ports: [9150]"), config="metrics: {port: 9150}")
    assert len(found) == 1
    assert "9150" in found[0]
    assert "the metrics" in found[0]


def test__port__that_the_balancer_has__is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"metrics\.port: port 9150 is taken by the load balancer"):
        balancer(tmp_path, "port: 9150, metrics: {port: 9150}")


def test__cluster__that_says_it_in_the_balancer_s_file__is_warned(tmp_path: Path) -> None:
    (tmp_path / "quaestor.loadbalancer.config.yml").write_text("loadBalancerConfig: {metrics: {port: 9150}}\n")
    loaded = load(tmp_path, "  - agentType: LoadBalancer\n", config="logLevel: info", environ={})
    assert loaded.spec.metrics is None
    (warning,) = loaded.warnings
    assert "loadBalancerConfig.metrics: has no effect here; quaestor.cluster.config.yml says" in warning
