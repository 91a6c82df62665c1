"""Keys that a user presses while something is shown."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Keyboard:
    """The terminal of standard input, whose keys are heard at once and not echoed; Ctrl+C stays what it is.

    If standard input is no terminal no key is ever heard.
    """

    def __init__(self, pressed: Callable[[str], bool], *, keys: Callable[[], str]) -> None:
        """Hear nothing yet.

        Args:
            pressed: told each key; returns whether the user wants another look for it.
            keys: which keys there are, for people.
        """
        self._pressed = pressed
        self._is_there = sys.stdin.isatty()
        self._before: list[int | list[bytes | int]] | None = None
        self._keys = keys

    @property
    def hint(self) -> str:
        """What the user can do, as the end of a line."""
        return self._keys() if self._is_there else "Ctrl+C ends this"

    def __enter__(self) -> Self:
        if self._is_there:
            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def wait(self, timeout_s: float) -> None:
        """Return after so many seconds, or when a key was pressed that asks for another look."""
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            if not self._is_there:
                time.sleep(left_s)
                return
            ready, _, _ = select.select([sys.stdin], [], [], left_s)
            # All that has come, and not as text: one who reads ahead would hide keys from the next select.
            keys = os.read(sys.stdin.fileno(), 64).decode(errors="replace") if ready else ""
            if ready and not keys:
                # The terminal was closed.
                self._is_there = False
            wanted = [self._pressed(key) for key in keys]
            if any(wanted):
                return
