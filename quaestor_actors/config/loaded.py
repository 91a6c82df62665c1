"""What loading gives: the specification, where it came from, and what may surprise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from quaestor_actors.core.spec import ClusterSpec

NO_HOSTS_YET = (
    "clusterConfig.hosts: not in effect yet, apart from which agents a host starts and from what floats: hosts do not "
    "see and command each other"
)


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
        return (*self.warnings, *(NO_HOSTS_YET for _ in self.spec.hosts[:1]))
