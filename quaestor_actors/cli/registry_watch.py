"""Following the registry for somebody who watches it: each change once, through outages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import NoReturn

from quaestor_actors.cli.registry_entries import (
    Change,
    ChangeKind,
    Contents,
    Entry,
    difference,
    differences,
    of_stored,
)
from quaestor_actors.cli.registry_store import Snapshot, read_owners, read_snapshot
from quaestor_actors.cli.watching import Outage, Say
from quaestor_actors.core import location_key
from quaestor_actors.core.owner_record import Owner
from quaestor_actors.core.store import (
    NO_LEASE,
    CompactedError,
    Deleted,
    KeyValue,
    Store,
    StoreUnavailableError,
    WatchBatch,
)
from quaestor_actors.errors import NotRunningError, OperationError

RETRY_S = 0.5
POLL_S = 0.5

Show = Callable[[Sequence[Change]], None]


class StoreWatch:
    """Shows every change in a store; after an outage it lists everything, and shows what is different."""

    def __init__(self, store: Store, *, show: Show, say: Say) -> None:
        """Show changes and say what else there is to say; nothing is known yet."""
        self._store = store
        self._show = show
        self._say = say
        self._outage = Outage(lambda: f"etcd at {store.address}", say)
        self._known: dict[str, Entry] = {}
        self._owners: Mapping[int, Owner] = {}

    async def run(self, first: Snapshot) -> NoReturn:
        """Show what there is, and then what changes.

        Raises:
            StoreDeniedError: the store refuses us.
        """
        snapshot = first
        while True:
            try:
                await self._follow(snapshot)
            except CompactedError:
                # It was listed too long ago.
                pass
            except StoreUnavailableError as error:
                self._outage.begins(str(error))
            snapshot = await self._list_again()

    async def _list_again(self) -> Snapshot:
        while True:
            await asyncio.sleep(RETRY_S)
            try:
                return await read_snapshot(self._store)
            except StoreUnavailableError as error:
                self._outage.begins(str(error))

    async def _follow(self, snapshot: Snapshot) -> None:
        """Follow the store from a revision on; return when it has lost that revision."""
        watch = self._store.watch(location_key.PREFIX, from_revision=snapshot.revision + 1)
        is_established = False
        async with aclosing(watch) as batches:
            async for batch in batches:
                if batch.revision < snapshot.revision:
                    self._say(f"etcd at {self._store.address} has lost data; listing what it has")
                    return
                if not is_established:
                    is_established = True
                    self._outage.is_over()
                    self._replace(snapshot)
                await self._take(batch)

    def _replace(self, snapshot: Snapshot) -> None:
        changes = differences(self._known, snapshot.entries)
        self._known, self._owners = dict(snapshot.entries), snapshot.owners
        self._show(changes)

    async def _take(self, batch: WatchBatch) -> None:
        leases = {event.lease for event in batch.events if isinstance(event, KeyValue)}
        if leases - self._owners.keys() - {NO_LEASE}:
            self._owners = await read_owners(self._store)
        changes = [self._change(event) for event in batch.events]
        self._show([change for change in changes if change is not None])

    def _change(self, event: KeyValue | Deleted) -> Change | None:
        before = self._known.pop(event.key, None)
        if isinstance(event, Deleted):
            return None if before is None else Change(kind=ChangeKind.REMOVED, entry=before)
        after = of_stored(event, self._owners)
        if after is None:
            return None
        self._known[event.key] = after
        return difference(before, after)


def watch_cluster(ask: Callable[[], Contents], *, show: Show, say: Say) -> NoReturn:
    """Show what a running cluster has, and then what is different each time that it is asked.

    Raises:
        NotRunningError: it does not answer the first time.
    """
    outage = Outage(lambda: "the cluster", say)
    known: dict[str, Entry] = {}
    contents: Contents | None = ask()
    while True:
        if contents is not None:
            outage.is_over()
            current = {entry.key: entry for entry in contents.entries}
            show(differences(known, current))
            known = current
        time.sleep(POLL_S)
        contents = _ask_again(ask, outage)


def _ask_again(ask: Callable[[], Contents], outage: Outage) -> Contents | None:
    try:
        return ask()
    except (NotRunningError, OperationError) as error:
        # A tree that was killed is whole again in a second; its cookie comes and goes with it.
        outage.begins(str(error))
        return None
