"""runit: runsvdir starts one runsv for each member."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path

from peers.packages import need_program
from peers.peer import Launch, Workload, write_script


class Runit:
    """Debian's runit, with run scripts for sh, as its documentation has them."""

    name = "runit"

    def prepare(self, cache: Path, *, install: bool) -> None:  # noqa: ARG002 - the protocol's arguments
        """Find or install it."""
        need_program("runsvdir", package="runit", install=install)

    def configure(self, directory: Path, workload: Workload) -> Launch:
        """Write a service directory for each member. More than 1,000 are beyond runsvdir."""
        services = directory / "services"
        for number in range(workload.count):
            write_script(services / f"{number:04}" / "run", f"exec {shlex.join(workload.command)}")
        # runsvdir(8): at HUP it sends TERM to each runsv, which stops its service, and exits.
        return Launch(command=("runsvdir", str(services)), stop_signal=signal.SIGHUP)
