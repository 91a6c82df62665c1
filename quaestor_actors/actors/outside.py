"""Everything that actors take from outside of them, in one place: time, chance, processes, ports, and what they make.

Actors reach it as `self.outside`. Whoever runs them all in one process, with a clock that stands still, puts another
one in its place before they are created.
"""

from __future__ import annotations

import logging
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from setproctitle import setproctitle

from quaestor_actors.adapters import ports, processes
from quaestor_actors.adapters.boot_clock import boot_clock
from quaestor_actors.adapters.ports import Holder
from quaestor_actors.adapters.processes import Ending, WatchedProcess
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.core.spec import AgentSpec

P = ParamSpec("P")
Made = TypeVar("Made")


class Processes(Protocol):
    """What is done with processes; `adapters.processes` says what each of these promises."""

    def spawn(
        self, spec: AgentSpec, *, member: str, port: int | None, environment: Mapping[str, str], log_path: Path
    ) -> WatchedProcess:
        """Start a member, or raise a SpawnError."""

    def watch(self, process: ProcessId) -> WatchedProcess | None:
        """Open a descriptor on a live process; None if it is gone."""

    def watch_pid(self, pid: int) -> WatchedProcess | None:
        """Open a descriptor on whatever process has this pid now."""

    def watch_child(self, pid: int) -> WatchedProcess:
        """Open a descriptor on a child that nobody has reaped yet."""

    def kill(self, watched: WatchedProcess) -> None:
        """End one process, and not its group."""

    def signal_group(self, watched: WatchedProcess, number: signal.Signals) -> None:
        """Send a signal to a process and its group."""

    def reap(self, watched: WatchedProcess) -> Ending:
        """End what is left of an ended member's group, close its descriptor, and say how it ended."""

    def forget(self, watched: WatchedProcess) -> None:
        """Close the descriptor."""

    def find_tagged(self, prefix: str) -> dict[ProcessId, str]:
        """Return members by the beginning of their tag, with the rest of it."""

    def is_tagged(self, process: ProcessId, prefix: str) -> bool:
        """Return whether a process is a member with such a tag."""

    def rss_bytes(self, pid: int) -> int | None:
        """Return the resident memory of a process."""


class Ports(Protocol):
    """What is asked about ports; `adapters.ports` says what each of these promises."""

    def is_taken(self, host_name: str, port: int) -> bool:
        """Return whether somebody listens on a port."""

    def free_port(self, host_name: str) -> int:
        """Return a port that is free now."""

    def holder_of(self, port: int) -> Holder:
        """Say who listens on a port."""


LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_to_stderr(level: str = "info") -> None:
    """Write this process's log to standard error, which the launcher pointed to the system's log file.

    Thespian had replaced the root logger by one that sends every record to its logger process, at 1.5 ms a line.
    """
    root = logging.RootLogger(logging.getLevelNamesMapping()[level.upper()])
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    root.addHandler(handler)
    logging.root = root
    logging.Logger.root = root
    logging.Logger.manager = logging.Manager(root)


def newest_child_pid(owner: Any) -> int:
    """Return the pid of the child that an actor has created last; Thespian has no public way to ask."""
    return int(owner._myRef._child_procs[-1].childProc.pid)  # noqa: SLF001 - see above


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """The outside; by default the real one. Times are seconds."""

    clock: Callable[[], float] = time.monotonic
    boot_clock: Callable[[], float] = boot_clock
    """Since the machine was booted, also while it sleeps."""
    wall_clock: Callable[[], float] = time.time
    """Since the epoch: what people are shown."""
    draw: Callable[[], float] = random.random
    """A number from 0 to 1, for jitter; no secret."""
    processes: Processes = processes
    ports: Ports = ports
    newest_child_pid: Callable[[Any], int] = newest_child_pid
    set_title: Callable[[str], None] = setproctitle
    """Of the actor's process, for ps and top."""
    log_to_stderr: Callable[[str], None] = log_to_stderr

    def make(self, adapter: Callable[P, Made], /, *args: P.args, **kwargs: P.kwargs) -> Made:
        """Make what an actor works with: a timer, a mailbox, a thread, a link to somewhere."""
        return adapter(*args, **kwargs)
