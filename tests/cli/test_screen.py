"""What a command takes its output for: a terminal or not, how wide, and whether in colours."""

from __future__ import annotations

import io
import os
import pty
from collections.abc import Iterator

import pytest

from quaestor_actors.cli.screen import Canvas, ColourChoice, screen_of


@pytest.fixture
def tty() -> Iterator[io.TextIOWrapper]:
    """Return a terminal that nobody has given a size."""
    controller, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as stream:
        yield stream
    os.close(controller)


def test__no_terminal__has_no_width_and_no_colours() -> None:
    screen = screen_of(io.StringIO(), ColourChoice.AUTO, {"TERM": "xterm"})
    assert (screen.is_terminal, screen.width, screen.has_colours) == (False, None, False)


def test__terminal__without_a_size_has_the_usual_one(tty: io.TextIOWrapper) -> None:
    screen = screen_of(tty, ColourChoice.AUTO, {"TERM": "xterm"})
    assert (screen.is_terminal, screen.width, screen.height, screen.has_colours) == (True, 80, 24, True)


@pytest.mark.parametrize(
    ("environ", "choice", "has_colours"),
    [
        ({"TERM": "xterm", "NO_COLOR": "1"}, ColourChoice.AUTO, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, ColourChoice.AUTO, True),
        ({"TERM": "dumb"}, ColourChoice.AUTO, False),
        ({}, ColourChoice.AUTO, False),
        ({"TERM": "dumb", "NO_COLOR": "1"}, ColourChoice.ALWAYS, True),
        ({"TERM": "xterm"}, ColourChoice.NEVER, False),
    ],
)
def test__colours(tty: io.TextIOWrapper, environ: dict[str, str], choice: ColourChoice, *, has_colours: bool) -> None:
    assert screen_of(tty, choice, environ).has_colours is has_colours


def test__always__counts_off_a_terminal_too() -> None:
    assert screen_of(io.StringIO(), ColourChoice.ALWAYS, {}).has_colours


def test__dumb_terminal__has_a_width_and_is_not_drawn_on(tty: io.TextIOWrapper) -> None:
    screen = screen_of(tty, ColourChoice.AUTO, {"TERM": "dumb"})
    assert (screen.is_terminal, screen.width) == (False, 80)


def test__canvas__draws_in_one_piece_and_gives_the_terminal_back() -> None:
    stream = io.StringIO()
    with Canvas(stream) as canvas:
        entered = len(stream.getvalue())
        canvas.draw("a\nb", heading="now", height=10)
        assert stream.getvalue()[entered:] == "\x1b[Hnow\x1b[K\n\x1b[K\na\x1b[K\nb\x1b[K\x1b[J"
        before = len(stream.getvalue())
    assert stream.getvalue()[before:] == "\x1b[?7h\x1b[?25h\x1b[?1049la\nb\n"


def test__canvas__what_does_not_fit_is_counted() -> None:
    stream = io.StringIO()
    with Canvas(stream) as canvas:
        canvas.draw("1\n2\n3\n4", height=3)
        assert "2\x1b[K\n(2 more lines)" in stream.getvalue()
        assert "3\x1b[K" not in stream.getvalue()
