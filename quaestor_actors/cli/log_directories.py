"""Where the logs of a cluster are that runs, or has run, on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from quaestor_actors.adapters import runtime_directory
from quaestor_actors.cli.asking import own_host
from quaestor_actors.errors import NotRunningError, OperationError
from quaestor_actors.system.running import running_in


def log_directory_of(name: str | None) -> Path:
    """Return the log directory of the cluster that is meant: the named one, the only one that runs, or that ever ran.

    Raises:
        NotRunningError: there are no logs of it, or none at all.
        OperationError: there are several, and none was named.
    """
    if name is not None:
        directory = runtime_directory.log_directory(os.environ, name)
        if not directory.is_dir():
            raise NotRunningError(f"no cluster {name!r} has left logs here (looked in {directory.parent})")
        return directory
    running = [each.name for each in running_in(runtime_directory.base_directory(os.environ))]
    base = runtime_directory.log_directory(os.environ, "any").parent
    names = running or _known_in(base)
    if not names:
        raise NotRunningError(f"no cluster has left logs here (looked in {base}); start one with: quaestor cluster")
    if len(names) > 1:
        verb = "run" if running else "have run"
        raise OperationError(f"several clusters {verb} here: {', '.join(names)}; name one with --cluster")
    return runtime_directory.log_directory(os.environ, names[0])


def shared_directory(cluster: str) -> Path | None:
    """Return the runtime directory of a cluster that runs here as one of several hosts; None if it does not."""
    directory = runtime_directory.base_directory(os.environ) / cluster
    if not runtime_directory.is_running(directory):
        return None
    try:
        return directory if own_host(directory) else None
    except NotRunningError:
        return None


def _known_in(base: Path) -> list[str]:
    found = base.iterdir() if base.is_dir() else ()
    return sorted(each.name for each in found if each.is_dir() and any(each.glob("*.events")))
