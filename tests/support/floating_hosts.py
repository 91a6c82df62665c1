"""Hosts that share an etcd, all on this machine: each with a loopback address, folders and a way to etcd of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from support.cluster import QUAESTOR, ROOT, Cluster
from support.etcd import EtcdCluster
from support.namespaces import Namespace, run_namespace
from support.ports import free_port
from support.proxy import Proxy, run_proxy
from support.waiting import wait_until

WITNESS = ROOT / "tests" / "support" / "witness.py"
NAMES = ("a1", "a2", "a3")
START_S = 60.0
"""Until something runs for the first time, on a machine that is very busy."""


@dataclass(frozen=True)
class Testimony:
    """When a process has executed, by the clock since boot."""

    host: str
    member: str
    token: int
    pid: int
    began: float
    last: float
    moments: tuple[float, ...]


@dataclass
class Host(Cluster):
    """One of them."""

    host: str = ""
    floating: str = "{count: 1}"
    ttl_s: int = 2
    admin_port: int = 0
    more_agents: tuple[str, ...] = ()
    """Each in a line, with `BALANCER_PORT` in the place of this host's own."""
    proxy: Proxy | None = None
    witnesses: Path = Path()
    namespace: Namespace | None = None

    def configure_floating(self) -> None:
        """Write the configuration, the same on each host but for the way to etcd."""
        assert self.proxy is not None
        (self.directory / "cookie").write_bytes(b"c" * 32)
        (self.directory / "cookie").chmod(0o600)
        more = "\n            ".join(self.more_agents).replace("BALANCER_PORT", str(self.balancer_port))
        hosts = ", ".join(
            f"{name}: {{address: 127.0.0.{number}, adminPort: {self.admin_port}}}"
            for number, name in enumerate(NAMES, start=1)
        )
        self.write(
            f"""
            - agentType: KeyValueStore
              hostName: {self.proxy.endpoint[0]}
              ports: [{self.proxy.endpoint[1]}]
              processCount: 0
              leaseTtlSeconds: {self.ttl_s}
            - agentType: Witness
              executablePath: {sys.executable}
              commandLineArguments: "{WITNESS} {self.witnesses} {self.host}"
              probe: none
              floating: {self.floating}
            {more}
            """,
            cluster_extra=f"cookieFile: cookie\nhosts: {{{hosts}}}\n",
        )

    def begin(self) -> None:
        """Start the launcher."""
        prefix = [] if self.namespace is None else self.namespace.prefix
        with (self.directory / "launcher.out").open("ab") as output:
            self.launcher = subprocess.Popen(
                [*prefix, QUAESTOR, "cluster", "-c", self.directory, "--host", self.host],
                env=self.environment,
                stdout=output,
                stderr=output,
            )

    def actor_pid(self, name: str) -> int:
        """Return the pid of one actor of this host."""
        return int(next(each["pid"] for each in self._actors() if each["name"] == name))

    def actor_is_replaced(self, name: str, former: int) -> bool:
        """Return whether an actor of this host runs under another pid than its former one."""
        running = [each for each in self._actors() if each["name"] == name and each["state"] == "running"]
        return any(each["pid"] != former for each in running)

    def _actors(self) -> list[dict[str, Any]]:
        actors: list[dict[str, Any]] = (self.status_or_none() or {"actors": []})["actors"]
        # Without its actor for the others a host tells of itself alone.
        return [each for each in actors if each.get("cluster_host", self.host) == self.host]

    def everything(self) -> list[psutil.Process]:
        """Return the launcher, all actors, members, and the warden."""
        found = set(self.relatives())
        if self.launcher is not None and self.launcher.poll() is None:
            launcher = psutil.Process(self.launcher.pid)
            found |= {launcher, *launcher.children(recursive=True)}
        return sorted(found, key=lambda process: process.pid)

    def tree(self) -> list[psutil.Process]:
        """Return the launcher and all actors."""
        assert self.launcher is not None
        return [each for each in self.everything() if not self._is_member(each) and not _is_warden(each)]

    def wardens(self) -> list[psutil.Process]:
        return [each for each in self.everything() if _is_warden(each)]

    def kill_tree(self) -> None:
        """Kill the launcher and all actors, and nothing else."""
        self._kill(self.tree())

    def kill_all(self) -> None:
        """Kill everything, as when the machine loses its power."""
        self._kill(self.everything())

    def pause(self) -> list[psutil.Process]:
        """Let nothing of it execute, and return what that is."""
        paused = self.everything()
        for process in paused:
            process.suspend()
        return paused

    def _kill(self, doomed: Sequence[psutil.Process]) -> None:
        for process in doomed:
            process.suspend()
        for process in doomed:
            process.kill()
        assert self.launcher is not None
        self.launcher.wait()

    def _is_member(self, process: psutil.Process) -> bool:
        with suppress(psutil.NoSuchProcess):
            return str(WITNESS) in process.cmdline()
        return False


