"""What loading gives: the specification, where it came from, and what is set but does nothing yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from quaestor_actors.core.spec import ClusterSpec


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class PendingKey:
    """A key that is set, understood and kept, but whose behaviour is not in effect yet."""

    file: str
    line: int
    """1-based."""
    column: int
    """1-based."""
    path: str
    """Where in the document, e.g. `agents[1].useTLS`."""
    message: str
    """What happens instead."""

    def __str__(self) -> str:
        """`file:line:column: path: not in effect yet: what happens instead`."""
        return f"{self.file}:{self.line}:{self.column}: {self.path}: not in effect yet: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedCluster:
    """A configuration without faults."""

    spec: ClusterSpec
    files: tuple[Path, ...]
    """The files that were read, the leading one first."""
    pending: tuple[PendingKey, ...] = ()
    """In file order."""
    warnings: tuple[str, ...] = ()
    """In file order; each starts with `file:line:column: path: `."""

    def remarks(self) -> tuple[str, ...]:
        """Return a line for each thing that is set and will not do what the user may expect."""
        return (*(str(pending) for pending in self.pending), *self.warnings)
