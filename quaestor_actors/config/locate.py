"""Where the configuration files are: in a folder the user names, with the defaults, or in the current."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

from quaestor_actors.errors import ConfigError, ConfigFault

CLUSTER_FILE = "quaestor.cluster.config.yml"
LOAD_BALANCER_FILE = "quaestor.loadbalancer.config.yml"


def default_config_directory() -> Path:
    """Return the folder of the files that come with the project.

    In a checkout, or an editable install of one, that is `conf` beside the package; else the place that setup.cfg
    names below the data folder of the installation that the package is in: the system's, a virtual environment's or
    the user's own. It need not exist.
    """
    site = Path(__file__).resolve().parents[2]
    checkout = site / "conf"
    if (checkout / CLUSTER_FILE).is_file():
        return checkout
    user = sysconfig.get_preferred_scheme("user")
    is_users = Path(sysconfig.get_path("purelib", user)).resolve() == site
    data = sysconfig.get_path("data", user) if is_users else sysconfig.get_path("data")
    return Path(data) / "share" / "quaestor-actors" / "conf"


def find_config_directory(explicit: Path | None, file_name: str, *, cwd: Path, defaults: Path | None = None) -> Path:
    """Return the first folder that has the file.

    Args:
        explicit: the folder that the user named; then no other is searched.
        file_name: `CLUSTER_FILE` or `LOAD_BALANCER_FILE`.
        cwd: the current folder, searched last.
        defaults: the folder of the installed defaults; None means `default_config_directory()`.

    Raises:
        ConfigError: none has it; the fault names every folder that was searched.
    """
    if explicit is not None:
        searched = [explicit]
    else:
        searched = list(dict.fromkeys([defaults or default_config_directory(), cwd]))
    for folder in searched:
        # A dangling link or a folder of that name is found too: the loader then says what is wrong with it.
        candidate = folder / file_name
        if os.path.lexists(candidate):
            return folder
    places = " or ".join(str(folder) for folder in searched)
    fault = ConfigFault(
        file=file_name,
        line=0,
        column=0,
        path="",
        message=f"not found in {places}; name its folder with --configDir",
    )
    raise ConfigError((fault,))
