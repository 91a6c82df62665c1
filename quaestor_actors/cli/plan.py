"""`quaestor plan`: what the configuration files would change in the running cluster."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from quaestor_actors.actors.root_messages import PlanReply, PlanRequest
from quaestor_actors.cli.asking import ask_root, running_cluster
from quaestor_actors.cli.listing import Listing
from quaestor_actors.cli.options import cluster_option, config_option, host_option
from quaestor_actors.cli.output import Output, output_options
from quaestor_actors.cli.reading import Reader, read_cluster
from quaestor_actors.cli.render_plan import plan_listing
from quaestor_actors.core.plan import Action
from quaestor_actors.errors import ConflictError


@click.command(short_help="Show what the configuration would change in the running cluster.")
@config_option
@host_option
@cluster_option
@output_options
def plan(*, config_directory: Path | None, host: str | None, name: str | None, output: Output) -> None:
    """Show what the configuration files would change in the running cluster, and change nothing.

    The launcher does what this shows when the files it runs from change, or at SIGHUP. With --watch the files are read
    again each time.

    Example: quaestor plan -c conf
    """

    def look() -> Listing[Action]:
        reading = Reader(partial(read_cluster, host=host), config_directory).result()
        directory = running_cluster(reading.spec.name if name is None else name)
        reply = ask_root(directory, lambda request_id: PlanRequest(request_id=request_id, spec=reading.spec), PlanReply)
        if reply.plan.refusal is not None:
            raise ConflictError(reply.plan.refusal)
        return plan_listing(reply.plan, cluster=directory.name, file=str(reading.files[0]), remarks=reading.remarks)

    output.show(look)
