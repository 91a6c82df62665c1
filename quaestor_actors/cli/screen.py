"""The terminal that a command writes to, if it is one: how wide it is, whether it has colours, and drawing in place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self, TextIO

_USUAL_SIZE = os.terminal_size((80, 24))

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""The terminal's second screen, so that the first one stays as it was; no cursor; and longer lines are clipped."""
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME = "\x1b[H"
_CLEAR_LINE = "\x1b[K"
_CLEAR_BELOW = "\x1b[J"


class ColourChoice(StrEnum):
    """What `--color` chooses."""

    AUTO = "auto"
    """On a terminal, unless the environment has NO_COLOR or the terminal is a dumb one."""
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What is known of where a command writes to."""

    is_terminal: bool
    width: int | None
    """In cells; None: nothing is cut."""
    height: int | None
    has_colours: bool


def screen_of(stream: TextIO, colour: ColourChoice, environ: Mapping[str, str]) -> Screen:
    """Return what a stream is now; a terminal may have another size each time."""
    is_terminal = stream.isatty()
    size = _size_of(stream) if is_terminal else None
    is_dumb = environ.get("TERM", "dumb") == "dumb"
    wants_colours = is_terminal and not is_dumb and not environ.get("NO_COLOR")
    return Screen(
        is_terminal=is_terminal and not is_dumb,
        width=size.columns if size is not None else None,
        height=size.lines if size is not None else None,
        has_colours=colour is ColourChoice.ALWAYS or (colour is ColourChoice.AUTO and wants_colours),
    )


def _size_of(stream: TextIO) -> os.terminal_size:
    size = os.get_terminal_size(stream.fileno())
    # A serial console may say that it has no size.
    return size if size.columns and size.lines else _USUAL_SIZE


class Canvas:
    """A terminal on which each frame is drawn over the last one; afterwards the last one stays below what was there."""

    def __init__(self, stream: TextIO) -> None:
        """Draw nothing yet."""
        self._stream = stream
        self._last = ""

    def draw(self, text: str, *, height: int, heading: str = "") -> None:
        """Replace what is shown; what is below the last line of the terminal is not, and the heading does not stay."""
        self._last = text
        lines = [*([heading, ""] if heading else []), *text.split("\n")]
        if len(lines) > height:
            lines = [*lines[: height - 1], f"({len(lines) - height + 1} more lines)"]
        # In one piece, and without clearing first: nothing flickers.
        self._write(_HOME + "\n".join(line + _CLEAR_LINE for line in lines) + _CLEAR_BELOW)

    def __enter__(self) -> Self:
        self._write(_ENTER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write(_LEAVE + (f"{self._last}\n" if self._last else ""))

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