def _is_warden(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return "quaestor_actors.adapters.warden" in process.cmdline()
    return False


@dataclass
class Hosts:
    """All of them."""

    etcd: EtcdCluster
    witnesses: Path
    by_name: dict[str, Host]

    def __getitem__(self, name: str) -> Host:
        return self.by_name[name]

    def testimonies(self, member: str = "") -> list[Testimony]:
        """Return what all processes have written, the first to begin first."""
        found = []
        for path in self.witnesses.iterdir():
            host, agent, number, token, pid = re.fullmatch(r"(.+)-(.+)-(\d+)-(\d+)-(\d+)", path.name).groups()  # type: ignore[union-attr]
            moments = tuple(map(float, path.read_text().rpartition("\n")[0].split()))
            if moments and member in {"", f"{agent}/{number}"}:
                name = f"{agent}/{number}"
                found.append(Testimony(host, name, int(token), int(pid), moments[0], moments[-1], moments))
        return sorted(found, key=lambda each: each.began)

    def executing(self) -> dict[str, list[str]]:
        """Return on which hosts each member executes now."""
        now = boot_now()
        found: dict[str, list[str]] = {}
        for each in self.testimonies():
            if psutil.pid_exists(each.pid) and now - each.last < 0.5:
                found.setdefault(each.member, []).append(each.host)
        return found

    def wait_running(self, *members: str, timeout_s: float = START_S, on: Sequence[str] = NAMES) -> dict[str, str]:
        """Wait until each member executes on one of some hosts, and return on which."""

        def found() -> dict[str, str]:
            executing = self.executing()
            single = {name: hosts[0] for name, hosts in executing.items() if len(hosts) == 1 and hosts[0] in on}
            return single if single.keys() == set(members) == executing.keys() else {}

        return wait_until(found, timeout_s, f"{members} to run on {on}")

    def coordinator(self) -> str:
        """Return who coordinates, by etcd."""
        return self.etcd.ctl("get", "--print-value-only", "quaestor/clusters/test/coordinator").strip()

    def keys(self, prefix: str) -> dict[str, str]:
        """Return keys of the cluster below a prefix."""
        lines = self.etcd.ctl("get", "--prefix", f"quaestor/clusters/test/{prefix}").split()
        names = (key.removeprefix(f"quaestor/clusters/test/{prefix}") for key in lines[::2])
        return dict(zip(names, lines[1::2], strict=True))


def boot_now() -> float:
    """Return the time by the clock of the witnesses."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def overlap_s(testimonies: Sequence[Testimony]) -> float:
    """Return for how long two processes of one member have executed at the same time, at most."""
    worst = 0.0
    for first in testimonies:
        for second in testimonies:
            if first.member == second.member and first.pid != second.pid and first.began <= second.began:
                late = [moment for moment in first.moments if moment > second.began]
                worst = max(worst, late[-1] - second.began if late else 0.0)
    return worst


@contextmanager
def run_hosts(
    folder: Path,
    etcd: EtcdCluster,
    *,
    names: Sequence[str] = NAMES,
    floating: str = "{count: 1}",
    ttl_s: int = 2,
    more_agents: tuple[str, ...] = (),
    with_namespaces: bool = False,
) -> Iterator[Hosts]:
    """Run hosts until the block ends, in network namespaces of their own or together in this one; yield at once."""
    witnesses = folder / "witnesses"
    witnesses.mkdir()
    etcd.ctl("del", "--prefix", "quaestor/clusters/test/")
    admin_port = free_port()
    with ExitStack() as stack:
        made = {}
        for number, name in enumerate(names):
            directory = folder / name
            directory.mkdir()
            host = Host(directory=directory, worker_ports=(), balancer_port=free_port(), host=name, floating=floating)
            host.ttl_s, host.witnesses, host.more_agents = ttl_s, witnesses, more_agents
            host.admin_port = admin_port
            address = "127.0.0.1"
            if with_namespaces:
                host.namespace = stack.enter_context(run_namespace(number))
                address = host.namespace.gateway
            host.proxy = stack.enter_context(run_proxy(etcd.nodes[0].endpoint, address))
            host.configure_floating()
            stack.callback(_end, host)
            made[name] = host
        for host in made.values():
            host.begin()
        yield Hosts(etcd=etcd, witnesses=witnesses, by_name=made)


def _end(host: Host) -> None:
    for process in host.everything():
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)
    assert host.proxy is not None
    host.proxy.heal()
    if host.namespace is not None:
        host.namespace.heal()
    host.clean_up()
    for process in host.everything():
        if process.pid != os.getpid():
            with suppress(psutil.NoSuchProcess):
                process.kill()
