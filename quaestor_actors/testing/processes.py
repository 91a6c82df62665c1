"""A small operating system for tests: processes that run, hang, die, ignore signals and leave children behind.

    system = FakeProcesses()
    watched = system.spawn(spec, member="Worker/1 1", port=5161, environment={}, log_path=Path("unused"))
    process = system.process(watched.process.pid)
    process.ignores = {signal.SIGTERM}
    system.signal_group(watched, signal.SIGTERM)
    assert process.is_alive
    system.signal_group(watched, signal.SIGKILL)
    assert system.is_readable(watched.pidfd)
    assert system.reap(watched).reason == "killed by SIGKILL"

What the code under test calls has the face of the functions in `adapters.processes` and `adapters.ports`, and passes
the same contract test. Everything else is for the test.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from quaestor_actors.adapters.ports import Holder
from quaestor_actors.adapters.processes import Ending, WatchedProcess
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.core.spec import AgentSpec
from quaestor_actors.errors import SpawnError
from quaestor_actors.testing.clock import FakeClock

FIRST_DESCRIPTOR = 2_000_000
"""Descriptors of fakes are numbers that no open file has."""
FIRST_PID = 100
FIRST_FREE_PORT = 40_000
TICKS_PER_S = 100
NO_EXIT_STATUS = "ended (exit status unknown: an earlier supervisor had started it)"
HIDDEN = Holder(pid=None, text="a process of another user")


@dataclass(slots=True, kw_only=True, eq=False)
class FakeProcess:
    """One process. A test may change whatever it says of its future."""

    pid: int
    start_ticks: int
    name: str
    group: int
    """The pid of the leader of its process group."""
    tag: str = ""
    """Which member it says it is, in its environment; empty: none."""
    port: int | None = None
    """Where it listens, from its start to its end."""
    is_child: bool = True
    """Its end is reported to the code under test; else to somebody who has reaped it at once."""
    is_hidden: bool = False
    """It belongs to another user: nobody may know its pid by its port."""
    ignores: set[signal.Signals] = field(default_factory=set)
    """Signals that do nothing to it; SIGKILL and SIGSTOP cannot be ignored."""
    code_when_asked: int | None = None
    """With which code it exits when it is asked to end; None: the signal ends it."""
    resident_bytes: int = 10_000_000
    hangs: bool = False
    """Stopped: signals other than SIGKILL and SIGCONT wait."""
    waiting: list[signal.Signals] = field(default_factory=list)
    signals: list[signal.Signals] = field(default_factory=list)
    """All that it was ever sent, by anybody."""
    ending: Ending | None = None
    """How it ended; None: it lives."""

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended. One that hangs is alive."""
        return self.ending is None

    @property
    def id(self) -> ProcessId:
        """Its name, which no later process has, whatever its pid."""
        return ProcessId(pid=self.pid, start_ticks=self.start_ticks)


