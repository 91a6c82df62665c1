"""What every store promises of watches and leases, shown on memory, etcd with one node, and etcd with three."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from support.stores import DEADLINE_S, KINDS, World, events_of, next_batch, on_loop, run_kind, watching

from quaestor_actors.core.store import (
    NO_LEASE,
    CompactedError,
    Deleted,
    HasRevision,
    KeyValue,
    LeaseNotFoundError,
    Put,
    Store,
    StoreUnavailableError,
)

MakeWorld = Callable[[], World]

DEAD_LEASE = 123_456_789
LONG_S = 60.0
SHORT_S = 1.0
"""The shortest time to live that etcd grants with the test's election timeout."""


@pytest.fixture(scope="module", params=KINDS)
def make_world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeWorld]:
    with run_kind(request.param, tmp_path_factory.mktemp("etcd")) as make:
        yield make


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()


@on_loop
async def test__watch__yields_the_past_and_then_the_present_in_order(world: World) -> None:
    async with world.open() as store:
        keys = [f"{world.prefix}{number}" for number in range(10)]
        start = await store.put(keys[0], "")
        for key in keys[1:5]:
            await store.put(key, "")
        await store.put("elsewhere/" + world.prefix, "")
        async with watching(store, world.prefix, from_revision=start + 1) as (watch, revision):
            assert revision == start + 5
            for key in keys[5:]:
                await store.put(key, "")
            await store.delete(keys[0])
            events = await events_of(watch, 10)
        assert [event.key for event in events] == [*keys[1:], keys[0]]
        assert isinstance(events[-1], Deleted)
        revisions = [event.mod_revision for event in events]
        assert all(before < after for before, after in pairwise(revisions))


@on_loop
async def test__watch__of_a_long_past__has_batches_that_can_be_resumed_from(world: World) -> None:
    """A batch's revision is no greater than what it has told: etcd sends a thousand revisions at a time."""
    number = 2_500
    async with world.open() as store:
        start = await store.put(world.prefix, "")
        for first in range(0, number, 100):
            await asyncio.gather(*(store.put(f"{world.prefix}{first + each}", "") for each in range(100)))
        seen: list[str] = []
        revision = start
        while len(seen) < number:
            async with watching(store, world.prefix, from_revision=revision + 1) as (watch, _):
                batch = await next_batch(watch)
            assert batch.revision == batch.events[-1].mod_revision
            seen.extend(event.key for event in batch.events)
            revision = batch.revision
        assert len(set(seen)) == number == len(seen)


@on_loop
async def test__watch__from_the_future__is_silent_until_then(world: World) -> None:
    async with world.open() as store:
        start = await store.put(world.prefix + "a", "")
        async with watching(store, world.prefix, from_revision=start + 3) as (watch, revision):
            assert revision == start
            for name in "bcd":
                await store.put(world.prefix + name, "")
            assert (await next_batch(watch)).revision == start + 3


@on_loop
async def test__watches__are_independent(world: World) -> None:
    async with world.open() as store:
        start = await store.put(world.prefix, "")
        async with watching(store, world.prefix + "a", from_revision=start) as (slow, _):
            async with watching(store, world.prefix + "a", from_revision=start) as (closed, _):
                await store.put(world.prefix + "a", "1")
                await next_batch(closed)
            await store.put(world.prefix + "a", "2")
            events = await events_of(slow, 2)
        assert [event.value for event in events if isinstance(event, KeyValue)] == ["1", "2"]


