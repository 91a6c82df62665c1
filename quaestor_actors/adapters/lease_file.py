"""What a registry must not forget: its successor goes on with its lease, and tells followers the same incarnations.

So a crash changes nothing in the store, and nothing for balancers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from quaestor_actors.adapters.runtime_directory import write_atomically

NAME = "registry.lease"


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberedLease:
    """A lease, and what was registered under others when it was alive."""

    lease: int
    ttl_s: float
    """What the lease was granted for."""
    carried: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """See `core.registrar_state.Registrar`."""


class LeaseFile:
    """The file in one directory; a torn or foreign one counts as none."""

    def __init__(self, directory: Path) -> None:
        """Name the file; nothing is read or written yet."""
        self._path = directory / NAME

    def load(self) -> RememberedLease | None:
        """Return what a predecessor left, or None."""
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            pairs = document.get("carried", {}).items()
            carried = {str(key): (int(created), int(incarnation)) for key, (created, incarnation) in pairs}
            return RememberedLease(lease=int(document["lease"]), ttl_s=float(document["ttl_s"]), carried=carried)
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def save(self, remembered: RememberedLease) -> None:
        """Write it down.

        Raises:
            OSError: it could not be written.
        """
        document = {"lease": remembered.lease, "ttl_s": remembered.ttl_s, "carried": dict(remembered.carried)}
        write_atomically(self._path, json.dumps(document))

    def remove(self) -> None:
        """Forget it; nothing happens if there is none."""
        self._path.unlink(missing_ok=True)
