"""Reading the configuration in a process of its own, so that a launcher does not carry the reader's weight for life.

The validation library takes 18 MB and a tenth of a second. The first would stay in the launcher's memory; of the
second the launcher meanwhile makes use itself.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from quaestor_actors.core.spec import ClusterSpec
from quaestor_actors.errors import ConfigError, OperationError


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
        """Begin to read the configuration of a folder; None means the usual places."""
        context = multiprocessing.get_context("fork")
        self._answer, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_read_and_tell, args=(theirs, read, directory))
        self._process.start()
        theirs.close()

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
        self._process.join()
        self._answer.close()
        if isinstance(answer, ConfigError):
            raise answer
        reading: Reading = answer
        return reading


def _read_and_tell(answer: Connection, read: Callable[[Path | None], Reading], directory: Path | None) -> None:
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
    return Reading(spec=loaded.spec, files=files, remarks=loaded.remarks())


def read_load_balancer(directory: Path | None) -> Reading:
    """Read the file of a balancer that runs alone, from a folder or the usual places."""
    from quaestor_actors.config import LOAD_BALANCER_FILE, find_config_directory, load_balancer

    found = find_config_directory(directory, LOAD_BALANCER_FILE, cwd=Path.cwd())
    loaded = load_balancer(found, environ=os.environ)
    return Reading(spec=loaded.spec, files=loaded.files, remarks=loaded.remarks())
