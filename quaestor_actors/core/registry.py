"""Who serves what where, on this machine: the registry's state and what its followers are told.

Every owner (an agent) first announces all that it has, then tells changes. Repeating either changes nothing, so an
owner may repeat itself after any restart. A registry that itself was restarted tells its followers nothing before
every owner it awaits has announced: a follower keeps its last view meanwhile instead of losing everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from quaestor_actors.core.location import Location, Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One registration and who made it."""

    registration: Registration
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """All entries by location, and the owners that have not announced yet."""

    entries: Mapping[Location, Entry] = field(default_factory=lambda: MappingProxyType({}))
    awaited: frozenset[str] = frozenset()

    @property
    def complete(self) -> bool:
        """Return whether followers may be told."""
        return not self.awaited


def announce(registry: Registry, owner: str, registrations: Iterable[Registration]) -> Registry:
    """Make the given registrations all that the owner has, whatever was known of it before."""
    entries = {location: entry for location, entry in registry.entries.items() if entry.owner != owner}
    for registration in registrations:
        entries[registration.location] = Entry(registration=registration, owner=owner)
    return replace(registry, entries=MappingProxyType(entries), awaited=registry.awaited - {owner})


def register(registry: Registry, owner: str, registrations: Iterable[Registration]) -> Registry:
    """Add registrations; a later incarnation of a location replaces an earlier one, never the other way round."""
    entries = dict(registry.entries)
    for registration in registrations:
        known = entries.get(registration.location)
        if known is None or known.registration.incarnation < registration.incarnation:
            entries[registration.location] = Entry(registration=registration, owner=owner)
    return replace(registry, entries=MappingProxyType(entries))


def deregister(registry: Registry, owner: str, registrations: Iterable[Registration]) -> Registry:
    """Remove the owner's registrations; one that a later incarnation has replaced stays."""
    entries = dict(registry.entries)
    for registration in registrations:
        known = entries.get(registration.location)
        if known is not None and known.owner == owner and known.registration.incarnation <= registration.incarnation:
            del entries[registration.location]
    return replace(registry, entries=MappingProxyType(entries))


def give_up_waiting(registry: Registry) -> Registry:
    """Stop waiting for owners that have not announced; followers are told what there is."""
    return replace(registry, awaited=frozenset())
