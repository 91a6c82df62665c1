"""Removing one entry of the registry from a store."""

from __future__ import annotations

from dataclasses import dataclass, replace

from quaestor_actors.cli.registry_entries import UNKNOWN, owner_of
from quaestor_actors.cli.registry_rendering import location_text
from quaestor_actors.cli.registry_store import read_owners
from quaestor_actors.cli.table import printable
from quaestor_actors.core import location_key
from quaestor_actors.core.location import Location
from quaestor_actors.core.store import (
    NO_LEASE,
    Delete,
    HasRevision,
    KeyValue,
    LeaseNotFoundError,
    Store,
    StoreUnavailableError,
)
from quaestor_actors.errors import ConflictError, OperationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to be removed."""

    keys: tuple[str, ...]
    """One of these; the first one is how the others begin."""
    name: str
    """For people."""


def target_of_key(key: str) -> Target:
    """Return the target that is exactly this key, be it one of a location or not."""
    return Target(keys=(key,), name=f"the key {printable(key)}")


def target_of_location(location: Location, *, use_tls: bool | None) -> Target:
    """Return the target at a place; `use_tls` None: with TLS or without, whichever is there."""
    plain, secure = replace(location, use_tls=False), replace(location, use_tls=True)
    if use_tls is None:
        return Target(keys=(location_key.key_of(plain), location_key.key_of(secure)), name=location_text(plain))
    chosen = secure if use_tls else plain
    return Target(keys=(location_key.key_of(chosen),), name=location_text(chosen))


async def find(store: Store, target: Target) -> tuple[KeyValue, ...]:
    """Return what there is of a target."""
    listing = await store.range(target.keys[0])
    return tuple(entry for entry in listing.entries if entry.key in target.keys)


async def remove(store: Store, target: Target, found: tuple[KeyValue, ...], *, is_forced: bool) -> str:
    """Remove what was found, if it is one entry and nobody keeps it there; return its key.

    Raises:
        OperationError: nothing was found, or nobody knows whether it was removed.
        ConflictError: somebody keeps it registered and this is not forced, or it has changed meanwhile, or there are
            two.
    """
    if not found:
        raise OperationError(f"{target.name} is not registered; `quaestor registry list` shows what is")
    if len(found) > 1:
        raise ConflictError(f"{target.name} is registered with TLS and without: say which one, --tls or --no-tls")
    entry = found[0]
    if not is_forced:
        await _refuse_if_kept(store, entry)
    condition = HasRevision(key=entry.key, mod_revision=entry.mod_revision)
    try:
        outcome = await store.transact([Delete(key=entry.key)], conditions=[condition])
    except StoreUnavailableError as error:
        raise OperationError(f"{error}; nobody knows whether {target.name} was removed, see the list") from error
    if not outcome.succeeded:
        raise ConflictError(f"{target.name} has changed just now and was not removed; look at it again")
    return entry.key


async def _refuse_if_kept(store: Store, entry: KeyValue) -> None:
    if entry.lease == NO_LEASE:
        return
    try:
        await store.lease_state(entry.lease)
    except LeaseNotFoundError:
        return
    owner, _ = owner_of(entry.lease, await read_owners(store))
    who = "somebody unknown" if owner == UNKNOWN else printable(owner)
    raise ConflictError(
        f"{who} keeps it registered and would write it again: stop the member instead, or remove it all the same "
        "with --force"
    )
