"""Three hosts on networks that lose things, with an etcd beside them, and all that can happen to these hosts.

Members bear witness themselves that they execute. One agent floats, one is on each host.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil
from support.etcd import EtcdCluster, run_etcd
from support.floating_hosts import WITNESS, Hosts, Testimony, boot_now, overlap_s
from support.host_cluster import HostCluster
from support.ports import free_port
from support.switched_networks import HERE, SwitchedNetworks, switched_networks
from support.waiting import wait_until

from quaestor_actors.adapters import event_log
from quaestor_actors.core.event import Event

NAMES = ("a1", "a2", "a3")
TTL_S = 3
PINNED = "Pinned/1"
PATIENCE_S = 90.0
"""Until all is well again, on a machine that is very busy; a host that was cut off tries etcd again within seconds."""
LOSS = 0.3


class Hurt(StrEnum):
    """What can happen."""

    SCALE = "scale"
    PREFER = "prefer"
    JOIN = "join"
    LEAVE = "leave"
    KILL = "kill"
    LOSE_COORDINATOR = "lose the coordinator"
    LOSE_LEADER = "lose the leader of etcd"
    ISOLATE_ONE = "isolate one"
    ISOLATE_TWO = "isolate two"
    SEPARATE = "separate from the other hosts"
    ONE_WAY = "cut one way to another host"
    ONE_WAY_FROM_STORE = "cut the way from the store"
    ONE_WAY_TO_STORE = "cut the way to the store"
    LOSE_FRAMES = "lose frames"
    HEAL = "heal the network"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that happens."""

    hurt: Hurt
    number: int = 0
    """Which host, counted from the one on which the first member floated when all was well.

    Of `scale` how many members, less one.
    """
    then_s: float = 0.0
    """How long nothing else happens."""


@dataclass
class HurtHost(HostCluster):
    """One of the hosts."""

    is_settled: bool = False
    """It has said that it has started, so it understands signals."""

    @property
    def is_up(self) -> bool:
        return self.launcher is not None

    def begin(self) -> None:
        (self.directory / "launcher.out").unlink(missing_ok=True)
        self.is_settled = False
        self.launch()

    def settle(self) -> None:
        """Wait until it has started."""
        if not self.is_settled:
            wait_until(lambda: "members serve" in self.output, PATIENCE_S, f"{self.host} to start: {self.output}")
            self.is_settled = True

    def kill(self) -> None:
        """End every process, as when the machine loses its power."""
        assert self.launcher is not None
        while doomed := self.everything():
            for signal_of_two in (signal.SIGSTOP, signal.SIGKILL):
                for process in doomed:
                    with suppress(psutil.NoSuchProcess):
                        process.send_signal(signal_of_two)
            with suppress(subprocess.TimeoutExpired):
                self.launcher.wait(1.0)
            psutil.wait_procs(doomed, timeout=5)
        self.launcher = None

    def leave(self) -> None:
        """Stop it in order, whether others can be told or not."""
        self.settle()
        assert self.stop(timeout_s=PATIENCE_S) == 0, self.output
        self.launcher = None

    def events(self) -> list[Event]:
        """Return what it has heard of the hosts, the oldest first."""
        folder = self.directory / "log" / self.name
        found = [*event_log.read(folder / "hosts.events"), *event_log.read(folder / "cluster.events")]
        return sorted(found, key=lambda event: event.at)


