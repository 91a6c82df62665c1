"""A peer that runs: its processes, and their end."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from peers.peer import IsMember, Launch

from measure import processes

_STOP_DEADLINE_S = 20.0
_PAUSE_S = 0.02
_SHOWN_CHARACTERS = 300


class Deployment(AbstractContextManager["Deployment"]):
    """One started supervisor with its members; leaving the context ends all of it and removes its directory."""

    def __init__(self, launch: Launch, *, directory: Path, is_member: IsMember) -> None:
        """Take what to start, the directory that belongs to it, and how to know a member by its command line."""
        self._launch = launch
        self._directory = directory
        self.is_member = is_member
        self._top: subprocess.Popen[bytes] | None = None
        self._seen: set[int] = set()
        self.launched_ns = 0

    def start(self) -> None:
        """Start the supervisor; what it prints goes to a file in its directory."""
        environment = {**os.environ, **self._launch.environment}
        with (self._directory / "output").open("wb") as output:
            self.launched_ns = time.monotonic_ns()
            # A session of its own: Ctrl+C reaches the benchmark alone, which then ends everything in order.
            self._top = subprocess.Popen(
                self._launch.command,
                env=environment,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        """Return the end of what the supervisor printed."""
        return (self._directory / "output").read_text(encoding="utf-8", errors="replace")[-_SHOWN_CHARACTERS:].strip()

    def has_said(self, text: str) -> bool:
        """Return whether the supervisor has printed this."""
        return text.encode() in (self._directory / "output").read_bytes()

    @property
    def top(self) -> int:
        """Return the pid of the process that was started."""
        if self._top is None:
            raise RuntimeError("not started")
        return self._top.pid

    def tree(self) -> set[int]:
        """Return all processes: the one that was started and its descendants."""
        found = {self.top, *processes.descendants(self.top)}
        self._seen |= found
        return found

    def members(self) -> set[int]:
        """Return the members' pids."""
        return {pid for pid in self.tree() if self.is_member(processes.command_line(pid))}

    def own(self) -> set[int]:
        """Return the pids of the supervisor's own processes."""
        return {pid for pid in self.tree() if not self.is_member(processes.command_line(pid))}

    def ask_to_stop(self) -> None:
        """Send the supervisor its stop signal; waits for nothing."""
        os.kill(self.top, self._launch.stop_signal)

    def __enter__(self) -> Self:
        """Start nothing yet, so that events can be listened for first."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ask the supervisor to stop, kill what is left of it, and remove its directory.

        After a failure or Ctrl+C nobody waits for an orderly stop: all of it is killed at once.
        """
        try:
            if self._top is not None:
                self._end(politely=kind is None)
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _end(self, *, politely: bool) -> None:
        self.tree()
        if politely and processes.is_alive(self.top):
            self.ask_to_stop()
            self._wait(_STOP_DEADLINE_S)
        if processes.is_alive(self.top):
            self.tree()
        processes.kill_descendants(of=os.getpid(), among=self._seen)
        self._wait(_STOP_DEADLINE_S)

    def _wait(self, deadline_s: float) -> None:
        deadline = time.monotonic() + deadline_s
        while any(map(processes.is_alive, self._seen)) and time.monotonic() < deadline:
            time.sleep(_PAUSE_S)
            processes.reap()
