"""`quaestor wait`: wait until members serve, or have stopped, and say who holds it up."""

from __future__ import annotations

import time

import click

from quaestor_actors.cli.asking import own_host, running_cluster
from quaestor_actors.cli.exit_codes import ExitCode
from quaestor_actors.cli.following import progress_on_stderr
from quaestor_actors.cli.inspect import fetch_here
from quaestor_actors.cli.options import Seconds, cluster_option
from quaestor_actors.cli.progress import Progress
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
    (Worker/2@a3). A host that does not answer is waited for, too, and with --serving a cluster that does not run yet.

    Example: quaestor wait Worker --timeout 30
    """
    progress = progress_on_stderr()
    try:
        _wait(selectors, Goal(goal), name, timeout_s, progress)
    finally:
        progress.clear()


def _wait(selectors: tuple[str, ...], goal: Goal, name: str | None, timeout_s: float, progress: Progress) -> None:
    deadline = time.monotonic() + timeout_s
    was_there = False
    while True:
        left_s = deadline - time.monotonic()
        try:
            holding = _look(selectors, goal, name)
            was_there = True
        except NotRunningError as error:
            # A cluster whose launcher has just been started is there in a moment. One that was there once is waited
            # for in any case: actors are replaced while members go on.
            if not was_there and (goal is Goal.STOPPED or left_s <= 0):
                raise
            holding = (Missing(who="the cluster", state="away", reason=str(error)),)
        if not holding:
            return
        if left_s <= 0:
            progress.clear()
            click.echo(report(holding, goal, timeout_s), err=True)
            raise click.exceptions.Exit(ExitCode.TIMED_OUT)
        progress.show(told(holding), left_s=left_s, next_step=holding[0].next_step)
        time.sleep(min(POLL_S, left_s))


def _look(selectors: tuple[str, ...], goal: Goal, name: str | None) -> tuple[Missing, ...]:
    directory, now = running_cluster(name), time.time()
    if own_host(directory):
        from quaestor_actors.cli.asking_hosts import fetch_hosts

        found = missing_on_hosts(fetch_hosts(directory).hosts, selectors, goal, now=now)
    else:
        found = missing(fetch_here(directory.name).tree, selectors, goal, now=now)
    if found.unknown:
        names = ", ".join(repr(selector) for selector in found.unknown)
        raise ConflictError(f"the cluster {directory.name!r} has no member {names} (`quaestor status` shows them)")
    return found.holding
