"""What of a cluster is there, by the kernel's account: every process that belongs to it, and what it is for.

Actors are known by their titles, members by the mark in their environment, everything else by the runtime directory
in its environment. What is known is not taken from the cluster itself, which may be wrong about it.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from quaestor_actors.adapters.processes import MEMBER_VARIABLE
from quaestor_actors.chaos.plan import Role
from quaestor_actors.core.spec import KEY_VALUE_STORE

_STOPPED = (b"T", b"t")
_GONE = (b"Z", b"X")
_TITLES = {
    "actor system": Role.ACTOR_SYSTEM,
    "logger": Role.LOGGER,
    "root": Role.ROOT,
    "registry": Role.REGISTRY,
    "balancer": Role.BALANCER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One live process."""

    pid: int
    start_ticks: int
    parent: int
    """A pid."""
    role: Role | None
    """None: something that another one has started."""
    name: str
    """Of the member or the actor, as `quaestor status` has it; a title or a command line for everything else."""
    port: int | None = None
    """Of a member."""
    is_stopped: bool = False

    def __str__(self) -> str:
        """For people."""
        return f"{self.name} (pid {self.pid})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """All live processes of a cluster at one moment."""

    at: float
    """Monotonic seconds, before the first of them was looked at."""
    processes: tuple[Seen, ...]

    def of(self, role: Role) -> list[Seen]:
        """Return the processes with one role, in an order that does not depend on their pids."""
        return sorted((each for each in self.processes if each.role is role), key=lambda each: (each.name, each.pid))

    def by_name(self, name: str) -> Seen | None:
        """Return one process of a member or an actor."""
        return next((each for each in self.processes if each.role and each.name == name), None)

    def doubled(self) -> dict[str, frozenset[tuple[int, int]]]:
        """Return the members that several processes claim to be, and those processes by pid and start time."""
        found: dict[str, set[tuple[int, int]]] = defaultdict(set)
        for each in self.processes:
            if each.role in {Role.MEMBER, Role.ETCD}:
                found[each.name].add((each.pid, each.start_ticks))
        return {name: frozenset(claimants) for name, claimants in found.items() if len(claimants) > 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """By what the processes of one cluster are known."""

    cluster: str
    """Its name; no other cluster on this machine has it."""
    runtime_directory: Path
    """The value of QUAESTOR_RUNTIME_DIR."""


def look(marks: Marks, launcher_pid: int | None) -> Sighting:
    """Return what is there."""
    at = time.monotonic()
    own = os.getpid()
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - three times as fast
    found = (_look_at(pid, marks, launcher_pid) for pid in pids if pid != own)
    return Sighting(at=at, processes=tuple(each for each in found if each is not None))


def _look_at(pid: int, marks: Marks, launcher_pid: int | None) -> Seen | None:
    try:
        title = _read(pid, "cmdline").split(b"\0")[0].decode(errors="replace").rstrip()
        if not title:
            # A zombie, or a thread of the kernel.
            return None
        is_actor = title.startswith(f"quaestor: {marks.cluster}: ")
        variables = [] if is_actor else _read(pid, "environ").split(b"\0")
        if not is_actor and f"QUAESTOR_RUNTIME_DIR={marks.runtime_directory}".encode() not in variables:
            return None
        fields = _read(pid, "stat").rpartition(b")")[2].split()
        is_leader = os.getsid(pid) == pid
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    if fields[0] in _GONE:
        return None
    role, name, port = None, title, None
    if is_actor:
        role, name = _actor(title.removeprefix(f"quaestor: {marks.cluster}: "))
    elif pid == launcher_pid:
        role, name = Role.LAUNCHER, "launcher"
    elif is_leader:
        role, name, port = _member(variables, name)
    return Seen(
        pid=pid,
        start_ticks=int(fields[19]),
        parent=int(fields[1]),
        role=role,
        name=name,
        port=port,
        is_stopped=fields[0] in _STOPPED,
    )


def _read(pid: int, file: str) -> bytes:
    return Path(f"/proc/{pid}/{file}").read_bytes()


def _actor(name: str) -> tuple[Role | None, str]:
    if name.startswith("agent/"):
        return (Role.PROBER if name.endswith("/prober") else Role.AGENT), name
    if name.startswith("balancer/"):
        return Role.BALANCER, name
    return _TITLES.get(name), name


def _member(variables: list[bytes], otherwise: str) -> tuple[Role | None, str, int | None]:
    start = f"{MEMBER_VARIABLE}=".encode()
    tag = next((each.removeprefix(start).decode() for each in variables if each.startswith(start)), None)
    if tag is None:
        return None, otherwise, None
    # As the agent writes it: its state file, the member, the incarnation, the port. Names may hold spaces.
    file_and_name, _, port = tag.rsplit(" ", 2)
    name = file_and_name.rpartition(".json ")[2]
    agent = name.rpartition("/")[0]
    return (Role.ETCD if agent == KEY_VALUE_STORE else Role.MEMBER), name, int(port)
