"""Where an etcd that this project starts keeps its data: not among the files of a run, for data must survive a boot."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quaestor_actors.config.agents import AgentSection
    from quaestor_actors.config.report import Place, Report


def check_data_directory(
    agent: AgentSection,
    *,
    cluster: str,
    port: int,
    folder: Path,
    environ: Mapping[str, str],
    report: Report,
) -> str:
    """Return the absolute path of the data; report one that etcd could not create or use.

    Args:
        agent: the agent as the file gives it.
        cluster: the name of the cluster.
        port: of etcd's clients.
        folder: where relative paths start.
        environ: the environment of this process.
        report: takes the faults.
    """
    section, keys = agent.section, agent.section.keys
    if keys.data_directory is None:
        if keys.user is not None and not section.broken & {"user", "dataDirectory"}:
            message = f"needs dataDirectory, a folder in which {keys.user} can write"
            report.fault(section.place_of("user"), message)
        path = _state_directory(environ) / "quaestor" / cluster / f"etcd-{port}"
        place = agent.type_place
    else:
        path = Path(os.path.abspath(folder / keys.data_directory))  # noqa: PTH100 - resolve() would follow links
        place = section.place_of("dataDirectory")
    if keys.user is None:
        _check_writable(path, place=place, report=report)
    return str(path)


def _state_directory(environ: Mapping[str, str]) -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib")
    return Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")


def _check_writable(path: Path, *, place: Place, report: Report) -> None:
    """Report a folder that is none, or neither there nor to be created by this user."""
    # Of os.path, for Path's raise where a folder may not be entered.
    there = next(each for each in (path, *path.parents) if os.path.lexists(each))
    if not os.path.isdir(there):  # noqa: PTH112
        report.fault(place, f"{there} is no folder; etcd keeps its data in {path}, name another dataDirectory")
    elif not os.access(there, os.W_OK | os.X_OK):
        message = f"{there} cannot be written by this user; etcd keeps its data in {path}, name another dataDirectory"
        report.fault(place, message)
