"""What a command tells while it waits: one line that is kept up to date on a terminal, else a line for each change."""

from __future__ import annotations

import shutil
from datetime import datetime
from typing import TextIO

from quaestor_actors.cli.table import cut, printable

_CLEAR = "\r\x1b[K"


class Progress:
    """Talk on standard error; nothing of it is data."""

    def __init__(self, stream: TextIO, *, is_drawn: bool) -> None:
        """Tell on this stream, in place if it is a terminal that can do that."""
        self._stream = stream
        self._is_drawn = is_drawn
        self._told = ""
        self._is_dirty = False

    def show(self, change: str, *, left_s: float | None = None, next_step: str = "") -> None:
        """Say who holds it up.

        Args:
            change: what is worth a line of its own when it is another than before.
            left_s: how long it is still waited for; None: as long as it takes.
            next_step: what will be done, and when. It changes all the time, as the time left does.
        """
        if self._is_drawn:
            # The last column stays free: a letter in it would wrap.
            width = shutil.get_terminal_size().columns - 1
            left = "" if left_s is None else f"{left_s:.0f} s left: "
            text = printable(f"{left}{change}{f'; {next_step}' if next_step else ''}")
            self._write(f"{_CLEAR}{cut(text, width)}")
            self._is_dirty = True
        elif change != self._told:
            now = datetime.now().astimezone()
            self._write(f"{now:%H:%M:%S} {printable(change)}\n")
        self._told = change

    def clear(self) -> None:
        """Make room for a line of something else."""
        if self._is_dirty:
            self._is_dirty = False
            self._write(_CLEAR)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
