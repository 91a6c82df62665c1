"""A store in the memory of one process, for a cluster of one machine and for tests: `core.store` without etcd.

It behaves as etcd does as far as the port promises anything, down to the first revision of an empty store being 1.
What it holds is gone with the process.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count, takewhile
from typing import assert_never

from quaestor_actors.core.store import (
    MAX_OPERATIONS,
    NO_LEASE,
    CompactedError,
    Condition,
    Delete,
    Deleted,
    HasLease,
    HasRevision,
    KeyValue,
    LeaseNotFoundError,
    LeaseState,
    Listing,
    Operation,
    Outcome,
    Put,
    StoreDeniedError,
    StoreUnavailableError,
    WatchBatch,
)

HISTORY_EVENTS = 10_000
"""So many changes can be watched from the past; older ones are compacted."""


@dataclass(slots=True, kw_only=True)
class _Lease:
    ttl_s: float
    ends_at: float
    keys: set[str] = field(default_factory=set)


class MemoryStore:
    """Implements `core.store.Store`. After `close`, everything raises `StoreUnavailableError`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Make an empty store.

        Args:
            clock: Seconds that only grow; leases end by it. A timer of the loop looks at it when a lease should be
                over, and every call does.
        """
        self._clock = clock
        self._revision = 1
        self._entries: dict[str, KeyValue] = {}
        self._leases: dict[int, _Lease] = {}
        self._lease_numbers = count(NO_LEASE + 1)
        self._history: deque[WatchBatch] = deque()
        self._history_events = 0
        self._oldest = 1
        """The first revision that can be watched from."""
        self._changed = asyncio.Event()
        """Set, and replaced, at every change."""
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    @property
    def address(self) -> str:
        """Who is asked: for people."""
        return "the memory of this process"

    async def range(self, prefix: str) -> Listing:
        """Return all keys that begin with the prefix."""
        self._settle()
        keys = sorted(key for key in self._entries if key.startswith(prefix))
        return Listing(revision=self._revision, entries=tuple(self._entries[key] for key in keys))

    async def put(self, key: str, value: str, *, lease: int = NO_LEASE) -> int:
        """Write a key, and return the revision.

        Raises:
            LeaseNotFoundError: the lease is no more; nothing was written.
        """
        return (await self.transact([Put(key=key, value=value, lease=lease)])).revision

    async def delete(self, key: str) -> bool:
        """Delete a key, and return whether it was there."""
        self._settle()
        was_there = key in self._entries
        self._apply([Delete(key=key)])
        return was_there

    async def transact(self, operations: Sequence[Operation], *, conditions: Sequence[Condition] = ()) -> Outcome:
        """Do all operations at one revision if all conditions hold, else nothing.

        Raises:
            StoreDeniedError: There are too many operations, or a key is in two of them.
            LeaseNotFoundError: a lease of a put is no more; nothing was done.
        """
        self._settle()
        if len(operations) > MAX_OPERATIONS:
            raise StoreDeniedError(f"too many operations in a transaction: {len(operations)}, not {MAX_OPERATIONS}")
        if len({operation.key for operation in operations}) < len(operations):
            raise StoreDeniedError("a key is in two operations of one transaction")
        if not all(self._holds(condition) for condition in conditions):
            return Outcome(succeeded=False, revision=self._revision)
        for operation in operations:
            if isinstance(operation, Put) and operation.lease != NO_LEASE:
                self._lease(operation.lease)
        self._apply(operations)
        return Outcome(succeeded=True, revision=self._revision)

    async def watch(self, prefix: str, *, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Yield all changes below the prefix from a revision on, the past ones first.

        Raises:
            CompactedError: the revision is compacted; or the reader fell behind by more than `HISTORY_EVENTS`.
        """
        self._settle()
        following = from_revision
        pending = self._since(following)
        yield WatchBatch(revision=self._revision)
        while True:
            if pending:
                following = pending[-1].revision + 1
            for batch in pending:
                if events := tuple(event for event in batch.events if event.key.startswith(prefix)):
                    yield WatchBatch(revision=batch.revision, events=events)
            pending = self._since(following)
            if not pending:
                await self._changed.wait()
                self._check_open()
                pending = self._since(following)

    async def grant(self, ttl_s: float) -> LeaseState:
        """Make a lease."""
        self._settle()
        lease = next(self._lease_numbers)
        self._leases[lease] = _Lease(ttl_s=ttl_s, ends_at=self._clock() + ttl_s)
        self._arm()
        return LeaseState(lease=lease, ttl_s=ttl_s, remaining_s=ttl_s)

    async def keep_alive(self, lease: int) -> float:
        """Make a lease last its whole time again, and return that.

        Raises:
            LeaseNotFoundError: it is no more.
        """
        self._settle()
        found = self._lease(lease)
        found.ends_at = self._clock() + found.ttl_s
        return found.ttl_s

    async def lease_state(self, lease: int) -> LeaseState:
        """Return how long a lease lasts.

        Raises:
            LeaseNotFoundError: it is no more.
        """
        self._settle()
        found = self._lease(lease)
        return LeaseState(lease=lease, ttl_s=found.ttl_s, remaining_s=found.ends_at - self._clock())

    async def revoke(self, lease: int) -> None:
        """End a lease and delete its keys at one revision.

        Raises:
            LeaseNotFoundError: it is no more.
        """
        self._settle()
        self._end(lease)

    async def close(self) -> None:
        """Let go of everything; watches end."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._changed.set()

    def compact(self, revision: int) -> None:
        """Forget what was before a revision, which is at most the present one: watches cannot begin there any more."""
        while self._history and self._history[0].revision < revision:
            self._history_events -= len(self._history.popleft().events)
        self._oldest = max(self._oldest, revision)

    def _settle(self) -> None:
        """End what should have ended by now; the timer may be late."""
        self._check_open()
        now = self._clock()
        for lease in [lease for lease, found in self._leases.items() if found.ends_at <= now]:
            self._end(lease)

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreUnavailableError("the store in memory is closed")

    def _lease(self, lease: int) -> _Lease:
        found = self._leases.get(lease)
        if found is None:
            raise LeaseNotFoundError(f"there is no lease {lease:x}")
        return found

    def _end(self, lease: int) -> None:
        keys = sorted(self._lease(lease).keys)
        self._apply([Delete(key=key) for key in keys])
        del self._leases[lease]

    def _arm(self) -> None:
        """Have a timer for the lease that ends next; it looks again if that was kept alive meanwhile."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._leases:
            rest_s = min(found.ends_at for found in self._leases.values()) - self._clock()
            self._timer = asyncio.get_running_loop().call_later(rest_s, self._expire)

    def _expire(self) -> None:
        self._settle()
        self._arm()

    def _holds(self, condition: Condition) -> bool:
        entry = self._entries.get(condition.key)
        match condition:
            case HasLease():
                return entry is not None and entry.lease == condition.lease
            case HasRevision():
                return condition.mod_revision == (0 if entry is None else entry.mod_revision)
            case _:
                assert_never(condition)

    def _apply(self, operations: Iterable[Operation]) -> None:
        """Do what was checked, at the next revision; there is none if nothing changes."""
        revision = self._revision + 1
        events: list[KeyValue | Deleted] = []
        for operation in operations:
            match operation:
                case Put():
                    events.append(self._put(operation, revision))
                case Delete():
                    if (old := self._entries.pop(operation.key, None)) is not None:
                        self._detach(old)
                        events.append(Deleted(key=old.key, mod_revision=revision))
                case _:
                    assert_never(operation)
        if events:
            self._revision = revision
            self._record(WatchBatch(revision=revision, events=tuple(events)))

    def _put(self, put: Put, revision: int) -> KeyValue:
        old = self._entries.get(put.key)
        if old is not None:
            self._detach(old)
        if put.lease != NO_LEASE:
            self._leases[put.lease].keys.add(put.key)
        created = revision if old is None else old.create_revision
        entry = KeyValue(key=put.key, value=put.value, create_revision=created, mod_revision=revision, lease=put.lease)
        self._entries[put.key] = entry
        return entry

    def _detach(self, entry: KeyValue) -> None:
        if entry.lease != NO_LEASE:
            self._leases[entry.lease].keys.remove(entry.key)

    def _record(self, batch: WatchBatch) -> None:
        self._history.append(batch)
        self._history_events += len(batch.events)
        while self._history_events > HISTORY_EVENTS:
            self.compact(self._history[0].revision + 1)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _since(self, revision: int) -> list[WatchBatch]:
        """Return what has happened from a revision on.

        Raises:
            CompactedError: Not all of it is known any more.
        """
        if revision < self._oldest:
            raise CompactedError(f"revision {revision} is compacted; the oldest one known is {self._oldest}")
        return list(takewhile(lambda batch: batch.revision >= revision, reversed(self._history)))[::-1]
