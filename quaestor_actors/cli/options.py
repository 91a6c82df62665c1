"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path

import click

config_option = click.option(
    "-c",
    "--configDir",
    "--config-dir",
    "config_directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the configuration files. Default: the installed sample's, else the current folder.",
)
