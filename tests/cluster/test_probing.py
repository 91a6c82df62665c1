"""Health checks other than gRPC on real members, and how many failures it takes."""

from __future__ import annotations

import os
import signal

import pytest
from support.cluster import Cluster
from support.waiting import wait_until

HTTP_SERVER = """
  - agentType: Web
    executablePath: {python}
    commandLineArguments: "-m http.server --bind 127.0.0.1 {{Port}}"
    workingDirectory: .
    hostName: 127.0.0.1
    probe: {probe}
    probeIntervalSeconds: 0.1
    probeTimeoutSeconds: 2
    startupWaitSeconds: 20
    clusterShutdownAction: Kill
    {extra}
"""


def web(probe: str, extra: str = "") -> str:
    import sys  # noqa: PLC0415

    return HTTP_SERVER.format(python=sys.executable, probe=probe, extra=extra)


@pytest.mark.parametrize("probe", ["tcp", "http"])
def test__server_without_grpc__serves_once_its_port_answers(cluster: Cluster, probe: str) -> None:
    cluster.write(web(probe))
    cluster.launch()
    told = [line.split()[0] for line in cluster.told("Web/1")]
    assert told[:2] == ["starting", "serving"]


def test__http__wrong_status__is_unhealthy(cluster: Cluster) -> None:
    page = cluster.directory / "health"
    page.touch()
    cluster.write(web("http", "probePath: /health"))
    cluster.launch()
    page.unlink()
    cluster.wait_for_output("unhealthy: ")
    page.touch()
    cluster.wait_for_member("Web/1", "serving")
    assert "404" in cluster.output


def test__http__hung_server__is_found_by_the_deadline(cluster: Cluster) -> None:
    cluster.write(
        web("http", "maxShutdownTimeSeconds: 0.3").replace("probeTimeoutSeconds: 2", "probeTimeoutSeconds: 0.3")
    )
    cluster.launch()
    os.kill(cluster.member("Web/1")["pid"], signal.SIGSTOP)
    cluster.wait_for_output("unhealthy: no answer within 0.3 s")


def test__exec__failing_command__counts_up_to_the_threshold(cluster: Cluster) -> None:
    ill = cluster.directory / "ill"
    cluster.write(
        f"""
  - agentType: Job
    executablePath: /bin/sleep
    commandLineArguments: "100000"
    probe: exec
    probeCommand: "/bin/sh -c 'test ! -e {ill} || {{{{ echo unwell; exit 1; }}}}'"
    probeIntervalSeconds: 0.05
    failureThreshold: 3
    clusterShutdownAction: Kill
""".replace("{{", "{").replace("}}", "}")
    )
    cluster.launch()
    before = cluster.member("Job/1")["pid"]
    ill.touch()
    cluster.wait_for_output("unhealthy 3 times in a row: ")
    ill.unlink()
    after = cluster.wait_for_member("Job/1", "serving")
    assert after["pid"] != before
    assert [line.split()[0] for line in cluster.told("Job/1")].index("degraded") > 0


def test__grpc__not_serving_once__is_forgiven_below_the_threshold(cluster: Cluster) -> None:
    cluster.configure(agent_extra="    failureThreshold: 3\n    probeIntervalSeconds: 30")
    cluster.launch()
    before = cluster.member("Worker/1")
    os.kill(before["pid"], signal.SIGUSR1)
    cluster.wait_for_output("Worker/1     degraded")
    os.kill(before["pid"], signal.SIGUSR1)
    wait_until(lambda: cluster.told("Worker/1")[-1].startswith("serving"), what="the member to serve again")
    assert cluster.member("Worker/1")["pid"] == before["pid"]
