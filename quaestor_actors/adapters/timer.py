"""A timer as a readable descriptor: timerfd_create(2), which Python itself has only from 3.13 on."""

from __future__ import annotations

import contextlib
import ctypes
import os
import time

_TFD_TIMER_ABSTIME = 1
_NANOSECONDS = 1_000_000_000


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Timer:
    """`fd` becomes readable at the time that was set last."""

    def __init__(self, *, clock: int = time.CLOCK_MONOTONIC) -> None:
        """Make a timer that is not set, by a clock of clock_gettime(2)."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._libc.timerfd_create(clock, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise _error("timerfd_create")

    def set(self, at: float | None) -> None:
        """Make the descriptor readable at this time of its clock, which may be past; None: never."""
        whole = 0 if at is None else max(1, int(at * _NANOSECONDS))
        seconds, nanoseconds = divmod(whole, _NANOSECONDS)
        due = _Itimerspec(_Timespec(0, 0), _Timespec(seconds, nanoseconds))
        if self._libc.timerfd_settime(self.fd, _TFD_TIMER_ABSTIME, ctypes.byref(due), None) != 0:
            raise _error("timerfd_settime")

    def clear(self) -> None:
        """Make the descriptor unreadable again until the next time that is set."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 8)


def _error(call: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number)}")
