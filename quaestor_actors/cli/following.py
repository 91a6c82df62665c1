"""Following what a command has set going, until all of it has come true or some of it cannot any more."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import click

from quaestor_actors.actors.view import TreeView
from quaestor_actors.cli.exit_codes import ExitCode
from quaestor_actors.cli.inspect import fetch_tree
from quaestor_actors.cli.progress import Progress
from quaestor_actors.cli.screen import ColourChoice, screen_of
from quaestor_actors.cli.wishes import Outcome, Standing, Wish, counted, holders, outcomes, report, told_of
from quaestor_actors.errors import NotRunningError, OperationError

POLL_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was commanded, of which cluster."""

    title: str
    """For people: `restart Worker`."""
    cluster: str
    wishes: tuple[Wish, ...]
    timeout_s: float | None
    """None: as long as it takes."""
    reached: Callable[[Outcome], None]
    """Called once for each wish that has come true."""
    rolling_before: Mapping[str, int] | None = None
    """For a rolling restart: how many each agent had had before."""


def progress_on_stderr() -> Progress:
    """Return where a command talks while it waits."""
    return Progress(sys.stderr, is_drawn=screen_of(sys.stderr, ColourChoice.NEVER, os.environ).is_terminal)


def follow(order: Order) -> None:
    """Wait until everything that was wished has come true; Ctrl+C ends the waiting, and nothing else.

    Raises:
        OperationError: some of it does not come true any more.
        click.exceptions.Exit: the time is over, or Ctrl+C.
    """
    progress = progress_on_stderr()
    try:
        _follow(order, progress)
    except KeyboardInterrupt:
        progress.clear()
        click.echo(
            f"quaestor: no longer watching; the cluster goes on with {order.title}: `quaestor status` shows how far "
            "it is, `quaestor events -f` what happens",
            err=True,
        )
        raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None
    finally:
        progress.clear()


def _follow(order: Order, progress: Progress) -> None:
    deadline = None if order.timeout_s is None else time.monotonic() + order.timeout_s
    done: set[str] = set()
    while True:
        tree = _tree(order.cluster, progress)
        found = [] if tree is None else outcomes(tree, order.wishes, order.rolling_before)
        for each in found:
            if each.standing is Standing.TRUE and each.wish.member not in done:
                done.add(each.wish.member)
                progress.clear()
                order.reached(each)
        still_open = [each for each in found if each.standing is Standing.OPEN]
        if tree is not None and not still_open:
            break
        left_s = None if deadline is None else deadline - time.monotonic()
        if left_s is not None and left_s <= 0:
            progress.clear()
            headline = f"quaestor: after {order.timeout_s:g} s {order.title} is not done, and goes on:"
            click.echo(report(found, headline), err=True)
            raise click.exceptions.Exit(ExitCode.TIMED_OUT)
        if tree is not None:
            _show(tree, found, left_s, progress)
        time.sleep(POLL_S if left_s is None else min(POLL_S, left_s))
    if any(each.standing is Standing.FAILED for each in found):
        raise OperationError(report(found, f"quaestor: {order.title} has failed:"))


def _tree(cluster: str, progress: Progress) -> TreeView | None:
    try:
        return fetch_tree(cluster).tree
    except NotRunningError as error:
        # Actors are replaced while members go on.
        progress.show(f"waiting for the cluster: {error}")
        return None


def _show(tree: TreeView, found: list[Outcome], left_s: float | None, progress: Progress) -> None:
    holding = holders(tree, found, time.time())
    count = counted(found)
    change = f"{count} done, {told_of(holding)}" if count else told_of(holding)
    progress.show(change, left_s=left_s, next_step=holding[0].next_step)