class FakeProcesses:
    """The processes and ports of one machine."""

    def __init__(self, clock: FakeClock | None = None) -> None:
        """Begin without any process.

        Args:
            clock: by which start times go, and which a slow start moves; None: one of its own.
        """
        self._clock = clock or FakeClock()
        self._table: dict[int, FakeProcess] = {}
        self._descriptors: dict[int, FakeProcess] = {}
        self._last_pid = FIRST_PID - 1
        self._last_ticks = 0
        self._last_descriptor = FIRST_DESCRIPTOR - 1
        self._last_port = FIRST_FREE_PORT - 1
        self.next_pid: int | None = None
        """The next process gets this pid, if nobody has it: pids are reused."""
        self.spawn_takes_s = 0.0
        """How long a start keeps whoever starts a process."""
        self.spawn_faults: list[str] = []
        """The next starts fail, each with one of these reasons."""
        self.on_spawn: Callable[[FakeProcess], None] = lambda _process: None
        """Called with every member that was started, before whoever started it goes on."""

    # What a test looks at

    @property
    def alive(self) -> list[FakeProcess]:
        """All live processes, by their pids."""
        return sorted((each for each in self._table.values() if each.is_alive), key=lambda each: each.pid)

    @property
    def zombies(self) -> list[FakeProcess]:
        """All that have ended and were not reaped."""
        return [each for each in self._table.values() if not each.is_alive]

    @property
    def open_descriptors(self) -> frozenset[int]:
        """The descriptors that were opened and not closed."""
        return frozenset(self._descriptors)

    def process(self, pid: int) -> FakeProcess:
        """Return the process that has this pid now, dead or alive.

        Raises:
            KeyError: nobody has it.
        """
        return self._table[pid]

    def is_readable(self, pidfd: int) -> bool:
        """Return whether the process of a descriptor has ended; of a closed one, False."""
        process = self._descriptors.get(pidfd)
        return process is not None and not process.is_alive

    # What a test does

    def start(self, name: str, *, port: int | None = None, tag: str = "", is_child: bool = False) -> FakeProcess:
        """Start a process that is no member: by default a stranger, whose end is nobody's business here."""
        process = FakeProcess(
            pid=self._free_pid(), start_ticks=self._ticks(), name=name, group=0, tag=tag, port=port, is_child=is_child
        )
        process.group = process.pid
        self._table[process.pid] = process
        return process

    def fork(self, parent: FakeProcess, *, leaves_group: bool = False, takes_port: bool = False) -> FakeProcess:
        """Have a process start a child of its own.

        Args:
            parent: who does.
            leaves_group: it makes a session of its own (a daemon), and is not ended with the parent's group.
            takes_port: it listens, too, and goes on with it after the parent's end.
        """
        child = self.start(parent.name, port=parent.port if takes_port else None)
        if not leaves_group:
            child.group = parent.group
        return child

    def exit(self, process: FakeProcess, code: int = 0) -> None:
        """Let a process end by itself; nothing happens if it has ended."""
        self._end(process, Ending(reason=f"exited with code {code}", normal=code == 0))

    def crash(self, process: FakeProcess, number: signal.Signals = signal.SIGSEGV) -> None:
        """Let a process be ended by a signal that nobody here has sent; nothing happens if it has ended."""
        self._end(process, Ending(reason=f"killed by {number.name}", normal=False))

    def send(self, process: FakeProcess, number: signal.Signals) -> None:
        """Send a signal to one process: SIGSTOP makes it hang, SIGCONT go on, others end it unless it ignores them."""
        process.signals.append(number)
        if not process.is_alive:
            return
        match number:
            case signal.SIGKILL:
                self.crash(process, number)
            case signal.SIGSTOP:
                process.hangs = True
            case signal.SIGCONT:
                process.hangs = False
                waiting, process.waiting = process.waiting, []
                for each in waiting:
                    self._deliver(process, each)
            case _ if process.hangs:
                process.waiting.append(number)
            case _:
                self._deliver(process, number)

    def close(self, *descriptors: int) -> None:
        """Close descriptors as the kernel does when the process that has them ends; others are left alone."""
        for descriptor in descriptors:
            self._descriptors.pop(descriptor, None)

    def disown(self, prefix: str) -> None:
        """Let the parent of all members with such a tag have ended: their ends are reported to somebody else."""
        for process in list(self._table.values()):
            if process.tag.startswith(prefix):
                process.is_child = False
                if not process.is_alive:
                    del self._table[process.pid]

    # What `adapters.processes` offers

    def spawn(
        self,
        spec: AgentSpec,
        *,
        member: str,
        port: int | None,
        environment: Mapping[str, str],  # noqa: ARG002 - the face of the real one
        log_path: Path,  # noqa: ARG002 - likewise
    ) -> WatchedProcess:
        """Start a member in a session of its own. It listens at once.

        Raises:
            SpawnError: there is no executable, or the test wants it to fail.
        """
        self._clock.advance(self.spawn_takes_s)
        if spec.executable is None:
            raise SpawnError(f"agent {spec.agent_type} has no executable; set executablePath")
        if self.spawn_faults:
            raise SpawnError(f"agent {spec.agent_type} cannot start {spec.executable}: {self.spawn_faults.pop(0)}")
        process = self.start(spec.agent_type, port=port, tag=member, is_child=True)
        self.on_spawn(process)
        return self._open(process)

    def start_ticks(self, pid: int) -> int | None:
        """Return the start time of a live process; None for a zombie or no process."""
        process = self._table.get(pid)
        return process.start_ticks if process is not None and process.is_alive else None

    def watch(self, process: ProcessId) -> WatchedProcess | None:
        """Open a descriptor on a live process; None if it is gone or its pid now belongs to another."""
        is_same = self.start_ticks(process.pid) == process.start_ticks
        return self._open(self._table[process.pid]) if is_same else None

    def watch_pid(self, pid: int) -> WatchedProcess | None:
        """Open a descriptor on whatever live process has this pid."""
        return None if self.start_ticks(pid) is None else self._open(self._table[pid])

    def watch_child(self, pid: int) -> WatchedProcess:
        """Open a descriptor on a child that nobody has reaped yet, dead or alive.

        Raises:
            ProcessLookupError: nobody has the pid.
        """
        if pid not in self._table:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        return self._open(self._table[pid])

    def wait(self, watched: WatchedProcess, *, timeout_s: float) -> bool:
        """Return whether a process has ended, or does so while the time passes: that is up to the test."""
        self._clock.advance(0.0 if self.is_readable(watched.pidfd) else timeout_s)
        return self.is_readable(watched.pidfd)

    def kill(self, watched: WatchedProcess) -> None:
        """End one process, and not its group."""
        self.send(self._of(watched), signal.SIGKILL)

    def signal_group(self, watched: WatchedProcess, number: signal.Signals) -> None:
        """Send a signal to all live processes of the group that has the process's pid for its name."""
        for each in list(self._table.values()):
            if each.group == watched.process.pid and each.is_alive:
                self.send(each, number)

    def reap(self, watched: WatchedProcess) -> Ending:
        """End what is left of an ended member's group, close its descriptor, and say how it ended."""
        process = self._of(watched)
        try:
            if not process.is_child:
                if self.start_ticks(process.pid) is None:
                    self.signal_group(watched, signal.SIGKILL)
                return Ending(reason=NO_EXIT_STATUS, normal=False)
            self.signal_group(watched, signal.SIGKILL)
            del self._table[process.pid]
            return process.ending or Ending(reason="ended", normal=False)
        finally:
            self.forget(watched)

    def forget(self, watched: WatchedProcess) -> None:
        """Close the descriptor.

        Raises:
            OSError: it is closed already.
        """
        self._of(watched)
        del self._descriptors[watched.pidfd]

    def find_tagged(self, prefix: str) -> dict[ProcessId, str]:
        """Return every live session leader that says it is a member, by what follows the tag's beginning."""
        members = [each for each in self.alive if each.tag and each.pid == each.group and each.tag.startswith(prefix)]
        return {each.id: each.tag.removeprefix(prefix) for each in members}

    def is_tagged(self, process: ProcessId, prefix: str) -> bool:
        """Return whether a process is a session leader that says it is a member, by the tag's beginning."""
        return any(found.pid == process.pid for found in self.find_tagged(prefix))

    def rss_bytes(self, pid: int) -> int | None:
        """Return the resident memory of a live process."""
        return None if self.start_ticks(pid) is None else self._table[pid].resident_bytes

    # What `adapters.ports` offers

    def is_taken(self, host_name: str, port: int) -> bool:  # noqa: ARG002 - the face of the real one
        """Return whether a live process listens on a port."""
        return self.listener(port) is not None

    def free_port(self, host_name: str) -> int:  # noqa: ARG002 - the face of the real one
        """Return a port that nobody has had."""
        self._last_port += 1
        return self._last_port

    def holder_of(self, port: int) -> Holder:
        """Say which process listens on a port."""
        process = self.listener(port)
        if process is None or process.is_hidden:
            return HIDDEN
        return Holder(pid=process.pid, text=f"pid {process.pid} ({process.name})")

    def listener(self, port: int) -> FakeProcess | None:
        """Return the live process that listens on a port, the oldest if there are several."""
        return next((each for each in self.alive if each.port == port), None)

    # Inside

    def _open(self, process: FakeProcess) -> WatchedProcess:
        self._last_descriptor += 1
        self._descriptors[self._last_descriptor] = process
        return WatchedProcess(process=process.id, pidfd=self._last_descriptor)

    def _of(self, watched: WatchedProcess) -> FakeProcess:
        if watched.pidfd not in self._descriptors:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._descriptors[watched.pidfd]

    def _deliver(self, process: FakeProcess, number: signal.Signals) -> None:
        if not process.is_alive or number in process.ignores:
            return
        if process.code_when_asked is None:
            self.crash(process, number)
        else:
            self.exit(process, process.code_when_asked)

    def _end(self, process: FakeProcess, ending: Ending) -> None:
        if not process.is_alive:
            return
        process.ending = ending
        if not process.is_child:
            del self._table[process.pid]

    def _free_pid(self) -> int:
        wanted, self.next_pid = self.next_pid, None
        if wanted is not None and self._is_free(wanted):
            return wanted
        self._last_pid += 1
        while not self._is_free(self._last_pid):
            self._last_pid += 1
        return self._last_pid

    def _is_free(self, pid: int) -> bool:
        # The kernel gives nobody a pid that still names a group.
        return pid not in self._table and all(each.group != pid for each in self._table.values())

    def _ticks(self) -> int:
        self._last_ticks = max(self._last_ticks + 1, int(self._clock.now() * TICKS_PER_S))
        return self._last_ticks
