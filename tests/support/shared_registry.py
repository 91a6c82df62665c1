"""Several clusters on one etcd: each with workers and a balancer of its own, as on machines of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.cluster import WORKER, Cluster
from support.discovery import Discovery, discovery
from support.ports import free_port
from support.waiting import wait_until


@dataclass
class Site:
    """One cluster, and a client of its balancer."""

    cluster: Cluster
    client: Discovery

    @property
    def ports(self) -> list[int]:
        """Where its workers serve."""
        return sorted(self.cluster.worker_ports)

    def kill(self) -> None:
        """Kill everything that belongs to it, as when the machine loses its power."""
        processes = self.cluster.relatives()
        for process in processes:
            process.suspend()
        for process in processes:
            process.kill()
        assert self.cluster.launcher is not None
        self.cluster.launcher.wait()

    def standing(self) -> str:
        """Return how its registry stands with etcd."""
        return str(self.cluster.status()["registry"]["state"])

    def pids(self, ports: Sequence[int]) -> dict[int, int]:
        """Return which processes serve at these of its ports."""
        return {each["port"]: each["pid"] for each in self.cluster.status()["members"] if each["port"] in ports}


@contextmanager
def run_site(
    directory: Path,
    name: str,
    endpoints: Sequence[tuple[str, int]],
    *,
    workers: int = 2,
    lease_ttl_s: int = 3,
    shutdown_action: str = "Kill",
) -> Iterator[Site]:
    """Run a cluster that registers in an etcd, and yield it when its members serve."""
    directory.mkdir()
    cluster = Cluster(
        directory=directory,
        name=name,
        worker_ports=tuple(free_port() for _ in range(workers)),
        balancer_port=free_port(),
    )
    configure(cluster, endpoints, lease_ttl_s=lease_ttl_s, shutdown_action=shutdown_action)
    try:
        cluster.launch()
        with discovery(cluster.balancer_port) as client:
            yield Site(cluster, client)
    finally:
        cluster.clean_up()


def configure(
    cluster: Cluster, endpoints: Sequence[tuple[str, int]], *, lease_ttl_s: int, shutdown_action: str = "Kill"
) -> None:
    """Write the configuration of a cluster whose etcd somebody else runs."""
    others = [f"{host}:{port}" for host, port in endpoints[1:]]
    cluster.write(
        f"""
        - agentType: KeyValueStore
          hostName: {endpoints[0][0]}
          ports: [{endpoints[0][1]}]
          endpoints: {others}
          processCount: 0
          leaseTtlSeconds: {lease_ttl_s}
        - agentType: Worker
          executablePath: {WORKER}
          commandLineArguments: "Worker {{Port}}"
          processCount: {len(cluster.worker_ports)}
          ports: {list(cluster.worker_ports)}
          serviceNames: [Worker]
          clusterShutdownAction: {shutdown_action}
        - agentType: LoadBalancer
          hostName: 127.0.0.1
          ports: [{cluster.balancer_port}]
        """
    )


def expect(client: Discovery, ports: Sequence[int], timeout_s: float = 10.0) -> float:
    """Wait until a balancer names exactly these, and return how long that took in seconds."""
    begun = time.monotonic()
    wait_until(lambda: client.all_or_nothing() == sorted(ports), timeout_s, f"the answer {sorted(ports)}")
    return time.monotonic() - begun
