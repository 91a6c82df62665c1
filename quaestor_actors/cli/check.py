"""`quaestor check`: read the configuration, say all that is wrong with it, and start nothing."""

from __future__ import annotations

import os
from pathlib import Path

import click

from quaestor_actors.cli.options import config_option, host_option
from quaestor_actors.config import (
    CLUSTER_FILE,
    LOAD_BALANCER_FILE,
    find_config_directory,
    load_balancer,
    load_cluster,
)
from quaestor_actors.errors import ConfigError


@click.command(short_help="Check the configuration and start nothing.")
@config_option
@host_option
def check(config_directory: Path | None, host: str | None) -> None:
    """Check the configuration files of a cluster or of a balancer alone, and start nothing.

    Everything that is wrong is listed as file:line:column; the exit code is 2 then. Of a cluster of several hosts, what
    this one runs is checked against this machine.

    Example: quaestor check -c conf
    """
    try:
        directory = find_config_directory(config_directory, CLUSTER_FILE, cwd=Path.cwd())
        loaded = load_cluster(directory, environ=os.environ, host=host)
    except ConfigError as missing:
        # A folder with only the balancer's file is a configuration too.
        try:
            directory = find_config_directory(config_directory, LOAD_BALANCER_FILE, cwd=Path.cwd())
        except ConfigError:
            raise missing from None
        if (directory / CLUSTER_FILE).exists():
            raise
        loaded = load_balancer(directory, environ=os.environ)
    for line in loaded.warnings:
        click.echo(line)
    for file in loaded.files:
        click.echo(f"{file}: ok")
