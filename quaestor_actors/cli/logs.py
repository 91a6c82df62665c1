"""`quaestor logs`: what members have written; their files are there also while nothing runs."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn

import click

from quaestor_actors.adapters.member_output import OutputFollower, last_lines, output_files
from quaestor_actors.cli.log_directories import log_directory_of, shared_directory
from quaestor_actors.cli.options import cluster_option
from quaestor_actors.cli.running_names import selector_names
from quaestor_actors.cli.screen import ColourChoice, screen_of
from quaestor_actors.cli.table import printable
from quaestor_actors.core import selector
from quaestor_actors.errors import ConflictError, NotRunningError

POLL_S = 0.25
LINES = 100

_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")


@click.command(short_help="Show what members have written.")
@click.argument("selectors", nargs=-1, required=True, metavar="SELECTOR...", shell_complete=selector_names)
@click.option("-f", "--follow", "is_followed", is_flag=True, help="Go on with what is written next, until Ctrl+C.")
@click.option(
    "--lines",
    "wanted",
    type=click.IntRange(min=0),
    default=LINES,
    show_default=True,
    metavar="N",
    help="Only the last N of each member.",
)
@click.option("--all", "is_all", is_flag=True, help="All that is kept.")
@cluster_option
def logs(
    selectors: tuple[str, ...],
    is_followed: bool,  # noqa: FBT001 - click's signature
    wanted: int,
    is_all: bool,  # noqa: FBT001 - likewise
    name: str | None,
) -> None:
    """Show what members have written on standard output and standard error, rotated files included.

    SELECTOR is a member (Worker/2) or an agent (Worker, Worker/*), of several hosts on all of them, or on one
    (Worker/2@a3). Lines of several members begin with their names.

    Example: quaestor logs Worker/2 -f
    """
    if (shared := shared_directory(log_directory_of(name).name)) is not None:
        from quaestor_actors.cli.logs_hosts import show_logs_of_hosts

        try:
            show_logs_of_hosts(shared, selectors, count=None if is_all else wanted, is_followed=is_followed)
        except NotRunningError as error:
            click.echo(f"quaestor: this is the output of this host alone ({error})", err=True)
        else:
            return
    files = _files_of(log_directory_of(name), selectors)
    followers = {member: OutputFollower(path) for member, path in files.items()}
    writer = Writer(files)
    for member, path in files.items():
        writer.write(
            member, last_lines(path, None if is_all else wanted, end=followers[member].begin if is_followed else None)
        )
    if is_followed:
        _follow(followers, writer)


def _files_of(directory: Path, selectors: Iterable[str]) -> dict[str, Path]:
    files = output_files(directory)
    chosen = selector.choose(selectors, files)
    if chosen.unknown:
        names = ", ".join(repr(each) for each in chosen.unknown)
        there = ", ".join(files) or "nobody"
        raise ConflictError(f"no member {names} has written anything in {directory}; there is output of: {there}")
    return {member: files[member] for member in chosen.members}


class Writer:
    """Writes lines to standard output; of several members, with their names."""

    def __init__(self, members: Iterable[str]) -> None:
        """Take the names."""
        names = list(members)
        self._width = max(map(len, names)) if len(names) > 1 else 0
        self._is_for_terminal = screen_of(sys.stdout, ColourChoice.AUTO, os.environ).is_terminal

    def write(self, member: str, lines: Iterable[bytes]) -> None:
        """Write lines of one of them."""
        prefix = f"{member:{self._width}} | " if self._width else ""
        for line in lines:
            text = line.decode(errors="replace")
            click.echo(prefix + (shown_in_terminal(text) if self._is_for_terminal else text), color=True)


def shown_in_terminal(text: str) -> str:
    """Return a line without what would command a terminal; colours stay."""
    pieces = _COLOUR.split(text.expandtabs())
    shown = "".join(piece if _COLOUR.fullmatch(piece) else printable(piece) for piece in pieces)
    return f"{shown}\x1b[0m" if len(pieces) > 1 else shown


def _follow(followers: Mapping[str, OutputFollower], writer: Writer) -> NoReturn:
    while True:
        for member, follower in followers.items():
            writer.write(member, follower.added())
        sys.stdout.flush()
        time.sleep(POLL_S)
