"""Which process is meant, also when its pid has come to be another's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessId:
    """A process, named so that a reused pid is never mistaken for it."""

    pid: int
    start_ticks: int
    """Start time in clock ticks since boot (field 22 of /proc/PID/stat, see proc(5))."""
