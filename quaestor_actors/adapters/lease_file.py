"""The lease of a registry, remembered: its successor goes on with it, so that a crash changes nothing in the store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from quaestor_actors.adapters.runtime_directory import write_atomically

NAME = "registry.lease"


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberedLease:
    """A lease, and what it was granted for."""

    lease: int
    ttl_s: float


class LeaseFile:
    """The file in one directory; a torn or foreign one counts as none."""

    def __init__(self, directory: Path) -> None:
        """Name the file; nothing is read or written yet."""
        self._path = directory / NAME

    def load(self) -> RememberedLease | None:
        """Return what a predecessor left, or None."""
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            return RememberedLease(lease=int(document["lease"]), ttl_s=float(document["ttl_s"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def save(self, remembered: RememberedLease) -> None:
        """Write it down.

        Raises:
            OSError: it could not be written.
        """
        write_atomically(self._path, json.dumps({"lease": remembered.lease, "ttl_s": remembered.ttl_s}))

    def remove(self) -> None:
        """Forget it; nothing happens if there is none."""
        self._path.unlink(missing_ok=True)
