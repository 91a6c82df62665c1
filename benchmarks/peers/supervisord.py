"""supervisord: one process for all members."""

from __future__ import annotations

import shlex
from pathlib import Path

from peers.packages import python_program
from peers.peer import Launch, Workload

_DESCRIPTORS_FOR_EACH = 8

_CONFIGURATION = """\
[supervisord]
nodaemon = true
directory = {directory}
logfile = {directory}/supervisord.log
pidfile = {directory}/supervisord.pid
childlogdir = {directory}
minfds = {descriptors}

[program:member]
command = {command}
process_name = %(program_name)s_%(process_num)05d
numprocs = {count}
autorestart = true
stdout_logfile = NONE
stderr_logfile = NONE
"""


class Supervisord:
    """The release that pip installs; its settings for restarts have no faster values than the defaults."""

    name = "supervisord"

    def __init__(self) -> None:
        self._program = Path()

    def prepare(self, cache: Path, *, install: bool) -> None:
        """Find or install it."""
        self._program = python_program("supervisord", package="supervisor", cache=cache, install=install)

    def configure(self, directory: Path, workload: Workload) -> Launch:
        """Write one program with many processes. Members' output is not kept: that spares it work."""
        path = directory / "supervisord.conf"
        text = _CONFIGURATION.format(
            directory=directory,
            descriptors=max(1024, _DESCRIPTORS_FOR_EACH * workload.count),
            command=shlex.join(workload.command),
            count=workload.count,
        )
        path.write_text(text, encoding="utf-8")
        return Launch(command=(str(self._program), "-c", str(path)))
