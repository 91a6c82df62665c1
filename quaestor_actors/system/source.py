"""Where a running cluster's specification comes from: files that are watched, and read again when they change."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from quaestor_actors.adapters.file_watch import FileWatch
from quaestor_actors.core.spec import ClusterSpec
from quaestor_actors.errors import ConfigError, OperationError

LOOK_AT_FILES_S = 1.0
READ_DEADLINE_S = 30.0
"""Reading takes a fraction of a second; from a file system that does not answer, or a pipe, it may take for ever."""


class PendingSpec(Protocol):
    """A specification that somebody else is reading."""

    def fileno(self) -> int:
        """Return the descriptor that is readable as soon as `result` need not wait."""

    def result(self) -> ClusterSpec:
        """Return it, once; raise ConfigError or OperationError if what the files say now cannot be used."""

    def cancel(self) -> None:
        """Give it up, instead of asking for the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Files, and how to read them."""

    files: tuple[Path, ...]
    """A change of any of them is picked up; also that one comes into being."""
    begin_reading: Callable[[], PendingSpec]
    """Returns at once; raises OperationError if it cannot begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    pending: PendingSpec
    why: str
    give_up_at: float


class SourceWatch:
    """Looks at the files of a source from time to time; a cluster without one never changes.

    It never waits for what is being read: that has a descriptor, and a deadline.
    """

    def __init__(self, source: Source | None, said: Callable[[str], None]) -> None:
        """Take the files as they are now.

        Args:
            source: where specifications come from.
            said: told, for people, what became of each reading.
        """
        self._source = source
        self._said = said
        self._files = FileWatch(source.files if source else ())
        self._look_at = time.monotonic() + LOOK_AT_FILES_S if source else None
        self._reading: _Reading | None = None

    @property
    def wake_at(self) -> float | None:
        """When `has_changed` and `is_read` are to be asked next, in monotonic seconds; None: never."""
        times = (self._look_at, self._reading.give_up_at if self._reading else None)
        return min((at for at in times if at is not None), default=None)

    @property
    def fds(self) -> tuple[int, ...]:
        """The descriptors that are readable when `is_read` is to be asked."""
        return (self._reading.pending.fileno(),) if self._reading else ()

    @property
    def leading_file(self) -> str | None:
        """The first of the files, absolute; None: there are none."""
        return None if self._source is None else str(self._source.files[0].resolve())

    def has_changed(self) -> bool:
        """Look at the files if it is time to; return whether they have changed."""
        now = time.monotonic()
        if self._look_at is None or now < self._look_at:
            return False
        self._look_at = now + LOOK_AT_FILES_S
        return self._files.has_changed()

    def begin(self, why: str) -> bool:
        """Have the files read, because of what `why` tells people; return whether that has begun.

        What is being read already is out of date.
        """
        self.cancel()
        if self._source is None:
            return False
        try:
            pending = self._source.begin_reading()
        except OperationError as error:
            self._said(f"{why}, and cannot be used; everything goes on as before:\n{error}")
            return False
        self._reading = _Reading(pending=pending, why=why, give_up_at=time.monotonic() + READ_DEADLINE_S)
        return True

    def is_read(self) -> bool:
        """Return whether `finish` has something to say."""
        if self._reading is None:
            return False
        return bool(_readable(self.fds)) or time.monotonic() >= self._reading.give_up_at

    def finish(self, running: ClusterSpec) -> ClusterSpec | None:
        """Return the new specification; None if there is none that the running cluster can take on, which is said."""
        if self._reading is None:
            return None
        why = self._reading.why
        if not _readable(self.fds):
            self.cancel()
            self._said(f"{why}, and could not be read within {READ_DEADLINE_S:g} s; everything goes on as before")
            return None
        reading, self._reading = self._reading, None
        try:
            spec = reading.pending.result()
        except (ConfigError, OperationError) as error:
            self._said(f"{why}, and cannot be used; everything goes on as before:\n{error}")
            return None
        if spec.name != running.name:
            self._said(
                f"{why}; clusterConfig.name cannot change from {running.name!r} to {spec.name!r} while the cluster "
                "runs: everything goes on as before"
            )
            return None
        self._said(why)
        return spec

    def cancel(self) -> None:
        """Give up what is being read."""
        if self._reading is not None:
            reading, self._reading = self._reading, None
            reading.pending.cancel()


def _readable(fds: tuple[int, ...]) -> list[int]:
    ready, _, _ = select.select(fds, [], [], 0)
    return ready
