"""A small operating system for the models: pids that are used again, ports, process groups, signals that may not help.

What it knows is the truth that a supervisor can only guess at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain, count

from quaestor_actors.core.adoption import FoundProcess
from quaestor_actors.core.member import Health
from quaestor_actors.core.process_id import ProcessId

PIDS = range(100, 140)
"""Few, so that most pids have been somebody else's before; larger ones only when none of these is free."""


class Leftover(StrEnum):
    """What stays when a process ends, and goes on listening on its port."""

    NOTHING = "nothing"
    GRANDCHILD = "grandchild"
    """In the same process group; it goes with the group."""
    DAEMON = "daemon"
    """In a session of its own, with the environment that it inherited: it looks like the member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """How a process that is started will behave."""

    starts: bool = True
    ends_at_once: bool = False
    ignores_sigterm: bool = False
    leftover: Leftover = Leftover.NOTHING


@dataclass(slots=True, kw_only=True, eq=False)
class Process:
    """One live process."""

    id: ProcessId
    port: int
    tag: tuple[str, int] | None
    """Member and incarnation, as its environment says; None: it is not ours."""
    is_main: bool
    """Started by a supervisor, as opposed to somebody else or a leftover."""
    fate: Fate = field(default_factory=Fate)
    health: Health = Health.UNREACHABLE
    """What a check of its port finds now."""
    group: int = 0
    hidden: bool = False
    """It is another user's, so nobody here can see its pid."""
    asked: bool = False
    killed: bool = False


class Host:
    """All processes, by pid."""

    def __init__(self) -> None:
        self.processes: dict[int, Process] = {}
        self._ticks = 0
        self._last_pid = PIDS.stop

    def start(
        self,
        *,
        port: int,
        tag: tuple[str, int] | None = None,
        fate: Fate | None = None,
        is_main: bool = False,
        group: int = 0,
    ) -> Process:
        """Start a process at the next pid that is free."""
        self._ticks += 1
        cycle = chain(range(self._last_pid + 1, PIDS.stop), PIDS, count(PIDS.stop))
        # The id of a group that has processes is nobody's pid.
        groups = {each.group for each in self.processes.values()}
        pid = next(each for each in cycle if each not in groups)
        self._last_pid = min(pid, PIDS.stop)
        started = Process(
            id=ProcessId(pid=pid, start_ticks=self._ticks),
            port=port,
            tag=tag,
            fate=fate or Fate(),
            is_main=is_main,
            group=group or pid,
        )
        self.processes[pid] = started
        return started

    def find(self, wanted: ProcessId | None) -> Process | None:
        """Return the process of that pid and start time, if it lives."""
        found = None if wanted is None else self.processes.get(wanted.pid)
        return found if found is not None and found.id == wanted else None

    def holder(self, port: int) -> Process | None:
        """Return who listens on a port."""
        return next((each for each in self.processes.values() if each.port == port), None)

    def health(self, port: int) -> Health:
        """Return what a check of the port finds now."""
        holder = self.holder(port)
        return Health.UNREACHABLE if holder is None else holder.health

    def main_processes(self, agent: str) -> list[Process]:
        """Return the processes that supervisors of an agent have started and that live."""
        return [each for each in self.processes.values() if each.is_main and _is_of(each, agent)]

    def tagged(self, agent: str) -> list[FoundProcess]:
        """Return every process that says it is a member of the agent, its own or left over."""
        return [
            FoundProcess(member_id=each.tag[0], incarnation=each.tag[1], port=each.port, process=each.id)
            for each in self.processes.values()
            if each.tag is not None and _is_of(each, agent)
        ]

    def end(self, process: Process) -> None:
        """End a process; what it leaves behind goes on in its place."""
        del self.processes[process.id.pid]
        match process.fate.leftover:
            case Leftover.GRANDCHILD:
                left = self.start(port=process.port, group=process.id.pid)
            case Leftover.DAEMON:
                left = self.start(port=process.port, tag=process.tag)
            case Leftover.NOTHING:
                return
        left.health = process.health

    def end_group(self, leader: Process) -> None:
        """End what is left of an ended leader's process group."""
        if leader.id.pid in self.processes:
            # The pid is somebody else's, so the group was empty.
            return
        for each in [each for each in self.processes.values() if each.group == leader.id.pid]:
            self.end(each)


def _is_of(process: Process, agent: str) -> bool:
    return process.tag is not None and process.tag[0].rpartition("/")[0] == agent
