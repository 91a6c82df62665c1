"""The memory store's own: its clock, and how much of the past it keeps."""

from __future__ import annotations

import asyncio

import pytest
from support.stores import DEADLINE_S, events_of, next_batch, on_loop, watching

from quaestor_actors.adapters.store_memory import HISTORY_EVENTS, MemoryStore
from quaestor_actors.core.store import (
    CompactedError,
    Delete,
    Deleted,
    HasLease,
    LeaseNotFoundError,
    Put,
)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@on_loop
async def test__lease__ends_by_the_clock_and_not_before() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    lease = (await store.grant(10)).lease
    revision = await store.put("key", "", lease=lease)
    clock.now += 9.5
    state = await store.lease_state(lease)
    assert (state.ttl_s, state.remaining_s) == (10, 0.5)
    assert await store.keep_alive(lease) == 10
    clock.now += 9.5
    assert len((await store.range("")).entries) == 1
    clock.now += 0.5
    outcome = await store.transact([Delete(key="key")], conditions=[HasLease(key="key", lease=lease)])
    assert (outcome.succeeded, outcome.revision) == (False, revision + 1)
    with pytest.raises(LeaseNotFoundError):
        await store.keep_alive(lease)
    await store.close()


@on_loop
async def test__leases__end_without_anybody_asking_in_their_order() -> None:
    store = MemoryStore()
    for ttl_s in (0.1, 0.02, 0.06):
        lease = await store.grant(ttl_s)
        revision = await store.put(str(ttl_s), "", lease=lease.lease)
    async with watching(store, "", from_revision=revision + 1) as (watch, _):
        assert [event.key for event in await events_of(watch, 3)] == ["0.02", "0.06", "0.1"]
    await store.close()


@on_loop
async def test__lease__that_is_kept_alive_by_the_clock__survives_its_timer() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    short, long = await store.grant(0.01), await store.grant(0.02)
    await store.put("short", "", lease=short.lease)
    revision = await store.put("long", "", lease=long.lease)
    async with watching(store, "", from_revision=revision + 1) as (watch, _):
        waiting = asyncio.create_task(next_batch(watch))
        # The loop's time passes, and timers fire; the clock's does not.
        await asyncio.wait([waiting], timeout=0.05)
        assert not waiting.done()
        clock.now += 0.015
        assert (await asyncio.wait_for(waiting, DEADLINE_S)).events == (
            Deleted(key="short", mod_revision=revision + 1),
        )
    await store.close()


@on_loop
async def test__history__is_bounded_also_for_a_watch_that_falls_behind() -> None:
    store = MemoryStore()
    start = await store.put("key", "")
    async with (
        watching(store, "key", from_revision=start + 1) as (slow, _),
        watching(store, "key", from_revision=start + 2) as (barely, _),
    ):
        await store.put("other", "")
        for _ in range(HISTORY_EVENTS // 100):
            await store.transact([Put(key=f"key{number}", value="") for number in range(100)])
        with pytest.raises(CompactedError):
            await next_batch(slow)
        assert len(await events_of(barely, HISTORY_EVENTS)) == HISTORY_EVENTS
    with pytest.raises(CompactedError):
        await anext(store.watch("key", from_revision=start + 1))
    await store.close()
