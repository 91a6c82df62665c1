"""Reading the configuration in a process of its own, so that a launcher does not carry the reader's weight for life.

The validation library takes 18 MB and a tenth of a second. The first would stay in the launcher's memory; of the
second the launcher meanwhile makes use itself.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from quaestor_actors.core.spec import ClusterSpec
from quaestor_actors.errors import ConfigError, OperationError

CANCEL_S = 1.0
CRASHED = 1
"""Exit code of a child process that met an error which nobody expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a launcher needs of a configuration."""

    spec: ClusterSpec
    files: tuple[Path, ...]
    """Where it came from, the leading one first; one that is looked for may be missing."""
    remarks: tuple[str, ...]
    """What is set and will not do what the user may expect."""


class Reader:
    """A child process that reads a configuration while its parent does something else."""

    def __init__(self, read: Callable[[Path | None], Reading], directory: Path | None) -> None:
        """Begin to read the configuration of a folder; None means the usual places.

        Raises:
            OperationError: no child process can be started.
        """
        context = multiprocessing.get_context("fork")
        try:
            self._answer, theirs = context.Pipe(duplex=False)
            self._process = context.Process(target=_read_and_tell, args=(theirs, read, directory), daemon=True)
            self._process.start()
        except OSError as error:
            raise OperationError(f"the configuration's reader does not start: {error.strerror or error}") from error
        theirs.close()

    def fileno(self) -> int:
        """Return the descriptor that is readable as soon as `result` need not wait."""
        return self._answer.fileno()

    def result(self) -> Reading:
        """Wait for what was read.

        Raises:
            ConfigError: the configuration cannot be used.
            OperationError: the child process ended without an answer.
        """
        try:
            answer = self._answer.recv()
        except EOFError as error:
            self._process.join()
            raise OperationError(
                f"the configuration's reader ended with code {self._process.exitcode} and no answer"
            ) from error
        finally:
            self._answer.close()
        self._process.join()
        if isinstance(answer, ConfigError):
            raise answer
        reading: Reading = answer
        return reading

    def cancel(self) -> None:
        """End the child process, and its process group if it leads one; there will be no result."""
        self._answer.close()
        if self._process.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        # One that waits for a disk cannot be ended yet. It is nobody's concern any more.
        self._process.join(CANCEL_S)


def _read_and_tell(answer: Connection, read: Callable[[Path | None], Reading], directory: Path | None) -> None:
    # Ctrl+C reaches the parent, too, which says what there is to say.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        _tell_outcome(answer, read, directory)
    except Exception:  # noqa: BLE001 - it ends this process; multiprocessing would print it past the hook for last words
        sys.excepthook(*sys.exc_info())
        sys.exit(CRASHED)


def _tell_outcome(answer: Connection, read: Callable[[Path | None], Reading], directory: Path | None) -> None:
    try:
        outcome: Reading | ConfigError = read(directory)
    except ConfigError as error:
        outcome = error
    # A launcher that was ended meanwhile wants no answer.
    with contextlib.suppress(BrokenPipeError):
        answer.send(outcome)


def read_cluster(
    directory: Path | None, *, host: str | None = None, environ: Mapping[str, str] | None = None
) -> Reading:
    """Read a cluster's files, from a folder or the usual places.

    Args:
        directory: None means the usual places.
        host: which of the cluster's hosts this is; None: the one whose address this machine has.
        environ: the environment; None means that of this process.
    """
    # Imported here because only the child may pay for it.
    from quaestor_actors.config import (
        CLUSTER_FILE,
        LOAD_BALANCER_FILE,
        find_config_directory,
        load_cluster,
    )

    found = find_config_directory(directory, CLUSTER_FILE, cwd=Path.cwd())
    loaded = load_cluster(found, environ=os.environ if environ is None else environ, host=host)
    files = (found / CLUSTER_FILE, found / LOAD_BALANCER_FILE)
    return Reading(spec=loaded.spec, files=files, remarks=loaded.warnings)


def read_load_balancer(directory: Path | None) -> Reading:
    """Read the file of a balancer that runs alone, from a folder or the usual places."""
    from quaestor_actors.config import LOAD_BALANCER_FILE, find_config_directory, load_balancer

    found = find_config_directory(directory, LOAD_BALANCER_FILE, cwd=Path.cwd())
    loaded = load_balancer(found, environ=os.environ)
    return Reading(spec=loaded.spec, files=loaded.files, remarks=loaded.warnings)
