"""Options that several verbs share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from quaestor_actors.cli.running_names import cluster_names


class Seconds(click.FloatRange):
    """A duration, of which any part of a second may be given; no such thing as `nan`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return seconds


config_option = click.option(
    "-c",
    "--configDir",
    "--config-dir",
    "config_directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the configuration files. Default: the installed sample's, else the current folder.",
)

host_option = click.option(
    "--host",
    metavar="NAME",
    help="Which of the configured hosts this is. Default: the one whose address this machine has.",
)

cluster_option = click.option(
    "--cluster",
    "name",
    metavar="NAME",
    shell_complete=cluster_names,
    help="Which cluster, where more than one runs here.",
)
