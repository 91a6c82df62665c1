"""What a fault is while it lasts: what was done, what must be seen of it, and how it is taken back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from quaestor_actors.actors.view import TreeView


class NotPossibleError(Exception):
    """The fault cannot be done here or now; the text says why. It is skipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What the cluster must say while the fault lasts."""

    what: str
    """For people."""
    is_met: Callable[[TreeView], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Injury:
    """A fault that was done."""

    what: str
    """For people, with the pid."""
    lasts_s: float = 0.0
    mend: Callable[[], None] | None = None
    """Takes it back; also called when the run is broken off."""
    expects: Expectation | None = None
    blocks_answers: bool = False
    """Clients may be without an answer, or have an outdated one, until it is taken back."""
    touches_no_member: bool = False
    """Every member's process must be the same afterwards."""
