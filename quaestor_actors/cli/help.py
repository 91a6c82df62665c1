"""Help texts end with their examples."""

from __future__ import annotations

import inspect

import click

MARK = "Example: "


def example_last(command: click.Command) -> click.Command:
    """Move the example of a command, and of the commands below it, from its description to the end of its help.

    The example is the last paragraph of the command's docstring, which click would print in front of the options.
    """
    if command.epilog is None and command.help is not None:
        description, separator, example = inspect.cleandoc(command.help).rpartition(f"\n\n{MARK}")
        if separator:
            command.help = description
            # As it is: an example is a line that can be copied.
            command.epilog = f"\b\n{MARK}{example}"
    if isinstance(command, click.Group):
        for below in command.commands.values():
            example_last(below)
    return command
