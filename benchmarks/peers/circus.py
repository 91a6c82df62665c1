"""circus: one process for all members."""

from __future__ import annotations

import shlex
from pathlib import Path

from peers.packages import python_program
from peers.peer import Launch, Workload

_CONFIGURATION = """\
[circus]
check_delay = {check_delay_s}
endpoint = ipc://{directory}/endpoint
pubsub_endpoint = ipc://{directory}/pubsub
statsd = False

[watcher:member]
cmd = {program}
args = {arguments}
numprocesses = {count}
warmup_delay = 0
"""

_DEFAULT_CHECK_DELAY_S = 5.0
FASTEST_CHECK_DELAY_S = 0.01
"""Finds ended members sooner, for a large part of a core."""


class Circus:
    """The release that pip installs. It looks for ended members every `check_delay` seconds."""

    def __init__(self, name: str = "circus", check_delay_s: float = _DEFAULT_CHECK_DELAY_S) -> None:
        self.name = name
        self._check_delay_s = check_delay_s
        self._program = Path()

    def prepare(self, cache: Path, *, install: bool) -> None:
        """Find or install it."""
        self._program = python_program("circusd", package="circus", cache=cache, install=install)

    def configure(self, directory: Path, workload: Workload) -> Launch:
        """Write one watcher with many processes."""
        path = directory / "circus.ini"
        text = _CONFIGURATION.format(
            check_delay_s=self._check_delay_s,
            directory=directory,
            program=workload.command[0],
            arguments=shlex.join(workload.command[1:]),
            count=workload.count,
        )
        path.write_text(text, encoding="utf-8")
        return Launch(command=(str(self._program), str(path)))