class HurtHosts:
    """All of them."""

    def __init__(self, folder: Path, networks: SwitchedNetworks, etcd: EtcdCluster, ttl_s: int) -> None:
        self.networks = networks
        self.etcd = etcd
        self._ttl_s = ttl_s
        self._folder = folder
        self._floating, self._pinned = folder / "floating", folder / "pinned"
        self._admin_port = free_port()
        self.count, self.prefer = 2, ""
        for each in (self._floating, self._pinned):
            each.mkdir()
        cookie = folder / "cookie"
        cookie.touch(mode=0o600)
        cookie.write_bytes(os.urandom(32))
        self.by_name: dict[str, HurtHost] = {}
        for name in NAMES:
            (folder / name).mkdir()
            self.by_name[name] = HurtHost(
                directory=folder / name,
                worker_ports=(),
                balancer_port=0,
                host=name,
                address=networks.address(name),
                prefix=networks.prefix(name),
            )
        self.floating = Hosts(etcd=etcd, witnesses=self._floating, by_name={})
        self._pinned_hosts = Hosts(etcd=etcd, witnesses=self._pinned, by_name={})
        self._order = NAMES
        self._pids: dict[str, int] = {}
        """Of the pinned members that nothing may end."""

    @property
    def members(self) -> list[str]:
        return [f"Witness/{number}" for number in range(1, self.count + 1)]

    def configure(self) -> None:
        """Write the configuration, and have it read."""
        first, *others = (node.endpoint for node in self.etcd.nodes)
        hosts = "\n".join(
            f"  {name}: {{address: {host.address}, adminPort: {self._admin_port}}}"
            for name, host in self.by_name.items()
        )
        prefer = f", prefer: [{self.prefer}]" if self.prefer else ""
        for name, host in self.by_name.items():
            host.write(
                f"""
                - agentType: KeyValueStore
                  hostName: {first[0]}
                  ports: [{first[1]}]
                  endpoints: [{", ".join(f"'{address}:{port}'" for address, port in others)}]
                  processCount: 0
                  leaseTtlSeconds: {self._ttl_s}
                - agentType: Witness
                  executablePath: {sys.executable}
                  commandLineArguments: "{WITNESS} {self._floating} {name}"
                  probe: none
                  floating: {{count: {self.count}{prefer}}}
                - agentType: Pinned
                  executablePath: {sys.executable}
                  commandLineArguments: "{WITNESS} {self._pinned} {name}"
                  probe: none
                  clusterShutdownAction: Kill
                """,
                cluster_extra=f"cookieFile: {self._folder / 'cookie'}\nhosts:\n{hosts}",
            )
            if host.is_up and host.is_settled:
                assert host.launcher is not None
                host.launcher.send_signal(signal.SIGHUP)

    # What happens

    def begin_schedule(self) -> None:
        """Number the hosts anew, and forget what witnesses have said."""
        self.forget()
        holder = NAMES.index(self.claims().get(self.members[0], NAMES[0]))
        self._order = (*NAMES[holder:], *NAMES[:holder])

    def perform(self, step: Step) -> None:
        """Let it happen, and wait until it has."""
        name, *others = (*self._order[step.number :], *self._order[: step.number])
        ways: dict[Hurt, Callable[[], None]] = {
            Hurt.SCALE: lambda: self.scale(step.number + 1),
            Hurt.PREFER: lambda: self.place(name),
            Hurt.JOIN: lambda: self.join(name),
            Hurt.LEAVE: lambda: self.leave(name),
            Hurt.KILL: lambda: self.kill(name),
            Hurt.LOSE_COORDINATOR: lambda: self.kill(self.coordinator() or name),
            Hurt.LOSE_LEADER: self.lose_leader,
            Hurt.ISOLATE_ONE: lambda: self.networks.isolate(name),
            Hurt.ISOLATE_TWO: lambda: self.networks.isolate(*others),
            Hurt.SEPARATE: lambda: self.networks.separate(name, others),
            Hurt.ONE_WAY: lambda: self.networks.cut([(name, others[0])]),
            Hurt.ONE_WAY_FROM_STORE: lambda: self.networks.cut([(HERE, name)]),
            Hurt.ONE_WAY_TO_STORE: lambda: self.networks.cut([(name, HERE)]),
            Hurt.LOSE_FRAMES: lambda: self.networks.lose(LOSS),
            Hurt.HEAL: self.networks.heal,
        }
        ways[step.hurt]()
        until = boot_now() + step.then_s
        wait_until(lambda: boot_now() >= until, step.then_s + PATIENCE_S, "time to pass")

    def scale(self, count: int) -> None:
        """Have so many members float, on all hosts together."""
        self.count = count
        self.configure()

    def place(self, name: str) -> None:
        """Have what floats prefer a host, when it is placed anew."""
        self.prefer = name
        self.configure()

    def join(self, name: str) -> None:
        """Start a host, unless it runs."""
        if not self.by_name[name].is_up:
            self.by_name[name].begin()

    def leave(self, name: str) -> None:
        """Stop a host in order, if it runs."""
        self._pids.pop(name, None)
        if self.by_name[name].is_up:
            self.by_name[name].leave()

    def kill(self, name: str) -> None:
        """Let a host lose its power, if it is there."""
        self._pids.pop(name, None)
        if self.by_name[name].is_up:
            self.by_name[name].kill()

    def lose_leader(self) -> None:
        """Kill the leader of etcd, unless a node is away already."""
        if all(node.process.poll() is None for node in self.etcd.nodes):
            self.etcd.leader().kill()

    def heal(self) -> None:
        """End everything that keeps all from being well."""
        self.networks.heal()
        for node in self.etcd.nodes:
            if node.process.poll() is not None:
                node.start()
        self.etcd.expect_ready()
        for host in self.by_name.values():
            if not host.is_up:
                host.begin()
        for host in self.by_name.values():
            host.settle()
        # Those that were just being started have not heard of changes.
        self.configure()

    # What must hold

    def check(self) -> None:
        """What must hold at any time."""
        overlap = overlap_s(self.floating.testimonies())
        assert overlap == 0.0, f"two copies executed at once for {overlap:.3f} s"
        for name, pid in self._pids.items():
            assert psutil.pid_exists(pid), f"the pinned member of {name} has ended"

    def expect_well(self) -> None:
        """Wait until all is as it should be when nothing is wrong, and stays so while every host is asked."""
        wrong = ""

        def is_well() -> bool:
            nonlocal wrong
            if wrong := self._wrong():
                return False
            running = self.pids()
            with ThreadPoolExecutor() as pool:
                answered = dict(zip(NAMES, pool.map(_all_answer, self.by_name.values()), strict=True))
            silent = [name for name, has_all in answered.items() if not has_all]
            wrong = f"not all hosts answer {silent}" if silent else self._wrong()
            return not wrong and self.pids() == running

        try:
            wait_until(is_well, PATIENCE_S)
        except TimeoutError:
            raise AssertionError(wrong or "what floats moves again and again") from None
        pinned = {each.host: each.pid for each in self.pinned()}
        assert self._pids.items() <= pinned.items(), f"a pinned member was replaced: {self._pids}, then {pinned}"
        self._pids = pinned
        self.check()

    def forget(self) -> None:
        """Forget what witnesses have said so far, as there is much of it."""
        for folder in (self._floating, self._pinned):
            for path in folder.iterdir():
                pid = int(path.name.rpartition("-")[2])
                if psutil.pid_exists(pid):
                    # It goes on to append.
                    os.truncate(path, 0)
                else:
                    path.unlink()

    def pids(self) -> dict[str, list[int]]:
        """Return the processes of what floats, by member."""
        found: dict[str, list[int]] = {}
        for each in self.floating.testimonies():
            if psutil.pid_exists(each.pid):
                found.setdefault(each.member, []).append(each.pid)
        return found

    def coordinator(self) -> str:
        """Return who coordinates, by etcd; empty if nobody does, or etcd does not say."""
        return self._keys().get("coordinator", "")

    def claims(self) -> dict[str, str]:
        """Return where each floating member may run, by etcd."""
        return _below("claims/", self._keys())

    def _keys(self) -> dict[str, str]:
        with suppress(subprocess.SubprocessError):
            return self.floating.keys("")
        return {}

    def pinned(self) -> list[Testimony]:
        """Return the members that are on each host, and run now."""
        return [each for each in self._pinned_hosts.testimonies(PINNED) if psutil.pid_exists(each.pid)]

    def _wrong(self) -> str:
        """Return what is not as it should be when nothing is wrong."""
        executing = self.floating.executing()
        pinned = sorted(each.host for each in self.pinned())
        # Asking etcd costs a process, of which the hosts may have need.
        if sorted(executing) != sorted(self.members) or pinned != sorted(NAMES):
            return f"executing are {executing}, and pinned members on {pinned}"
        keys = self._keys()
        there, slots, claims = (_below(kind, keys) for kind in ("hosts/", "slots/", "claims/"))
        if there.keys() != set(NAMES) or keys.get("coordinator") not in NAMES:
            return f"there are {sorted(there)}, and {keys.get('coordinator', 'nobody')} coordinates"
        if not claims.keys() == slots.keys() == set(self.members) or claims != slots:
            return f"{self.members} are at {slots}, and claimed by {claims}"
        is_right = executing == {member: [host] for member, host in claims.items()}
        return "" if is_right else f"claimed are {claims}, and executing are {executing}"


def _below(prefix: str, keys: dict[str, str]) -> dict[str, str]:
    return {key.removeprefix(prefix): value for key, value in keys.items() if key.startswith(prefix)}


def _all_answer(host: HurtHost) -> bool:
    return [each["is_current"] for each in host.hosts().values()] == [True] * len(NAMES)


@contextmanager
def run_hurt_hosts(folder: Path, *, seed: int = 1, ttl_s: int = TTL_S) -> Iterator[HurtHosts]:
    """Run three hosts with an etcd of three nodes until the block ends; all is well when it begins."""
    with (
        switched_networks(*NAMES, seed=seed) as networks,
        run_etcd(folder, size=3, address=networks.address(HERE)) as etcd,
    ):
        hosts = HurtHosts(folder, networks, etcd, ttl_s)
        hosts.configure()
        try:
            for host in hosts.by_name.values():
                host.begin()
            hosts.heal()
            hosts.expect_well()
            yield hosts
        finally:
            networks.heal()
            with ThreadPoolExecutor() as pool:
                list(pool.map(HurtHost.kill, [host for host in hosts.by_name.values() if host.is_up]))
