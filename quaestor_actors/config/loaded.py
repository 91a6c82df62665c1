"""What loading gives: the specification, where it came from, and what may surprise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from quaestor_actors.core.spec import ClusterSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedCluster:
    """A configuration without faults."""

    spec: ClusterSpec
    files: tuple[Path, ...]
    """The files that were read, the leading one first."""
    warnings: tuple[str, ...] = ()
    """In file order; each starts with `file:line:column: path: `."""
