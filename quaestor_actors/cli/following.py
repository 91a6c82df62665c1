"""Following what a command has set going, until all of it has come true or some of it cannot any more."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import click

from quaestor_actors.cli.asking import running_cluster
from quaestor_actors.cli.exit_codes import ExitCode
from quaestor_actors.cli.inspect import fetch_here
from quaestor_actors.cli.progress import Progress
from quaestor_actors.cli.screen import ColourChoice, screen_of
from quaestor_actors.cli.wishes import Holder, Outcome, Standing, Wish, counted, holders, outcomes, report, told_of
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
        look = _look(order, progress)
        found = [] if look is None else look.found
        for each in found:
            if each.standing is Standing.TRUE and each.wish.who not in done:
                done.add(each.wish.who)
                progress.clear()
                order.reached(each)
        still_open = [each for each in found if each.standing is Standing.OPEN]
        if look is not None and not still_open:
            break
        left_s = None if deadline is None else deadline - time.monotonic()
        if left_s is not None and left_s <= 0:
            progress.clear()
            headline = f"quaestor: after {order.timeout_s:g} s {order.title} is not done, and goes on:"
            click.echo(report(found, headline), err=True)
            raise click.exceptions.Exit(ExitCode.TIMED_OUT)
        if look is not None:
            _show(look, left_s, progress)
        time.sleep(POLL_S if left_s is None else min(POLL_S, left_s))
    if any(each.standing is Standing.FAILED for each in found):
        raise OperationError(report(found, f"quaestor: {order.title} has failed:"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What one look shows."""

    found: list[Outcome]
    holding: list[Holder]


def _look(order: Order, progress: Progress) -> _Look | None:
    try:
        return _look_at_hosts(order) if any(wish.host for wish in order.wishes) else _look_here(order)
    except NotRunningError as error:
        # Actors are replaced while members go on.
        progress.show(f"waiting for the cluster: {error}")
        return None


def _look_here(order: Order) -> _Look:
    tree = fetch_here(order.cluster).tree
    found = outcomes(tree, order.wishes)
    return _Look(found=found, holding=holders(tree, found, time.time()))


def _look_at_hosts(order: Order) -> _Look:
    from quaestor_actors.cli.asking_hosts import fetch_hosts
    from quaestor_actors.cli.wishes_hosts import holders_on_hosts, outcomes_on_hosts

    hosts = fetch_hosts(running_cluster(order.cluster)).hosts
    found = outcomes_on_hosts(hosts, order.wishes)
    return _Look(found=found, holding=holders_on_hosts(hosts, found, time.time()))


def _show(look: _Look, left_s: float | None, progress: Progress) -> None:
    count = counted(look.found)
    change = f"{count} done, {told_of(look.holding)}" if count else told_of(look.holding)
    progress.show(change, left_s=left_s, next_step=look.holding[0].next_step)
