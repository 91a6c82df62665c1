"""What the registry is told, and what it tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from thespian.actors import ActorAddress

from quaestor_actors.actors.base import Identity
from quaestor_actors.actors.view import RegistryView
from quaestor_actors.core.location import ClientTls, Location, Registration
from quaestor_actors.core.spec import StoreSpec

STATIC_OWNER = "static"
"""Owner of what somebody else runs and the configuration names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRegistry:
    """From the root: begin, and wait for these owners before telling anybody anything."""

    identity: Identity
    awaited: frozenset[str]
    static: tuple[Registration, ...] = ()
    """What somebody else runs; with a store, only for as long as that has not answered."""
    stores: tuple[StoreSpec, ...] = ()
    """The first one that answers is shared with other machines; none: the memory of this actor."""
    tls: Mapping[str, ClientTls] = field(default_factory=lambda: MappingProxyType({}))
    """How services of other machines are connected to, by name."""
    directory: Path
    """Where the lease is remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announce:
    """From an owner: this is all that I have."""

    owner: str
    introduction: int
    """Of the owner to the registry, by the root: a dead owner's last words may come after its successor's first."""
    registrations: tuple[Registration, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """From an owner: these serve now."""

    owner: str
    introduction: int
    registrations: tuple[Registration, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deregister:
    """From an owner: these serve no longer."""

    owner: str
    introduction: int
    registrations: tuple[Registration, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """From the root: keep this actor informed."""

    follower: ActorAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRegistrations:
    """From the root: answer an operator with a RegistryReply."""

    request_id: str
    reply_to: ActorAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryChanged:
    """To a follower: what to add, or replace, and what to remove."""

    whole: bool
    """True: `added` is everything there is, and what the follower had before is void."""
    added: tuple[Registration, ...]
    removed: tuple[Location, ...] = ()
    more: bool = False
    """The rest of the same change follows; act on it when all is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryReported:
    """To the root: how the registry stands with its store."""

    view: RegistryView
