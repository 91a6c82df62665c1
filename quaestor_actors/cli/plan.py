"""`quaestor plan`: what the configuration files would change in the running cluster."""

from __future__ import annotations

from pathlib import Path

import click

from quaestor_actors.actors.root_messages import PlanReply, PlanRequest
from quaestor_actors.cli.asking import ask_root, cluster_option, running_cluster
from quaestor_actors.cli.options import config_option
from quaestor_actors.cli.reading import Reader, read_cluster
from quaestor_actors.errors import ConflictError


@click.command(short_help="Show what the configuration would change in the running cluster.")
@config_option
@cluster_option
def plan(config_directory: Path | None, name: str | None) -> None:
    """Show what the configuration files would change in the running cluster, and change nothing.

    The launcher does what this shows when the files it runs from change, or at SIGHUP.

    Example: quaestor plan -c conf
    """
    reading = Reader(read_cluster, config_directory).result()
    for remark in reading.remarks:
        click.echo(remark, err=True)
    directory = running_cluster(reading.spec.name if name is None else name)
    reply = ask_root(directory, lambda request_id: PlanRequest(request_id=request_id, spec=reading.spec), PlanReply)
    if reply.plan.refusal is not None:
        raise ConflictError(reply.plan.refusal)
    for action in reply.plan.actions:
        click.echo(str(action))
    if not reply.plan.actions:
        click.echo(f"{reading.files[0]}: nothing would change", err=True)
