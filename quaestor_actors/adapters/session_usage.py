"""How much processor time and memory members take: /proc, see proc_pid_stat(5).

Each member leads a session of its own, so what it has started counts as its own, for as long as that stays in it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from quaestor_actors.adapters import proc_stat

MIN_PERIOD_S = 0.3
"""Over shorter periods the kernel's ticks of 10 ms make processor time too coarse."""

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the processes of one session take together."""

    cpu_percent: float | None
    """Of one processor, since the measurement before; None: there was none."""
    memory_bytes: int
    """Resident; what processes share counts for each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Process:
    pid: int
    session: int
    start_ticks: int
    """With the pid it says who this is: pids are used again."""
    cpu_ticks: int
    resident_pages: int


class UsageMeter:
    """Measures sessions by their leaders; each measurement is compared with the one before."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without a measurement.

        Args:
            clock: Monotonic, in seconds.
        """
        self._clock = clock
        self._measured_at: float | None = None
        self._ticks: dict[tuple[int, int], int] = {}
        self._cpu: dict[int, float] = {}

    def measure(self, pids: Iterable[int]) -> dict[int, Usage]:
        """Return what the sessions of these processes take; who is not there any more is left out."""
        members: dict[int, list[_Process]] = {pid: [] for pid in pids}
        for process in _processes():
            # Somebody who was taken over may be in the session of whoever started him.
            leader = process.pid if process.pid in members else process.session
            if leader in members:
                members[leader].append(process)
        self._measure_time(members)
        return {
            pid: Usage(
                cpu_percent=self._cpu.get(pid),
                memory_bytes=_PAGE_BYTES * sum(process.resident_pages for process in found),
            )
            for pid, found in members.items()
            if found
        }

    def _measure_time(self, members: dict[int, list[_Process]]) -> None:
        now = self._clock()
        period_s = None if self._measured_at is None else now - self._measured_at
        if period_s is not None and period_s < MIN_PERIOD_S:
            return
        before, self._measured_at = self._ticks, now
        self._ticks = {(each.pid, each.start_ticks): each.cpu_ticks for found in members.values() for each in found}
        if period_s is None:
            return
        # Who was not there before has spent all of its time since.
        self._cpu = {
            pid: sum(each.cpu_ticks - before.get((each.pid, each.start_ticks), 0) for each in found)
            * (100 / _TICKS_PER_S / period_s)
            for pid, found in members.items()
        }


def _processes() -> Iterator[_Process]:
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            # The command name in parentheses may itself hold spaces and parentheses.
            fields = proc_stat.read(f"/proc/{entry.name}/stat").rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            # It has just ended.
            continue
        yield _Process(
            pid=int(entry.name),
            session=int(fields[3]),
            start_ticks=int(fields[19]),
            cpu_ticks=int(fields[11]) + int(fields[12]),
            resident_pages=int(fields[21]),
        )
