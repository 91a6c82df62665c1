"""`quaestor wait`: wait until members serve, or have stopped, and say who holds it up."""

from __future__ import annotations

import sys
import time
from datetime import datetime

import click

from quaestor_actors.cli.exit_codes import ExitCode
from quaestor_actors.cli.inspect import fetch_tree
from quaestor_actors.cli.options import Seconds, cluster_option
from quaestor_actors.cli.running_names import selector_names
from quaestor_actors.cli.wait_rendering import Goal, Missing, missing, missing_on_hosts, report, told
from quaestor_actors.errors import ConflictError, NotRunningError

POLL_S = 0.25
TIMEOUT_S = 60.0


@click.command(short_help="Wait until members serve, or have stopped.")
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...", shell_complete=selector_names)
@click.option("--serving", "goal", flag_value=Goal.SERVING.value, default=True, help="Until they serve; the default.")
@click.option("--stopped", "goal", flag_value=Goal.STOPPED.value, help="Until they have stopped, or are given up.")
@click.option(
    "--timeout",
    "timeout_s",
    type=Seconds(min=0, max=86400),
    default=TIMEOUT_S,
    show_default=True,
    metavar="S",
    help="Seconds after which it ends with exit code 124.",
)
@cluster_option
def wait(selectors: tuple[str, ...], goal: str, timeout_s: float, name: str | None) -> None:
    """Wait until members of a running cluster serve, or have stopped; without SELECTOR all of them.

    SELECTOR is a member (Worker/2) or an agent (Worker, Worker/*), of several hosts on all of them, or on one
    (Worker/2@a3). A host that does not answer is waited for, too.

    Example: quaestor wait Worker --timeout 30
    """
    deadline = time.monotonic() + timeout_s
    holding = _look(selectors, Goal(goal), name)
    shown = ""
    while holding:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            click.echo(report(holding, Goal(goal), timeout_s), err=True)
            raise click.exceptions.Exit(ExitCode.TIMED_OUT)
        if sys.stderr.isatty() and told(holding) != shown:
            shown = told(holding)
            now = datetime.now().astimezone()
            click.echo(f"{now:%H:%M:%S} {shown} ({left_s:.0f} s left)", err=True)
        time.sleep(min(POLL_S, left_s))
        try:
            holding = _look(selectors, Goal(goal), name)
        except NotRunningError as error:
            # Actors are replaced while members go on; who was there once is waited for.
            holding = (Missing(who="the cluster", state="away", reason=str(error)),)


def _look(selectors: tuple[str, ...], goal: Goal, name: str | None) -> tuple[Missing, ...]:
    shown = fetch_tree(name)
    found = missing_on_hosts(shown.hosts, selectors, goal) if shown.hosts else missing(shown.tree, selectors, goal)
    if found.unknown:
        names = ", ".join(repr(selector) for selector in found.unknown)
        raise ConflictError(f"the cluster {shown.tree.cluster!r} has no member {names} (`quaestor status` shows them)")
    return found.holding
