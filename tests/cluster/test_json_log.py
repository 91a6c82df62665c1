"""The launcher's standard error in JSON, from a real one."""

from __future__ import annotations

import json
import os
import signal
import socket
from typing import Any

from support.cluster import Cluster
from support.waiting import wait_until


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test__life_of_a_cluster__is_one_object_a_line(cluster: Cluster) -> None:
    cluster.environment_extra["QUAESTOR_LOG_FORMAT"] = "json"
    cluster.launch()
    os.kill(cluster.member("Worker/1")["pid"], signal.SIGKILL)
    cluster.wait_for_output("restarted: killed by SIGKILL")
    assert cluster.stop() == 0
    told = lines(cluster.output)
    assert all(line.keys() >= {"time", "level", "logger", "message"} for line in told)
    again = [line for line in told if line.get("member") == "Worker/1" and line["incarnation"] == 2]
    assert "killed by SIGKILL" in again[0]["reason"]
    assert told[-1]["message"] == "test: stopped"


def test__what_keeps_it_from_starting__is_an_object_too(cluster: Cluster) -> None:
    with socket.create_server(("127.0.0.1", cluster.balancer_port)):
        answer = cluster.run("cluster", "-c", str(cluster.directory), "--log-format", "json", timeout_s=60)
    assert (answer.returncode, answer.stdout) == (5, "")
    assert f"port {cluster.balancer_port} is taken" in lines(answer.stderr)[-1]["message"]
    cluster.configure(agent_extra="    processCuont: 1")
    answer = cluster.run("cluster", "-c", str(cluster.directory), "--log-format", "json", timeout_s=60)
    assert (answer.returncode, answer.stdout) == (2, "")
    (line,) = lines(answer.stderr)
    assert line["level"] == "error"
    assert "processCuont: unknown key" in line["message"]


def test__configuration_that_cannot_be_used__is_said_in_json(cluster: Cluster) -> None:
    cluster.environment_extra["QUAESTOR_LOG_FORMAT"] = "json"
    cluster.launch()
    cluster.configure(agent_extra="    processCuont: 1")
    wait_until(lambda: "processCuont" in cluster.output, 30.0, "the complaint")
    assert any("everything goes on as before" in line["message"] for line in lines(cluster.output))
