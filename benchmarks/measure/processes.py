"""What the kernel says about processes: who is whose child, what they run, their processor time and memory."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_GONE = (FileNotFoundError, ProcessLookupError)
_STATE, _PARENT, _UTIME, _CSTIME = 0, 1, 11, 14
"""Places in /proc/PID/stat after the command's name, see proc(5)."""
_ROUNDS_OF_KILLS = 20
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def all_pids() -> list[int]:
    """Return every process on the machine."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - three times as fast


def _stat(pid: int) -> list[bytes] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except _GONE:
        return None
    # The name in parentheses may itself hold spaces and parentheses.
    return text.rpartition(b")")[2].split()


def parent(pid: int) -> int:
    """Return the pid of the parent, 0 if the process is gone."""
    fields = _stat(pid)
    return int(fields[_PARENT]) if fields else 0


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    fields = _stat(pid)
    return fields is not None and fields[_STATE] not in {b"Z", b"X"}


def descendants(root: int) -> set[int]:
    """Return the children of a process, their children, and so on."""
    children: dict[int, list[int]] = {}
    for pid in all_pids():
        children.setdefault(parent(pid), []).append(pid)
    found: set[int] = set()
    waiting = [root]
    while waiting:
        newcomers = children.get(waiting.pop(), [])
        found.update(newcomers)
        waiting.extend(newcomers)
    return found


def command_line(pid: int) -> tuple[str, ...]:
    """Return what a process was started with; empty if it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes()
    except _GONE:
        return ()
    return tuple(text.decode(errors="replace").split("\0")[:-1])


def scheduled_ns(pids: Iterable[int]) -> int:
    """Return the time that all threads of some processes have run on a processor (/proc/PID/task/TID/schedstat)."""
    total = 0
    for pid in pids:
        with suppress(*_GONE):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                with suppress(*_GONE):
                    total += int((thread / "schedstat").read_bytes().split()[0])
    return total


def charged_s(pids: Iterable[int]) -> float:
    """Return the processor time charged to some processes and to the children they have waited for, to the tick."""
    ticks = 0
    for pid in pids:
        if fields := _stat(pid):
            ticks += sum(map(int, fields[_UTIME : _CSTIME + 1]))
    return ticks / _TICKS_PER_S


def proportional_bytes(pids: Iterable[int]) -> int:
    """Return the memory of some processes, a shared page divided by those that share it (PSS)."""
    total = 0
    for pid in pids:
        with suppress(*_GONE):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def become_subreaper() -> None:
    """Become the parent of every orphan among the descendants, so that none of them is lost sight of."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot become a subreaper")


def reap() -> None:
    """Forget every ended child."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def kill_descendants(*, of: int, among: set[int] | None = None) -> None:
    """Kill the descendants of a process (or those of them that are named), until none is left."""
    for _ in range(_ROUNDS_OF_KILLS):
        found = {pid for pid in descendants(of) if is_alive(pid)}
        victims = found if among is None else found & among
        if not victims:
            return
        # A supervisor has a lower pid than what it started last: it cannot go on replacing what is killed.
        for pid in sorted(victims):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        reap()
