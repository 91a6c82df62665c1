"""Signals as a readable descriptor, so that a launcher can sleep on signals, processes and messages at once."""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType
from typing import Self

WANTED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


def _noted_by_the_pipe(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the interpreter has written the signal's number to the wake-up descriptor already."""


class SignalPipe:
    """While open, the wanted signals are numbers to read from `fd` and have no other effect."""

    def __init__(self) -> None:
        """Prepare; `with` turns it on. Only for the main thread."""
        self.fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before: dict[int, signal._HANDLER] = {}
        self._on = False
        # The pipe must not be written to by a forked actor system.
        os.register_at_fork(after_in_child=self._leave_child)

    def __enter__(self) -> Self:
        """Take the signals over. One that the caller's parent had set to be ignored (nohup) stays ignored."""
        self._before_fd = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for number in WANTED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, _noted_by_the_pipe)
        self._on = True
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        self._on = False
        signal.set_wakeup_fd(self._before_fd)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self.fd)
        os.close(self._write_fd)

    def _leave_child(self) -> None:
        if not self._on:
            return
        signal.set_wakeup_fd(-1)
        for number in self._before:
            signal.signal(number, signal.SIG_DFL)
        self._on = False

    def read(self) -> set[signal.Signals]:
        """Return the signals that came since the last call."""
        numbers = b""
        with contextlib.suppress(BlockingIOError):
            numbers = os.read(self.fd, 4096)
        return {signal.Signals(number) for number in numbers}


def reap_orphans() -> None:
    """Collect ended processes whose parent died before them; the launcher is their subreaper."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
