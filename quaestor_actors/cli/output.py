"""The options that every list has: in which form it is shown, whether in colours, and whether again and again."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import click

from quaestor_actors.cli.forms import Form, rendered
from quaestor_actors.cli.listing import Listing
from quaestor_actors.cli.options import Seconds
from quaestor_actors.cli.screen import ColourChoice, Screen, screen_of

Row = TypeVar("Row")

OLDER_NAME = "text"
"""How the form `table` was called; still understood."""


class FormType(click.Choice):  # type: ignore[type-arg]  # generic only in newer releases of click
    """The forms, with the older name of one of them."""

    def __init__(self, *forms: Form) -> None:
        super().__init__([form.value for form in forms])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Form:
        """Return the form."""
        return Form(super().convert(Form.TABLE.value if value == OLDER_NAME else value, param, ctx))


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What the options say."""

    form: Form
    colour: ColourChoice
    is_watched: bool = False
    interval_s: float = 0.0

    def show(self, look: Callable[[], Listing[Row]]) -> Listing[Row]:
        """Show a list once and return it, or show it again and again until Ctrl+C.

        Raises:
            QuaestorError: whatever the look raises.
        """
        if self.is_watched:
            # Only who watches pays for it.
            from quaestor_actors.cli.watching import watch

            watch(look, self.form, interval_s=self.interval_s, screen=self.screen)
        listing = look()
        screen = self.screen()
        text = rendered(listing, self.form, width=screen.width, has_colours=screen.has_colours)
        if text:
            click.echo(text, color=screen.has_colours)
        if self.form.is_for_people:
            for note in listing.notes:
                click.echo(note, err=True)
        return listing

    def screen(self) -> Screen:
        """Return what is known of standard output now."""
        return screen_of(sys.stdout, self.colour, os.environ)


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the options, and the argument `output` that says what they are."""
    return _form_options(_watch_options(_collected(command)))


def output_options_of_constants(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the same without those for watching: what it lists does not change."""
    return _form_options(_collected(command))


def _collected(command: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(command)
    def with_output(
        *arguments: Any, form: Form, color: str, is_watched: bool = False, interval_s: float = 0.0, **others: Any
    ) -> Any:
        output = Output(form=form, colour=ColourChoice(color), is_watched=is_watched, interval_s=interval_s)
        return command(*arguments, output=output, **others)

    return with_output


def _form_options(command: Callable[..., Any]) -> Callable[..., Any]:
    form = click.option(
        "-o", "--output", "form", type=FormType(*Form), default=Form.TABLE.value, show_default=True, help="Form."
    )
    color = click.option(
        "--color",
        type=click.Choice([each.value for each in ColourChoice]),
        default=ColourChoice.AUTO.value,
        show_default=True,
        help="Colours of states.",
    )
    return form(color(command))


def _watch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    is_watched = click.option("-w", "--watch", "is_watched", is_flag=True, help="Show it again and again until Ctrl+C.")
    interval = click.option(
        "--interval",
        "interval_s",
        type=Seconds(min=0.1, max=86400),
        default=2.0,
        show_default=True,
        metavar="S",
        help="Seconds between two looks, with --watch.",
    )
    return is_watched(interval(command))
