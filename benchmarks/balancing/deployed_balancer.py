"""The balancer as a user runs it: `quaestor load-balancer` with a configuration that names every location, or etcd."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from measure.deployment import Deployment
from peers.ours import BALANCER_FILE, program
from peers.peer import Launch

HOST_NAME = "127.0.0.1"
SERVICE_NAME = "Worker"


def deployed_balancer(
    directory: Path, *, port: int, locations: Sequence[int], ranking: str = "least_loaded", frontends: int = 1
) -> Deployment:
    """Configure a balancer, to be started by the caller; leaving the context ends it and removes the directory.

    Args:
        directory: Its own, existing and empty.
        port: Where it listens.
        locations: The ports of the workers.
        ranking: By its name in the configuration.
        frontends: How many of its processes share the port.
    """
    worker = {
        "agentType": "Worker",
        "hostName": HOST_NAME,
        "ports": list(locations),
        "processCount": len(locations),
        "serviceNames": [SERVICE_NAME],
    }
    return _deployed(directory, worker, port=port, ranking=ranking, frontends=frontends)


def deployed_follower(directory: Path, *, port: int, etcd_port: int) -> Deployment:
    """Configure a balancer that finds its locations in an etcd; the rest is as in `deployed_balancer`."""
    return _deployed(directory, {"agentType": "KeyValueStore", "hostName": HOST_NAME, "ports": [etcd_port]}, port=port)


def _deployed(directory: Path, agent: dict[str, Any], **balancer: Any) -> Deployment:
    content = {"loadBalancerConfig": {"hostName": HOST_NAME, **balancer}, "agents": [agent]}
    (directory / BALANCER_FILE).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    # Nothing of a cluster that runs on this machine already is touched.
    places = {"QUAESTOR_RUNTIME_DIR": str(directory / "run"), "QUAESTOR_LOG_DIR": str(directory / "log")}
    launch = Launch(command=(str(program()), "load-balancer", "-c", str(directory)), environment=places)
    return Deployment(launch, directory=directory, is_member=lambda _: False)


def free_port() -> int:
    """Return a port that was free just now."""
    with socket.socket() as one:
        one.bind((HOST_NAME, 0))
        return int(one.getsockname()[1])
