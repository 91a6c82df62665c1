"""quaestor, as installed beside the Python that runs the benchmark."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from peers.peer import Launch, UnavailableError, Workload

CLUSTER_FILE = "quaestor.cluster.config.yml"
BALANCER_FILE = "quaestor.loadbalancer.config.yml"
SAMPLE = Path(__file__).resolve().parents[2] / "conf"


class Ours:
    """`quaestor cluster`, with health checks off: a process that lives serves, as with every peer."""

    name = "ours"

    def prepare(self, cache: Path, *, install: bool) -> None:  # noqa: ARG002 - the protocol's arguments
        """Find the command."""
        if not os.access(program(), os.X_OK):
            raise UnavailableError("run this with the Python that has quaestor: .venv/bin/python, after `make run`")

    def configure(self, directory: Path, workload: Workload) -> Launch:
        """Write one agent with all the members."""
        return self.configure_agents(directory, workload, agents=1)

    def configure_agents(self, directory: Path, workload: Workload, *, agents: int) -> Launch:
        """Write a number of agents, each with the workload's members."""
        keys: dict[str, Any] = {
            "executablePath": workload.command[0],
            "commandLineArguments": " ".join(workload.command[1:]),
            "processCount": workload.count,
            "probe": "none",
            "clusterShutdownAction": "Kill",
        }
        if workload.immediate:
            keys["backoffInitialSeconds"] = 0
        names = [f"Worker{number}" for number in range(agents)]
        cluster = {
            "clusterConfig": {"name": "benchmark"},
            "agents": [{"agentType": name, **keys} for name in names],
        }
        _write(directory / CLUSTER_FILE, cluster)
        return _launch(directory)

    def configure_sample(self, directory: Path) -> Launch:
        """Copy the project's sample, with free ports instead of its own, which may be in use."""
        cluster = yaml.safe_load((SAMPLE / CLUSTER_FILE).read_text(encoding="utf-8"))
        balancer = yaml.safe_load((SAMPLE / BALANCER_FILE).read_text(encoding="utf-8"))
        worker = cluster["agents"][0]
        worker["executablePath"] = str((SAMPLE / worker["executablePath"]).resolve())
        door, *ports = _free_ports(1 + worker["processCount"])
        worker["ports"] = ports
        balancer["loadBalancerConfig"]["port"] = door
        balancer["agents"][0]["ports"] = ports
        _write(directory / CLUSTER_FILE, cluster)
        _write(directory / BALANCER_FILE, balancer)
        return _launch(directory)


def program() -> Path:
    """Return the path of the command, beside the running Python."""
    return Path(sys.executable).with_name("quaestor")


def _launch(directory: Path) -> Launch:
    # Nothing of a cluster that runs on this machine already is touched.
    places = {"QUAESTOR_RUNTIME_DIR": str(directory / "run"), "QUAESTOR_LOG_DIR": str(directory / "log")}
    return Launch(command=(str(program()), "cluster", "-c", str(directory)), environment=places)


def _write(path: Path, content: object) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
