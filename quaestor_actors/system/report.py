"""Where the guardian tells what happens, for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from quaestor_actors.actors.root_messages import Changed
from quaestor_actors.core.plan import Plan
from quaestor_actors.core.spec import ClusterSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is called, in the guardian's own thread."""

    changed: Callable[[Changed], None]
    said: Callable[[str], None]
    reloaded: Callable[[ClusterSpec, Plan], None]
    waiting: Callable[[float], None]
    """Now and then while the cluster stops, with the seconds until it is no longer waited for."""
    ready: Callable[[str], None] | None = None
    """Once, when the start is complete, with how it is; None: nobody waits for it."""
