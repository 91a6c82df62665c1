"""Process events from looking at /proc all the time: for machines where the process connector is not permitted.

Takes a processor for itself, and is as much as a few milliseconds late.
"""

from __future__ import annotations

import queue
import threading
import time

from measure import processes
from measure.events import Event, Kind

_PAUSE_S = 0.0003
_YOUNG_NS = 3_000_000_000
"""A process older than this does not execute another program any more: that is not looked for."""


class ProcPoller:
    """A thread that compares one look at /proc with the next."""

    description = "/proc looked at all the time (the process connector needs root): up to some milliseconds late"

    def __init__(self) -> None:
        """Begin to look."""
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._known = set(processes.all_pids())
        self._young: dict[int, tuple[int, tuple[str, ...]]] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def collected(self) -> list[Event]:
        """Return what happened since the last call."""
        return [self._events.get() for _ in range(self._events.qsize())]

    def close(self) -> None:
        """Look no longer."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(_PAUSE_S):
            self._look()

    def _look(self) -> None:
        present = set(processes.all_pids())
        now = time.monotonic_ns()
        for pid in present - self._known:
            self._young[pid] = (now, ())
            self._events.put(Event(kind=Kind.FORKED, pid=pid, at_ns=now, parent=processes.parent(pid)))
        for pid in self._known - present:
            self._young.pop(pid, None)
            self._events.put(Event(kind=Kind.EXITED, pid=pid, at_ns=now))
        self._known = present
        for pid, (born_ns, before) in list(self._young.items()):
            command = processes.command_line(pid)
            if now - born_ns > _YOUNG_NS:
                del self._young[pid]
            elif command != before:
                self._young[pid] = (born_ns, command)
                self._events.put(Event(kind=Kind.EXECUTED, pid=pid, at_ns=time.monotonic_ns()))
