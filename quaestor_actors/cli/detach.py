"""Starting in the background: a launcher of its own session, and somebody who waits until it serves."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import click

from quaestor_actors.adapters import runtime_directory
from quaestor_actors.adapters.runtime_directory import LauncherLock
from quaestor_actors.cli.exit_codes import ExitCode
from quaestor_actors.console import Console, News
from quaestor_actors.core import readiness
from quaestor_actors.core.spec import ClusterSpec
from quaestor_actors.errors import OperationError

LOG_NAME = "launcher.log"
LONGEST_LOG = 10_000_000
"""Bytes; what is longer becomes the log before, when a cluster is started and while it runs."""
MARGIN_S = 30.0
"""Beyond the time in which a launcher says itself that this is how it is."""

Ready = Callable[[str], None]
"""Says once, in a line, that the cluster serves, or that its time to begin is over."""


def run_in_background(spec: ClusterSpec, launch: Callable[[Ready], int]) -> int:
    """Launch in a new process; return in both: there the exit code of the launcher, here how the start went.

    Raises:
        ConflictError: the cluster runs already.
        OperationError: its directories or its log cannot be used, or it has not begun in time.
    """
    base = runtime_directory.make_private(runtime_directory.base_directory(os.environ))
    LauncherLock(runtime_directory.make_private(base / spec.name), spec.name).release()
    path = log_of(spec.name)
    runtime_directory.make_private(path.parent)
    log = _opened(path)
    begins_at = os.lseek(log, 0, os.SEEK_END)
    heard, told = os.pipe2(os.O_CLOEXEC)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        os.close(told)
        return _await_start(spec, pid, heard=heard, log=path, begins_at=begins_at)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    return launch(lambda status: _tell(told, status))


def log_of(cluster: str) -> Path:
    """Return where a launcher in the background says what it has to say."""
    return runtime_directory.log_directory(os.environ, cluster) / LOG_NAME


def kept_short(console: Console, path: Path) -> Console:
    """Return a console that sets the log aside, which the given one writes to, when it has become too long."""

    def say(news: News) -> None:
        # A disk that is full, or a folder that was removed, is no reason to end; the next news tries again.
        with contextlib.suppress(OSError):
            if path.stat().st_size > LONGEST_LOG:
                _set_aside(path)
        console(news)

    return say


def _set_aside(path: Path) -> None:
    # Copied and emptied, not renamed: whatever a process of the cluster may write at its end goes to the same file.
    former = path.with_name(f"{LOG_NAME}.1")
    copy = os.open(former, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(copy, "wb") as target, path.open("rb") as source:
        shutil.copyfileobj(source, target)
    os.truncate(path, 0)


def _opened(path: Path) -> int:
    try:
        if path.exists() and path.stat().st_size > LONGEST_LOG:
            path.replace(path.with_name(f"{LOG_NAME}.1"))
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise OperationError(f"cannot write the log {path}: {error.strerror}") from error


def _tell(told: int, status: str) -> None:
    try:
        os.write(told, status.encode())
    except BrokenPipeError:
        # Whoever waited has gone.
        return


def _await_start(spec: ClusterSpec, pid: int, *, heard: int, log: Path, begins_at: int) -> int:
    ended = os.pidfd_open(pid)
    patience_s = readiness.ready_within_s(spec) + MARGIN_S
    try:
        ready, _, _ = select.select([heard, ended], [], [], patience_s)
    except KeyboardInterrupt:
        click.echo(f"quaestor: {spec.name} goes on in the background (pid {pid}); its log is {log}", err=True)
        return ExitCode.INTERRUPTED
    # Its end closes the pipe, too: then there is nothing to read.
    if heard in ready and (status := os.read(heard, 4096).decode(errors="replace")):
        click.echo(
            f"quaestor: {spec.name} runs in the background (pid {pid}): {status}; its log is {log}. "
            f"`quaestor status` shows it, `kill {pid}` stops it",
            err=True,
        )
        return ExitCode.OK
    if not ready:
        raise OperationError(
            f"{spec.name} (pid {pid}) has not begun to work within {patience_s:g} s, and goes on trying; "
            f"its log is {log}"
        )
    _, status_of_process = os.waitpid(pid, 0)
    with log.open(encoding="utf-8", errors="replace") as file:
        file.seek(begins_at)
        click.echo(file.read().rstrip("\n"), err=True)
    code = os.waitstatus_to_exitcode(status_of_process)
    return code if code > 0 else ExitCode.FAILED
