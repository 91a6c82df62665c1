"""The options of every list: which verbs have them, and what they may be."""

from __future__ import annotations

import click
import pytest
from support.command_line import quaestor

from quaestor_actors.cli.forms import Form
from quaestor_actors.cli.main import quaestor as root
from quaestor_actors.cli.output import FormType

LISTS = ("status", "tree", "plan", "registry list", "discover", "health", "load")


def options_of(verb: str) -> set[str]:
    """Return the names of a verb's options."""
    command: click.Command | None = root
    for word in verb.split():
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), word)
    assert command is not None
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("verb", LISTS)
def test__every_list__has_all_of_them(verb: str) -> None:
    assert {"-o", "--output", "-w", "--watch", "--interval", "--color"} <= options_of(verb)


def test__what_never_changes__is_not_watched() -> None:
    assert {"-o", "--color"} <= options_of("version")
    assert "--watch" not in options_of("version")


def test__older_name_of_the_table__is_understood_and_not_shown() -> None:
    assert FormType(*Form).convert("text", None, None) is Form.TABLE
    assert quaestor("version", "-o", "text") == quaestor("version", "-o", "table") == quaestor("version")
    assert "text" not in quaestor("version", "--help").out


@pytest.mark.parametrize(
    "arguments", [("-o", "xml"), ("--interval", "0"), ("--interval", "nan"), ("--color", "sometimes")]
)
def test__nonsense__is_wrong_usage(arguments: tuple[str, ...]) -> None:
    answer = quaestor("health", "localhost:1", *arguments)
    assert (answer.code, answer.out) == (2, "")


def test__colours__when_they_are_wanted_off_a_terminal() -> None:
    answer = quaestor("health", "localhost:1", "--timeout", "0.5", "--color", "always")
    assert "\x1b[31munreachable\x1b[0m" in answer.out
    assert "\x1b" not in quaestor("health", "localhost:1", "--timeout", "0.5").out
