"""What a host must not forget of its term: a successor goes on with it, and whoever must know reads it without asking.

Readers are the coordinator's successor, agent supervisors before they start what floats, and the warden.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from quaestor_actors.adapters.runtime_directory import write_atomically
from quaestor_actors.adapters.state_file import boot_id
from quaestor_actors.core.coordination_state import Term
from quaestor_actors.core.placement import Slot

NAME = "floating.term"

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberedTerm:
    """A host's term, and what it was entitled to run."""

    term: Term | None
    margin_s: float
    """How long before the end of the term whatever floats is ended."""
    agents: frozenset[str] = frozenset()
    """Those that float, or did, whose members may still be there."""
    granted: Mapping[Slot, int] = field(default_factory=dict)
    """With the fencing token of each."""

    @property
    def stops_at(self) -> float:
        """When nothing that floats may run any more, by the clock since the machine was booted."""
        return -math.inf if self.term is None else self.term.ends_at - self.margin_s


class TermFile:
    """The file in one directory; a torn one, or one of another boot, counts as none."""

    def __init__(self, directory: Path) -> None:
        """Name the file; nothing is read or written yet."""
        self._path = directory / NAME

    def load(self) -> RememberedTerm | None:
        """Return what was written last, or None."""
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            if (document["version"], document["boot"]) != (VERSION, boot_id()):
                return None
            term = document["term"]
            return RememberedTerm(
                term=None if term is None else Term(lease=int(term["lease"]), ends_at=float(term["ends_at"])),
                margin_s=float(document["margin_s"]),
                agents=frozenset(map(str, document["agents"])),
                granted={Slot(str(agent), int(number)): int(token) for agent, number, token in document["granted"]},
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def save(self, remembered: RememberedTerm) -> None:
        """Write it down.

        Raises:
            OSError: it could not be written.
        """
        term = remembered.term
        document = {
            "version": VERSION,
            "boot": boot_id(),
            "term": None if term is None else {"lease": term.lease, "ends_at": term.ends_at},
            "margin_s": remembered.margin_s,
            "agents": sorted(remembered.agents),
            "granted": [[slot.agent, slot.number, token] for slot, token in sorted(remembered.granted.items())],
        }
        write_atomically(self._path, json.dumps(document))

    def remove(self) -> None:
        """Forget it; nothing happens if there is none."""
        self._path.unlink(missing_ok=True)

    def refusal(self, slot: Slot, token: int, *, now: float) -> str | None:
        """Return why a copy must not be started now, or None if it may be.

        Args:
            slot: the copy.
            token: the fencing token that it was granted with.
            now: by the clock since the machine was booted.
        """
        found = self.load()
        if found is None or found.granted.get(slot) != token:
            return "this host may not run it at present"
        if now >= found.stops_at:
            return "this host may not run it any more: its lease could not be kept alive"
        return None
