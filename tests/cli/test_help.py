"""Every verb's help ends with an example, and every example is one that the verb takes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click
import pytest
from support.command_line import quaestor

from quaestor_actors.cli.help import MARK
from quaestor_actors.cli.main import COMMANDS
from quaestor_actors.cli.main import quaestor as root


def verbs() -> Iterator[tuple[str, ...]]:
    """Yield every verb, with those below it."""
    context = click.Context(root)
    for name in COMMANDS:
        command = root.get_command(context, name)
        yield (name,)
        if isinstance(command, click.Group):
            yield from ((name, below) for below in command.commands)


ALL = list(verbs())


def parse(arguments: list[str]) -> None:
    """Take a command line apart as the command would, and run nothing."""
    command: click.Command = root
    context = root.make_context("quaestor", arguments)
    while isinstance(command, click.Group):
        name, below, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert below is not None
        context = below.make_context(name, rest, parent=context)
        command = below


@pytest.mark.parametrize("verb", ALL, ids=" ".join)
def test__help__ends_with_an_example_that_the_verb_takes(verb: tuple[str, ...]) -> None:
    answer = quaestor(*verb, "--help")
    assert (answer.code, answer.err) == (0, "")
    last = answer.out.rstrip().splitlines()[-1].strip()
    assert answer.out.count(MARK) == 1
    assert last.startswith(f"{MARK}quaestor {' '.join(verb)}")
    # What the shell does with the output is not the verb's.
    parse(shlex.split(last.removeprefix(f"{MARK}quaestor ").partition(" > ")[0]))


@pytest.mark.parametrize("verb", ALL, ids=" ".join)
def test__help__is_asked_for_in_both_ways(verb: tuple[str, ...]) -> None:
    assert quaestor(*verb, "-h").out == quaestor(*verb, "--help").out


def test__overview__names_every_verb() -> None:
    overview = quaestor("--help").out
    assert all(f"\n  {verb} " in overview for verb in COMMANDS)


@pytest.mark.parametrize(
    ("verb", "hint"),
    [("statu", "did you mean 'status'?"), ("restrat", "did you mean 'restart'?"), ("xyzzy", "`quaestor --help` lists")],
)
def test__unknown_verb__the_one_that_is_like_it_is_named(verb: str, hint: str) -> None:
    answer = quaestor(verb)
    assert (answer.code, answer.out) == (2, "")
    assert f"there is no command '{verb}'; {hint}" in answer.err


def test__count_that_is_no_number__is_said_in_plain_words() -> None:
    answer = quaestor("scale", "Worker", "many")
    assert answer.code == 2
    assert "'many' is not a valid number" in answer.err
