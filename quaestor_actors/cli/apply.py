"""`quaestor apply`: have the running cluster read its configuration again, and wait until it is as configured."""

from __future__ import annotations

import contextlib
import sys
import time
from functools import partial
from pathlib import Path

import click

from quaestor_actors.actors.root_messages import PlanReply, PlanRequest, ReloadReply, ReloadRequest
from quaestor_actors.adapters import runtime_directory
from quaestor_actors.cli.asking import ask_root, running_cluster
from quaestor_actors.cli.control import wait_options
from quaestor_actors.cli.exit_codes import ExitCode
from quaestor_actors.cli.following import POLL_S, Order, follow
from quaestor_actors.cli.inspect import fetch_here
from quaestor_actors.cli.options import cluster_option
from quaestor_actors.cli.plan_wishes import wishes_of_plan
from quaestor_actors.cli.reading import Reader, Reading, read_cluster, read_load_balancer
from quaestor_actors.cli.scale import tell_of_change
from quaestor_actors.errors import ConflictError, NotRunningError, OperationError

TIMEOUT_S = 300.0
TAKEN_S = 35.0
"""In which a launcher has read its files, or given that up, and told the root."""


@click.command(short_help="Read the configuration again, and wait until everything is as it says.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask; needed where there is no terminal to ask on.")
@wait_options
@cluster_option
def apply(name: str | None, *, yes: bool, no_wait: bool, timeout_s: float | None) -> None:
    """Have the running cluster read the files again that it was started from, and wait until it is as they say.

    What is wrong with the files is said first, and then nothing is done. Otherwise it shows what will change, as
    `quaestor plan` does, asks whether to go on, and ends when every member that it touches is as configured; after
    300 s, or --timeout, it waits no longer. Of several hosts it concerns the one on which it is run.

    Example: quaestor apply --yes
    """
    directory = running_cluster(name)
    reading = _read(directory)
    for remark in reading.remarks:
        click.echo(remark, err=True)
    reply = ask_root(directory, lambda request_id: PlanRequest(request_id=request_id, spec=reading.spec), PlanReply)
    if reply.plan.refusal is not None:
        raise ConflictError(reply.plan.refusal)
    before = fetch_here(directory.name).tree
    wished = wishes_of_plan(reply.plan, reading.spec, before)
    for action in reply.plan.actions:
        click.echo(str(action))
    if not reply.plan.actions:
        click.echo(f"{reading.files[0]}: nothing would change", err=True)
    elif not yes:
        _confirm()
    # What other hosts run, and no more, may be what is new.
    if reply.plan.actions or reading.spec.digest != before.configuration:
        ask_root(directory, lambda request_id: ReloadRequest(request_id=request_id), ReloadReply)
        _wait_until_taken(directory.name, before.reloads)
    if no_wait or not wished:
        return
    follow(
        Order(
            title="apply",
            cluster=directory.name,
            wishes=wished,
            timeout_s=TIMEOUT_S if timeout_s is None else timeout_s,
            reached=tell_of_change,
        )
    )


def _read(directory: Path) -> Reading:
    record = runtime_directory.read_system_record(directory)
    if record is None:
        raise NotRunningError(f"the cluster {directory.name!r} has just ended")
    if runtime_directory.launcher_of(directory) is None:
        raise OperationError(
            f"the launcher of {directory.name!r} was killed, and reads nothing; start it again with: quaestor cluster"
        )
    if record.configuration is None:
        raise ConflictError(f"the cluster {directory.name!r} was started from Python, and has no files to read again")
    file = Path(record.configuration)
    if file.name == "quaestor.loadbalancer.config.yml":
        return Reader(read_load_balancer, file.parent).result()
    return Reader(partial(read_cluster, host=record.configured_as or None), file.parent).result()


def _confirm() -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on whether to go on: say --yes")
    if not click.confirm("Go on?", err=True):
        click.echo("nothing was done", err=True)
        raise click.exceptions.Exit(ExitCode.FAILED)


def _wait_until_taken(cluster: str, reloads: int) -> None:
    deadline = time.monotonic() + TAKEN_S
    while time.monotonic() < deadline:
        # The root may be replaced meanwhile; the next one answers.
        with contextlib.suppress(NotRunningError):
            if fetch_here(cluster).tree.reloads != reloads:
                return
        time.sleep(POLL_S)
    raise OperationError(f"the launcher of {cluster!r} has not taken it: its own output says why")
