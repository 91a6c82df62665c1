"""A command that runs in a terminal: what it writes, byte by byte, and the keys that a user presses."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from support.waiting import wait_until

DEADLINE_S = 20.0
_CTRL_C = b"\x03"

_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)
"""Makes the terminal that of the command, so that Ctrl+C reaches it."""


class Terminal:
    """A pseudo-terminal with a command in it."""

    def __init__(self, command: Sequence[str], *, columns: int, lines: int, environment: Mapping[str, str]) -> None:
        """Start the command."""
        self._controller, terminal = pty.openpty()
        self._resize(columns, lines)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.written = ""
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-c", _TAKE_TERMINAL, *command],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env={**environment, "TERM": "xterm-256color"},
        )
        os.close(terminal)

    def _resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._controller, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size, as a user does with a window."""
        self._resize(columns, lines)

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._controller, text.encode())

    def press_ctrl_c(self) -> int:
        """Press Ctrl+C and return the exit code."""
        os.write(self._controller, _CTRL_C)
        return self.end()

    def terminate(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self) -> int:
        """Wait for the command's end, read the rest, and return the exit code."""

        def has_ended() -> bool:
            self._read()
            return self.process.poll() is not None

        wait_until(has_ended, DEADLINE_S, "the command to end")
        self._read()
        return self.process.returncode

    def expect(self, condition: Callable[[str], bool], what: str) -> str:
        """Wait until what was written is as it should be, and return it."""

        def is_so() -> bool:
            self._read()
            return condition(self.written)

        try:
            wait_until(is_so, DEADLINE_S, what)
        except TimeoutError as error:
            raise AssertionError(f"{error}; written: {self.written!r}") from error
        return self.written

    def _read(self) -> None:
        while select.select([self._controller], [], [], 0)[0]:
            try:
                piece = os.read(self._controller, 65_536)
            except OSError:
                # Nobody has the other side open any more.
                return
            self.written += self._decoder.decode(piece)

    def close(self) -> None:
        """End whatever is left."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._controller)


@contextmanager
def terminal(*command: str, columns: int = 100, lines: int = 24, environment: Mapping[str, str]) -> Iterator[Terminal]:
    """Run a command in a terminal until the block ends."""
    running = Terminal(command, columns=columns, lines=lines, environment=environment)
    try:
        yield running
    finally:
        running.close()
