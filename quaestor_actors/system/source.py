"""Where a running cluster's specification comes from: files that are watched, and read again when they change."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from quaestor_actors.adapters.file_watch import FileWatch
from quaestor_actors.core.spec import ClusterSpec
from quaestor_actors.errors import ConfigError, OperationError

LOOK_AT_FILES_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Files, and how to read them."""

    files: tuple[Path, ...]
    """A change of any of them is picked up; also that one comes into being."""
    read: Callable[[], ClusterSpec]
    """Raises ConfigError if what the files say now cannot be used."""


class SourceWatch:
    """Looks at the files of a source from time to time; a cluster without one never changes."""

    def __init__(self, source: Source | None) -> None:
        """Take the files as they are now."""
        self._source = source
        self._files = FileWatch(source.files if source else ())
        self.look_at = time.monotonic() + LOOK_AT_FILES_S if source else None
        """When `has_changed` is to be asked next, in monotonic seconds; None: never."""

    def has_changed(self) -> bool:
        """Look at the files if it is time to; return whether they have changed."""
        now = time.monotonic()
        if self.look_at is None or now < self.look_at:
            return False
        self.look_at = now + LOOK_AT_FILES_S
        return self._files.has_changed()

    def read(self, running: ClusterSpec, why: str, said: Callable[[str], None]) -> ClusterSpec | None:
        """Return the new specification; None if there is none that the running cluster can take on, which is said."""
        if self._source is None:
            return None
        try:
            spec = self._source.read()
        except (ConfigError, OperationError) as error:
            said(f"{why}, and cannot be used; everything goes on as before:\n{error}")
            return None
        if spec.name != running.name:
            said(
                f"{why}; clusterConfig.name cannot change from {running.name!r} to {spec.name!r} while the cluster "
                "runs: everything goes on as before"
            )
            return None
        said(why)
        return spec
