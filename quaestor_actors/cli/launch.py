"""`quaestor cluster` and `quaestor load-balancer`: run in the foreground until told to stop."""

from __future__ import annotations

import os
from pathlib import Path

import click

from quaestor_actors.cli.check import report
from quaestor_actors.cli.options import config_option
from quaestor_actors.config import (
    CLUSTER_FILE,
    LOAD_BALANCER_FILE,
    LoadedCluster,
    find_config_directory,
)
from quaestor_actors.config import load_balancer as read_load_balancer
from quaestor_actors.config import load_cluster as read_cluster
from quaestor_actors.launcher import run_cluster


def _run(loaded: LoadedCluster) -> int:
    for line in report(loaded):
        click.echo(line, err=True)
    click.echo(f"quaestor: running {loaded.spec.name} from {loaded.files[0]}", err=True)
    return run_cluster(loaded.spec)


@click.command(short_help="Run a cluster in the foreground until Ctrl+C.")
@config_option
def cluster(config_directory: Path | None) -> int:
    """Run a cluster in the foreground until Ctrl+C or SIGTERM.

    Starts every agent of quaestor.cluster.config.yml, keeps its members serving, and balances them if there is a
    LoadBalancer agent. A second Ctrl+C ends members at once.

    Example: quaestor cluster -c conf
    """
    directory = find_config_directory(config_directory, CLUSTER_FILE, cwd=Path.cwd())
    return _run(read_cluster(directory, environ=os.environ))


@click.command("load-balancer", short_help="Run only the balancer, for services that somebody else runs.")
@config_option
def load_balancer(config_directory: Path | None) -> int:
    """Run only the balancer, in the foreground until Ctrl+C or SIGTERM.

    Balances the Worker agents that quaestor.loadbalancer.config.yml names; it starts and stops none of them.

    Example: quaestor load-balancer -c conf
    """
    directory = find_config_directory(config_directory, LOAD_BALANCER_FILE, cwd=Path.cwd())
    return _run(read_load_balancer(directory, environ=os.environ))
