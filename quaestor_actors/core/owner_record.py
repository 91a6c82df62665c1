"""Who holds a lease in a shared store: a small record beside the locations, under the same lease.

The original's values are service names, so who has registered a location is said elsewhere: `quaestor/owners/{lease}`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

PREFIX = "quaestor/owners/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A cluster on a machine."""

    cluster: str
    host: str
    """The machine's own name."""
    pid: int
    """Of the process that keeps the lease alive."""


def key_of(lease: int) -> str:
    """Return where the record of a lease's holder is."""
    return f"{PREFIX}{lease:x}"


def lease_of(key: str) -> int | None:
    """Return the lease whose holder's record is there, or None if no record belongs there."""
    digits = key.removeprefix(PREFIX)
    if not key.startswith(PREFIX) or not digits or set(digits) - set("0123456789abcdef"):
        return None
    return int(digits, 16)


def encode(owner: Owner) -> str:
    """Return the record as the store has it."""
    return json.dumps(asdict(owner))


def decode(text: str) -> Owner | None:
    """Return the record, or None if it is none that we understand."""
    try:
        document = json.loads(text)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    cluster, host, pid = (document.get(name) for name in ("cluster", "host", "pid"))
    if not isinstance(cluster, str) or not isinstance(host, str) or not isinstance(pid, int):
        return None
    return Owner(cluster=cluster, host=host, pid=pid)
