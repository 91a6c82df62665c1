"""A real terminal: tmux, which wraps lines, draws in place and remembers what was shown as any other does."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from support.waiting import wait_until

TMUX = shutil.which("tmux")
DEADLINE_S = 40.0


class Tmux:
    """One window in which one command after the other is run."""

    def __init__(self, socket: Path, *, columns: int, lines: int, environment: Mapping[str, str]) -> None:
        """Start a server of its own."""
        self._socket = socket
        self._code = socket.with_name("code")
        self._environment = dict(environment)
        self._tmux("new-session", "-d", "-x", str(columns), "-y", str(lines), "sleep 100000")
        self._tmux("set-option", "-g", "status", "off")

    def _tmux(self, *arguments: str) -> str:
        assert TMUX is not None
        done = subprocess.run(
            [TMUX, "-S", self._socket, "-f", "/dev/null", *arguments],
            env={**self._environment, "TERM": "xterm-256color"},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=True,
        )
        return done.stdout

    def start(self, *command: str) -> None:
        """Run a command in the window, in place of the one before."""
        self._code.unlink(missing_ok=True)
        code = shlex.quote(str(self._code))
        # Ctrl+C is the command's; and the window stays as the command has left it.
        program = f"trap : INT; {shlex.join(command)}; echo $? > {code}.new; mv {code}.new {code}; exec sleep 100000"
        self._tmux("respawn-pane", "-k", program)
        self._tmux("clear-history")

    def press(self, key: str) -> None:
        """Press a key, by tmux's name for it."""
        self._tmux("send-keys", key)

    def end(self) -> int:
        """Wait for the command's end, and return its exit code."""
        try:
            wait_until(self._code.exists, DEADLINE_S, "the command to end")
        except TimeoutError as error:
            raise AssertionError(f"{error}; shown: {self.shown()}") from error
        return int(self._code.read_text())

    def expect(self, condition: Callable[[str], bool], what: str) -> None:
        """Wait until what is shown is as it should be."""
        try:
            wait_until(lambda: condition(self.shown()), DEADLINE_S, what)
        except TimeoutError as error:
            raise AssertionError(f"{error}; shown: {self.shown()}") from error

    def shown(self) -> str:
        """Return what the window shows, and what has left it at the top."""
        return self._tmux("capture-pane", "-p", "-S", "-").rstrip()

    def is_wrapped(self) -> bool:
        """Return whether a line took more than one row of the window."""
        as_shown, joined = (self._tmux("capture-pane", "-p", *how, "-S", "-").rstrip() for how in ((), ("-J",)))
        return joined.count("\n") != as_shown.count("\n")

    def close(self) -> None:
        """End the server, and with it the command."""
        self._tmux("kill-server")


@contextmanager
def tmux(directory: Path, *, columns: int, lines: int = 40, environment: Mapping[str, str]) -> Iterator[Tmux]:
    """Run a terminal until the block ends."""
    window = Tmux(directory / "tmux", columns=columns, lines=lines, environment=environment)
    try:
        yield window
    finally:
        window.close()
