"""What loading gives: the specification, where it came from, and what may surprise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from quaestor_actors.core.spec import ClusterSpec

NO_FLOATING_YET = "floating: not in effect yet; agents that float are not started"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedCluster:
    """A configuration without faults."""

    spec: ClusterSpec
    files: tuple[Path, ...]
    """The files that were read, the leading one first."""
    warnings: tuple[str, ...] = ()
    """In file order; each starts with `file:line:column: path: `."""

    def remarks(self) -> tuple[str, ...]:
        """Return a line for each thing that is set and will not do what the user may expect."""
        floats = any(agent.floating is not None for agent in self.spec.agents)
        return (*self.warnings, NO_FLOATING_YET) if floats else self.warnings