@on_loop
async def test__watch__of_a_cancelled_task__ends_with_it(world: World) -> None:
    async with world.open() as store:
        revision = (await store.range(world.prefix)).revision
        async with watching(store, world.prefix, from_revision=revision + 1) as (watch, _):
            waiting = asyncio.create_task(next_batch(watch))
            await asyncio.wait([waiting], timeout=0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            with pytest.raises(StopAsyncIteration):
                await anext(watch)


@on_loop
async def test__watch__of_what_is_compacted__says_so(world: World) -> None:
    async with world.open() as store:
        start = await store.put(world.prefix, "1")
        for value in "234":
            last = await store.put(world.prefix, value)
        world.compact(store, last)
        with pytest.raises(CompactedError, match=str(last)):
            await _first_changes(store, world.prefix, start)
        async with watching(store, world.prefix, from_revision=last + 1) as (watch, _):
            await store.put(world.prefix, "5")
            assert (await next_batch(watch)).revision == last + 1
        assert (await store.range(world.prefix)).entries[0].value == "5"


async def _first_changes(store: Store, prefix: str, revision: int) -> None:
    """Watch until the first changes; a store may find out about compaction before or after the watch is established."""
    async with watching(store, prefix, from_revision=revision) as (watch, _):
        await next_batch(watch)


@on_loop
async def test__lease__that_is_revoked__takes_its_keys_at_one_revision(world: World) -> None:
    async with world.open() as store:
        lease = (await store.grant(LONG_S)).lease
        keys = [f"{world.prefix}{number}" for number in range(3)]
        for key in keys:
            await store.put(key, "", lease=lease)
        kept = world.prefix + "kept"
        await store.put(kept, "", lease=lease)
        revision = await store.put(kept, "no lease any more")
        async with watching(store, world.prefix, from_revision=revision + 1) as (watch, _):
            await store.revoke(lease)
            batch = await next_batch(watch)
        assert {event.key for event in batch.events} == set(keys)
        assert {(type(event), event.mod_revision) for event in batch.events} == {(Deleted, revision + 1)}
        assert [entry.key for entry in (await store.range(world.prefix)).entries] == [kept]


@on_loop
async def test__lease__that_ends__is_seen_by_a_watch(world: World) -> None:
    async with world.open() as store:
        lease = await store.grant(SHORT_S)
        revision = await store.put(world.prefix, "", lease=lease.lease)
        assert (await store.range(world.prefix)).entries[0].lease == lease.lease
        async with watching(store, world.prefix, from_revision=revision + 1) as (watch, _):
            batch = await next_batch(watch)
        assert batch.events == (Deleted(key=world.prefix, mod_revision=revision + 1),)
        with pytest.raises(LeaseNotFoundError):
            await store.keep_alive(lease.lease)


@on_loop
async def test__lease__that_is_kept_alive__lasts(world: World) -> None:
    async with world.open() as store:
        kept, other = await store.grant(SHORT_S), await store.grant(SHORT_S)
        await store.put(world.prefix + "kept", "", lease=kept.lease)
        revision = await store.put(world.prefix + "other", "", lease=other.lease)
        async with watching(store, world.prefix + "other", from_revision=revision + 1) as (watch, _):
            ended = asyncio.create_task(next_batch(watch))
            while not ended.done():
                assert await store.keep_alive(kept.lease) == kept.ttl_s
                await asyncio.wait([ended], timeout=0.1)
        assert [entry.key for entry in (await store.range(world.prefix)).entries] == [world.prefix + "kept"]
        await store.revoke(kept.lease)


@on_loop
async def test__lease__says_how_long_it_lasts(world: World) -> None:
    async with world.open() as store:
        granted = await store.grant(LONG_S)
        assert granted.ttl_s >= LONG_S
        state = await store.lease_state(granted.lease)
        assert (state.lease, state.ttl_s) == (granted.lease, granted.ttl_s)
        assert LONG_S - DEADLINE_S < state.remaining_s <= state.ttl_s
        fraction = await store.grant(0.3)
        assert fraction.ttl_s >= 0.3
        assert fraction.lease not in {NO_LEASE, granted.lease}


@on_loop
async def test__lease__that_is_no_more__fails_whatever_needs_it(world: World) -> None:
    async with world.open() as store:
        revoked = (await store.grant(LONG_S)).lease
        await store.revoke(revoked)
        revision = (await store.range(world.prefix)).revision
        for lease in (revoked, DEAD_LEASE):
            leased = Put(key=world.prefix + "a", value="", lease=lease)
            for call in (
                store.put(leased.key, "", lease=lease),
                store.transact([Put(key=world.prefix + "b", value=""), leased]),
                store.keep_alive(lease),
                store.lease_state(lease),
                store.revoke(lease),
            ):
                with pytest.raises(LeaseNotFoundError):
                    await call
            unmet = HasRevision(key=world.prefix, mod_revision=1)
            assert not (await store.transact([leased], conditions=[unmet])).succeeded
        listing = await store.range(world.prefix)
        assert (listing.revision, listing.entries) == (revision, ())


@on_loop
async def test__close__ends_watches_and_everything(world: World) -> None:
    async with world.open() as store:
        assert store.address
        revision = (await store.range(world.prefix)).revision
        async with watching(store, world.prefix, from_revision=revision + 1) as (watch, _):
            waiting = asyncio.create_task(next_batch(watch))
            await asyncio.wait([waiting], timeout=0.01)
            await store.close()
            with pytest.raises(StoreUnavailableError, match="closed"):
                await waiting
        with pytest.raises(StoreUnavailableError, match="closed"):
            await store.put(world.prefix, "")
        await store.close()
