"""Looking into the store that several machines share, from a command."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from quaestor_actors.cli.registry_entries import Contents, Entry, LeaseLeft, in_order, of_stored
from quaestor_actors.core import location_key, owner_record
from quaestor_actors.core.location import join_address
from quaestor_actors.core.owner_record import Owner
from quaestor_actors.core.spec import STORE_PASSWORD_VARIABLE, STORE_USER_VARIABLE, StoreSpec
from quaestor_actors.core.store import (
    NO_LEASE,
    LeaseNotFoundError,
    LeaseState,
    Listing,
    Store,
    StoreDeniedError,
    StoreUnavailableError,
)
from quaestor_actors.errors import OperationError

T = TypeVar("T")

ROUNDS = 2
"""How often each endpoint is tried: one may be busy, or choose a leader, just now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is in the store at one revision."""

    revision: int
    entries: Mapping[str, Entry]
    """By key, without their leases."""
    owners: Mapping[int, Owner]
    """Who holds which lease."""


@asynccontextmanager
async def first_answer(
    specs: Sequence[StoreSpec], question: Callable[[Store], Awaitable[T]]
) -> AsyncIterator[tuple[Store, T]]:
    """Give the first store that answers a question, and its answer; each of a store's endpoints is tried.

    Args:
        specs: the stores, in the order in which they are tried.
        question: what is asked; the answer is never None.

    Raises:
        OperationError: none answers, or the one that does refuses us; the message says where, why, and what to do.
    """
    # Imported here because only who asks etcd needs gRPC.
    from quaestor_actors.adapters.store_etcd import EtcdStore

    # What concerns people is raised.
    log = logging.getLogger("quaestor.registry")
    log.addHandler(logging.NullHandler())
    failures: list[str] = []
    for spec in specs:
        store = EtcdStore(spec, environ=os.environ, log=log)
        try:
            answer = await _answer_of(store, question, tries=ROUNDS * len(spec.endpoints), failures=failures)
            if answer is not None:
                yield store, answer
                return
        except StoreDeniedError as error:
            raise OperationError(
                f"{error} (see the KeyValueStore agent in the configuration, and {STORE_USER_VARIABLE} and "
                f"{STORE_PASSWORD_VARIABLE} in the environment)"
            ) from error
        finally:
            await store.close()
    endpoints = ", ".join(join_address(*endpoint) for spec in specs for endpoint in spec.endpoints)
    raise OperationError(f"no etcd answers at {endpoints}: {'; '.join(dict.fromkeys(failures))}")


async def _answer_of(
    store: Store, question: Callable[[Store], Awaitable[T]], *, tries: int, failures: list[str]
) -> T | None:
    for _ in range(tries):
        try:
            return await question(store)
        except StoreUnavailableError as error:
            failures.append(str(error))
    return None


async def read_contents(store: Store) -> Contents:
    """Return everything that is registered, with owners and leases."""
    listing = await store.range(location_key.PREFIX)
    owners, leases = await asyncio.gather(read_owners(store), _read_leases(store, listing))
    entries = []
    for stored in listing.entries:
        state = leases.get(stored.lease)
        # What was under a lease that has ended meanwhile is gone, too.
        if state is None and stored.lease != NO_LEASE:
            continue
        if (entry := of_stored(stored, owners, _left(state))) is not None:
            entries.append(entry)
    return Contents(
        source=f"etcd at {store.address}",
        entries=in_order(entries),
        strangers=_strangers(listing),
        has_leases=True,
    )


async def read_snapshot(store: Store) -> Snapshot:
    """Return what is registered at one revision, with owners."""
    listing = await store.range(location_key.PREFIX)
    owners = await read_owners(store)
    found = ((stored.key, of_stored(stored, owners)) for stored in listing.entries)
    entries = {key: entry for key, entry in found if entry is not None}
    return Snapshot(revision=listing.revision, entries=entries, owners=owners)


async def read_owners(store: Store) -> dict[int, Owner]:
    """Return who holds which lease; nobody, if we may not see that."""
    owners: dict[int, Owner] = {}
    # Who may read locations alone sees no owners.
    with suppress(StoreDeniedError):
        for stored in (await store.range(owner_record.PREFIX)).entries:
            lease, owner = owner_record.lease_of(stored.key), owner_record.decode(stored.value)
            # One that is not under its own lease may have outlived its writer.
            if lease is not None and lease == stored.lease and owner is not None:
                owners[lease] = owner
    return owners


async def _read_leases(store: Store, listing: Listing) -> dict[int, LeaseState]:
    leases = sorted({stored.lease for stored in listing.entries} - {NO_LEASE})
    states: Iterable[LeaseState | None] = await asyncio.gather(*(_read_lease(store, lease) for lease in leases))
    return {state.lease: state for state in states if state is not None}


async def _read_lease(store: Store, lease: int) -> LeaseState | None:
    try:
        return await store.lease_state(lease)
    except LeaseNotFoundError:
        return None


def _left(state: LeaseState | None) -> LeaseLeft | None:
    if state is None:
        return None
    return LeaseLeft(lease=state.lease, left_s=state.remaining_s, ttl_s=state.ttl_s)


def _strangers(listing: Listing) -> tuple[str, ...]:
    return tuple(stored.key for stored in listing.entries if location_key.location_of(stored.key) is None)
