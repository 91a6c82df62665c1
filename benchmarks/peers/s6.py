"""s6: s6-svscan starts one s6-supervise for each member."""

from __future__ import annotations

import shlex
from pathlib import Path

from peers.packages import need_program
from peers.peer import Launch, Workload, write_script

_SERVICES_BY_DEFAULT = 500


class S6:
    """Debian's s6, with the same run scripts as runit."""

    name = "s6"

    def prepare(self, cache: Path, *, install: bool) -> None:  # noqa: ARG002 - the protocol's arguments
        """Find or install it."""
        need_program("s6-svscan", package="s6", install=install)

    def configure(self, directory: Path, workload: Workload) -> Launch:
        """Write a service directory for each member."""
        services = directory / "services"
        for number in range(workload.count):
            write_script(services / f"{number:04}" / "run", f"exec {shlex.join(workload.command)}")
        limit = max(_SERVICES_BY_DEFAULT, workload.count + 1)
        return Launch(command=("s6-svscan", "-c", str(limit), str(services)))
