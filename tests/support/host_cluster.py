"""Several hosts that are one cluster, on this machine: each has an address, folders and commands of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from support.cluster import QUAESTOR, Cluster
from support.ports import free_port
from support.waiting import wait_until

PATIENCE_S = 60.0
"""How soon it is has been measured elsewhere; on a busy machine it is enough that it comes true."""

SLEEPERS = f"""
- agentType: Sleeper
  executablePath: {shutil.which("sh")}
  commandLineArguments: "-c 'echo here is pid $$; exec sleep 10000'"
  processCount: 2
  probe: none
  clusterShutdownAction: Kill
"""


@dataclass
class HostCluster(Cluster):
    """One of several hosts."""

    host: str = ""
    address: str = ""
    prefix: tuple[str, ...] = ()
    """In front of each command, to run it in a network of its own."""

    def run(self, *arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run one command on this host to its end."""
        return subprocess.run(
            [*self.prefix, QUAESTOR, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def launch(self, verb: str = "cluster", *, wait_for: str | None = None) -> None:
        """Start this host."""
        with (self.directory / "launcher.out").open("ab") as output:
            self.launcher = subprocess.Popen(
                [*self.prefix, QUAESTOR, verb, "-c", self.directory, "--host", self.host],
                env=self.environment,
                stdout=output,
                stderr=output,
            )
        if wait_for is not None:
            self.wait_for_output(wait_for)

    def hosts(self) -> dict[str, dict[str, Any]]:
        """Return what `quaestor hosts` says here, by name; nothing while there is no answer."""
        answer = self.run("hosts", "-o", "json")
        found = json.loads(answer.stdout)["hosts"] if answer.returncode == 0 else []
        return {host["name"]: host for host in found}

    def states(self) -> dict[str, str]:
        """Return how each host stands, as this one sees it."""
        return {name: host["state"] for name, host in self.hosts().items()}

    def members(self) -> dict[str, dict[str, Any]]:
        """Return the members on all hosts as `MEMBER@HOST`, as this one sees them."""
        document = self.status_or_none() or {"members": []}
        return {f"{member['member']}@{member['cluster_host']}": member for member in document["members"]}

    def everything(self) -> list[psutil.Process]:
        """Return every process of this host."""
        assert self.launcher is not None
        found = set(self.relatives())
        with contextlib.suppress(psutil.NoSuchProcess):
            launcher = psutil.Process(self.launcher.pid)
            found |= {launcher, *launcher.children(recursive=True)}
        return sorted(found, key=lambda process: process.pid)

    def signal_everything(self, number: signal.Signals) -> None:
        """Send a signal to every process of this host."""
        for process in self.everything():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def cut_power(self) -> None:
        """End every process of this host at once."""
        assert self.launcher is not None
        # Whoever would start others again goes first.
        self.launcher.kill()
        self.signal_everything(signal.SIGKILL)
        self.launcher.wait(10)


def make_hosts(
    directory: Path,
    *,
    addresses: Sequence[str] = ("127.0.0.1", "127.0.0.2", "127.0.0.3"),
    agents: str = SLEEPERS,
    cluster_extra: str = "",
) -> list[HostCluster]:
    """Return hosts a1, a2 and so on that are configured and not started."""
    cookie = directory / "cookie"
    cookie.touch(mode=0o600)
    cookie.write_bytes(os.urandom(32))
    port = free_port()
    names = {f"a{number}": address for number, address in enumerate(addresses, start=1)}
    lines = [f"  {name}: {{address: {address}, adminPort: {port}}}" for name, address in names.items()]
    extra = "\n".join([f"cookieFile: {cookie}", "hosts:", *lines, cluster_extra])
    made = []
    for name, address in names.items():
        (directory / name).mkdir()
        host = HostCluster(
            directory=directory / name, worker_ports=(), balancer_port=0, name="many", host=name, address=address
        )
        host.write(agents, cluster_extra=extra)
        made.append(host)
    return made


def start_hosts(hosts: Sequence[HostCluster]) -> None:
    """Start hosts, and wait until all know of all and every member serves."""
    for host in hosts:
        host.launch()
    for host in hosts:
        wait_until(lambda host=host: "members serve" in host.output, 2 * PATIENCE_S, f"{host.host} to serve")
    wait_until(lambda: all_joined(hosts), PATIENCE_S, "all hosts to know of each other")


def all_joined(hosts: Sequence[HostCluster]) -> bool:
    """Return whether every host answers every other one."""
    expected = {host.host for host in hosts}
    return all({name for name, seen in host.hosts().items() if seen["is_current"]} == expected for host in hosts)


def see(hosts: Sequence[HostCluster], other: HostCluster, state: str) -> bool:
    """Return whether these hosts all see another one in a state."""
    return all(host.states().get(other.host) == state for host in hosts)
