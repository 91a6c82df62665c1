"""Who a pid belongs to now: /proc, see proc_pid_stat(5)."""

from __future__ import annotations

import os


def start_ticks(pid: int) -> int | None:
    """Return the start time of a live process in clock ticks since boot; None for a zombie or no process."""
    try:
        state, ticks = stat(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in {b"Z", b"X"} else ticks


def stat(pid: int) -> tuple[bytes, int]:
    """Return state and start time of a process, also of a zombie. Part of every start, so without a file object.

    Raises:
        FileNotFoundError: there is none, or it has just been reaped (also ProcessLookupError).
    """
    # The command name in parentheses may itself hold spaces and parentheses: count fields after the last one.
    fields = read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return fields[0], int(fields[19])


def read(path: str) -> bytes:
    """Return a small file of /proc."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)
