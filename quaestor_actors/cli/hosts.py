"""`quaestor hosts`: show the hosts of a running cluster, as this one of them knows them."""

from __future__ import annotations

import click

from quaestor_actors.cli.asking import own_host, running_cluster
from quaestor_actors.cli.asking_hosts import fetch_hosts
from quaestor_actors.cli.hosts_rendering import StandingHost as Row
from quaestor_actors.cli.hosts_rendering import hosts_listing, no_hosts_listing
from quaestor_actors.cli.listing import Listing
from quaestor_actors.cli.options import cluster_option
from quaestor_actors.cli.output import Output, output_options


@click.command(short_help="Show the hosts of a running cluster.")
@cluster_option
@output_options
def hosts(name: str | None, output: Output) -> None:
    """Show the hosts of a running cluster: which are there, since when, how many members serve, who coordinates.

    A host is here (this one), joined, awaited (not heard since this one began to listen) or lost.

    Example: quaestor hosts -w
    """

    def look() -> Listing[Row]:
        directory = running_cluster(name)
        if not own_host(directory):
            return no_hosts_listing(directory.name)
        return hosts_listing(fetch_hosts(directory))

    output.show(look)
