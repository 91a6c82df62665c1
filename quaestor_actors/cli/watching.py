"""Showing a list again and again, until Ctrl+C. Whoever is asked is only ever looked at."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from types import FrameType
from typing import Any, NoReturn, Protocol

import click

from quaestor_actors.cli.forms import Form, rendered
from quaestor_actors.cli.listing import Listing
from quaestor_actors.cli.screen import Canvas, Screen
from quaestor_actors.cli.table import drawn_line
from quaestor_actors.errors import QuaestorError

Say = Callable[[str], None]
Look = Callable[[], Listing[Any]]


class Pause(Protocol):
    """What passes the time between two looks."""

    @property
    def hint(self) -> str:
        """What the user can do meanwhile, as the end of a line."""

    def wait(self, timeout_s: float) -> None:
        """Return after so many seconds, or as soon as the user wants another look."""


class _OnlyTime:
    """A pause that nothing shortens."""

    hint = "Ctrl+C ends this"

    def wait(self, timeout_s: float) -> None:
        """Sleep."""
        time.sleep(timeout_s)


class Outage:
    """Says once that whoever is asked is away, and once that it is back."""

    def __init__(self, who: Callable[[], str], say: Say) -> None:
        """Speak of whoever is asked at that time."""
        self._who = who
        self._say = say
        self._is_on = False

    def begins(self, reason: str) -> None:
        """Say that it does not answer, if that is news."""
        if not self._is_on:
            self._is_on = True
            self._say(f"{reason}; waiting until it answers again")

    def is_over(self) -> None:
        """Say that it answers, if that is news."""
        if self._is_on:
            self._is_on = False
            self._say(f"{self._who()} answers again")


def watch(
    look: Look, form: Form, *, interval_s: float, screen: Callable[[], Screen], pause: Pause | None = None
) -> NoReturn:
    """Show a list at each interval: in place on a terminal, else one below the other.

    Args:
        look: gets the list.
        form: how it is shown; only those for people are drawn in place.
        interval_s: from one look's end to the next.
        screen: tells what is written to, at each time.
        pause: passes the time in between, where the list is drawn in place; None: nothing shortens it.

    Raises:
        QuaestorError: the first look fails; after that one is waited until it succeeds.
        KeyboardInterrupt: Ctrl+C.
    """
    first = look()
    if screen().is_terminal and form.is_for_people:
        _watch_in_place(first, look, form, interval_s=interval_s, screen=screen, pause=pause or _OnlyTime())
    _watch_below(first, look, form, interval_s=interval_s, screen=screen)


def _watch_in_place(
    first: Listing[Any], look: Look, form: Form, *, interval_s: float, screen: Callable[[], Screen], pause: Pause
) -> NoReturn:
    listing, trouble = first, ""
    with ExitStack() as at_end:
        before = signal.signal(signal.SIGTERM, _leave)
        at_end.callback(signal.signal, signal.SIGTERM, before)
        canvas = at_end.enter_context(Canvas(sys.stdout))
        while True:
            size = screen()
            # A terminal in whose last column a letter stands would clear it with the rest of the line.
            width = None if size.width is None else size.width - 1
            shown = _with_notes(rendered(listing, form, width=width, has_colours=size.has_colours), listing, width)
            told = trouble or f"every {interval_s:g} s, {pause.hint}"
            heading = drawn_line(((f"{_now()}  {told}", None),), width=width, has_colours=False)
            canvas.draw(shown, heading=heading, height=size.height or 0)
            pause.wait(interval_s)
            try:
                listing, trouble = look(), ""
            except QuaestorError as error:
                trouble = f"this is how it was last: {error}"
    raise AssertionError("it ends by a signal alone")


def _watch_below(
    first: Listing[Any], look: Look, form: Form, *, interval_s: float, screen: Callable[[], Screen]
) -> NoReturn:
    outage = Outage(lambda: "it", _say)
    listing: Listing[Any] | None = first
    while True:
        if listing is not None:
            outage.is_over()
            size = screen()
            text = rendered(listing, form, width=size.width, has_colours=size.has_colours, is_compact=True)
            if form.is_for_people:
                text = _with_notes(text, listing, size.width)
            click.echo(_framed(text, form), color=size.has_colours)
        time.sleep(interval_s)
        try:
            listing = look()
        except QuaestorError as error:
            listing = None
            outage.begins(str(error))


def _with_notes(text: str, listing: Listing[Any], width: int | None) -> str:
    notes = (drawn_line(((note, None),), width=width, has_colours=False) for note in listing.notes)
    return "\n".join((*([text] if text else []), *notes))


def _framed(text: str, form: Form) -> str:
    """Return one look of several: documents stand for themselves, lines get the time and an empty line."""
    if form.is_for_people:
        return f"{datetime.now().astimezone().isoformat(timespec='seconds')}\n{text}\n"
    return f"{text}\n" if form is Form.TSV else text


def _leave(number: int, _frame: FrameType | None) -> None:
    # The terminal must be given back as it was.
    sys.exit(128 + number)


def _now() -> str:
    return f"{datetime.now().astimezone():%H:%M:%S}"


def _say(text: str) -> None:
    click.echo(f"{_now()} {text}", err=True)
