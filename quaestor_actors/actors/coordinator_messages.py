"""What the coordinator actor is told, and what it tells, beside the words of `core.coordination_state`.

From the root also `RunningChanged` and `Leaving`; to the root also `Grant`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from quaestor_actors.actors.base import Identity
from quaestor_actors.actors.view import CoordinationView
from quaestor_actors.core.placement import Floating
from quaestor_actors.core.spec import StoreSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCoordinator:
    """From the root: agree with the other hosts on what runs where."""

    identity: Identity
    host: str
    hosts: tuple[str, ...]
    floating: tuple[Floating, ...]
    store: StoreSpec
    """The one that all hosts share; another one that answers must not be taken for it."""
    directory: Path
    """Where the term is remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigureCoordinator:
    """From the root: this floats from now on."""

    floating: tuple[Floating, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinationReported:
    """To the root: what people are to see."""

    view: CoordinationView
