"""Which clusters run on this machine, and what it takes to speak with one."""

from __future__ import annotations

import os
from pathlib import Path

from quaestor_actors.adapters import runtime_directory
from quaestor_actors.adapters.runtime_directory import SystemRecord
from quaestor_actors.errors import NotRunningError, OperationError
from quaestor_actors.system import cookie


def running_in(base: Path) -> list[Path]:
    """Return the runtime directories of all clusters that run."""
    return sorted(
        directory
        for directory in (base.iterdir() if base.is_dir() else ())
        if directory.is_dir() and runtime_directory.is_running(directory)
    )


def find_cluster(base: Path, name: str | None) -> Path:
    """Return the runtime directory of the running cluster that is meant.

    Raises:
        NotRunningError: none runs, or not the named one.
        OperationError: more than one runs, and none was named.
    """
    running = running_in(base)
    if name is not None:
        running = [directory for directory in running if directory.name == name]
    if not running:
        what = "no cluster is running" if name is None else f"no cluster {name!r} is running"
        raise NotRunningError(f"{what} here (looked in {base}); start one with: quaestor cluster")
    if len(running) > 1:
        names = ", ".join(directory.name for directory in running)
        raise OperationError(f"several clusters run here: {names}; name one with --cluster")
    return running[0]


def record_of(directory: Path) -> SystemRecord:
    """Return how to reach a running cluster.

    Raises:
        NotRunningError: it has ended.
    """
    record = runtime_directory.read_system_record(directory)
    if record is None:
        raise NotRunningError(f"the cluster {directory.name!r} has just ended")
    return record


def cookie_of(directory: Path, record: SystemRecord) -> bytes:
    """Return a running cluster's cookie.

    Raises:
        OperationError: it cannot be used.
    """
    # One in the environment is removed when it is read; it may be needed again.
    digits = os.environ.get(cookie.COOKIE_VARIABLE)
    try:
        return cookie.load_cookie(Path(record.cookie_file) if record.cookie_file else directory / "cookie")
    finally:
        if digits is not None:
            os.environ[cookie.COOKIE_VARIABLE] = digits
