"""One store in memory for several registrars, each of which has a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Sequence
from typing import Any, TypeVar

from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.core.store import (
    NO_LEASE,
    Condition,
    LeaseState,
    Listing,
    Operation,
    Outcome,
    Store,
    WatchBatch,
)

T = TypeVar("T")


class StoreElsewhere:
    """Implements `core.store.Store` by one on another loop, which it does not close."""

    def __init__(self, store: Store, home: LoopThread) -> None:
        """Take the store, and the thread on whose loop it lives."""
        self._store = store
        self._home = home

    @property
    def address(self) -> str:
        return self._store.address

    async def range(self, prefix: str) -> Listing:
        return await self._there(self._store.range(prefix))

    async def put(self, key: str, value: str, *, lease: int = NO_LEASE) -> int:
        return await self._there(self._store.put(key, value, lease=lease))

    async def delete(self, key: str) -> bool:
        return await self._there(self._store.delete(key))

    async def transact(self, operations: Sequence[Operation], *, conditions: Sequence[Condition] = ()) -> Outcome:
        return await self._there(self._store.transact(operations, conditions=conditions))

    async def watch(self, prefix: str, *, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        batches = self._store.watch(prefix, from_revision=from_revision)

        async def following() -> WatchBatch:
            return await anext(batches)

        try:
            while True:
                yield await self._there(following())
        finally:
            await self._there(batches.aclose())

    async def grant(self, ttl_s: float) -> LeaseState:
        return await self._there(self._store.grant(ttl_s))

    async def keep_alive(self, lease: int) -> float:
        return await self._there(self._store.keep_alive(lease))

    async def lease_state(self, lease: int) -> LeaseState:
        return await self._there(self._store.lease_state(lease))

    async def revoke(self, lease: int) -> None:
        await self._there(self._store.revoke(lease))

    async def close(self) -> None:
        """Let the others go on with it."""

    async def _there(self, call: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(self._home.call(call))
