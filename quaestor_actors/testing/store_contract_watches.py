"""What every store promises of watches and leases; one method for each promise."""
# ruff: noqa: S101 - assertions are how the contract tells.
# ruff: noqa: D102, PLR2004 - the name of a case says what it shows, and its numbers are the expectation itself.

from __future__ import annotations

import asyncio
from itertools import pairwise

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
from quaestor_actors.testing.store_harness import (
    DEADLINE_S,
    StoreHarness,
    case,
    events_of,
    next_batch,
    raises,
    watching,
)

DEAD_LEASE = 123_456_789
LONG_S = 60.0


class WatchesContract(StoreHarness):
    """The promises of watches and leases; see `StoreContract`."""

    @case
    async def test__watch__yields_the_past_and_then_the_present_in_order(self) -> None:
        async with self.open_store() as store:
            keys = [f"{self.prefix}{number}" for number in range(10)]
            start = await store.put(keys[0], "")
            for key in keys[1:5]:
                await store.put(key, "")
            await store.put("elsewhere/" + self.prefix, "")
            async with watching(store, self.prefix, from_revision=start + 1) as (watch, revision):
                assert revision == start + 5
                for key in keys[5:]:
                    await store.put(key, "")
                await store.delete(keys[0])
                events = await events_of(watch, 10)
            assert [event.key for event in events] == [*keys[1:], keys[0]]
            assert isinstance(events[-1], Deleted)
            revisions = [event.mod_revision for event in events]
            assert all(before < after for before, after in pairwise(revisions))

    @case
    async def test__watch__of_a_long_past__has_batches_that_can_be_resumed_from(self) -> None:
        """A batch's revision is no greater than what it has told: etcd sends a thousand revisions at a time."""
        number = 2_500
        async with self.open_store() as store:
            start = await store.put(self.prefix, "")
            for first in range(0, number, 100):
                await asyncio.gather(*(store.put(f"{self.prefix}{first + each}", "") for each in range(100)))
            seen: list[str] = []
            revision = start
            while len(seen) < number:
                async with watching(store, self.prefix, from_revision=revision + 1) as (watch, _):
                    batch = await next_batch(watch)
                assert batch.revision == batch.events[-1].mod_revision
                seen.extend(event.key for event in batch.events)
                revision = batch.revision
            assert len(set(seen)) == number == len(seen)

    @case
    async def test__watch__from_the_future__is_silent_until_then(self) -> None:
        async with self.open_store() as store:
            start = await store.put(self.prefix + "a", "")
            async with watching(store, self.prefix, from_revision=start + 3) as (watch, revision):
                assert revision == start
                for name in "bcd":
                    await store.put(self.prefix + name, "")
                assert (await next_batch(watch)).revision == start + 3

    @case
    async def test__watches__are_independent(self) -> None:
        async with self.open_store() as store:
            start = await store.put(self.prefix, "")
            async with watching(store, self.prefix + "a", from_revision=start) as (slow, _):
                async with watching(store, self.prefix + "a", from_revision=start) as (closed, _):
                    await store.put(self.prefix + "a", "1")
                    await next_batch(closed)
                await store.put(self.prefix + "a", "2")
                events = await events_of(slow, 2)
            assert [event.value for event in events if isinstance(event, KeyValue)] == ["1", "2"]

    @case
    async def test__watch__of_a_cancelled_task__ends_with_it(self) -> None:
        async with self.open_store() as store:
            revision = (await store.range(self.prefix)).revision
            async with watching(store, self.prefix, from_revision=revision + 1) as (watch, _):
                waiting = asyncio.create_task(next_batch(watch))
                await asyncio.wait([waiting], timeout=0.01)
                waiting.cancel()
                with raises(asyncio.CancelledError):
                    await waiting
                with raises(StopAsyncIteration):
                    await anext(watch)

    @case
    async def test__watch__of_what_is_compacted__says_so(self) -> None:
        async with self.open_store() as store:
            start = await store.put(self.prefix, "1")
            for value in "234":
                last = await store.put(self.prefix, value)
            await self.compact(store, last)
            with raises(CompactedError):
                await self._first_changes(store, start)
            async with watching(store, self.prefix, from_revision=last + 1) as (watch, _):
                await store.put(self.prefix, "5")
                assert (await next_batch(watch)).revision == last + 1
            assert (await store.range(self.prefix)).entries[0].value == "5"

    @case
    async def test__lease__that_is_revoked__takes_its_keys_at_one_revision(self) -> None:
        async with self.open_store() as store:
            lease = (await store.grant(LONG_S)).lease
            keys = [f"{self.prefix}{number}" for number in range(3)]
            for key in keys:
                await store.put(key, "", lease=lease)
            kept = self.prefix + "kept"
            await store.put(kept, "", lease=lease)
            revision = await store.put(kept, "no lease any more")
            async with watching(store, self.prefix, from_revision=revision + 1) as (watch, _):
                await store.revoke(lease)
                batch = await next_batch(watch)
            assert {event.key for event in batch.events} == set(keys)
            assert {(type(event), event.mod_revision) for event in batch.events} == {(Deleted, revision + 1)}
            assert [entry.key for entry in (await store.range(self.prefix)).entries] == [kept]

    @case
    async def test__lease__that_ends__is_seen_by_a_watch(self) -> None:
        async with self.open_store() as store:
            lease = await store.grant(self.shortest_ttl_s)
            revision = await store.put(self.prefix, "", lease=lease.lease)
            assert (await store.range(self.prefix)).entries[0].lease == lease.lease
            async with watching(store, self.prefix, from_revision=revision + 1) as (watch, _):
                batch = await next_batch(watch)
            assert batch.events == (Deleted(key=self.prefix, mod_revision=revision + 1),)
            with raises(LeaseNotFoundError):
                await store.keep_alive(lease.lease)

    @case
    async def test__lease__that_is_kept_alive__lasts(self) -> None:
        async with self.open_store() as store:
            kept, other = await store.grant(self.shortest_ttl_s), await store.grant(self.shortest_ttl_s)
            await store.put(self.prefix + "kept", "", lease=kept.lease)
            revision = await store.put(self.prefix + "other", "", lease=other.lease)
            async with watching(store, self.prefix + "other", from_revision=revision + 1) as (watch, _):
                ended = asyncio.create_task(next_batch(watch))
                while not ended.done():
                    assert await store.keep_alive(kept.lease) == kept.ttl_s
                    await asyncio.wait([ended], timeout=self.shortest_ttl_s / 10)
            assert [entry.key for entry in (await store.range(self.prefix)).entries] == [self.prefix + "kept"]
            await store.revoke(kept.lease)

    @case
    async def test__lease__says_how_long_it_lasts(self) -> None:
        async with self.open_store() as store:
            granted = await store.grant(LONG_S)
            assert granted.ttl_s >= LONG_S
            state = await store.lease_state(granted.lease)
            assert (state.lease, state.ttl_s) == (granted.lease, granted.ttl_s)
            assert LONG_S - DEADLINE_S < state.remaining_s <= state.ttl_s
            fraction = await store.grant(0.3)
            assert fraction.ttl_s >= 0.3
            assert fraction.lease not in {NO_LEASE, granted.lease}

    @case
    async def test__lease__that_is_no_more__fails_whatever_needs_it(self) -> None:
        async with self.open_store() as store:
            revoked = (await store.grant(LONG_S)).lease
            await store.revoke(revoked)
            revision = (await store.range(self.prefix)).revision
            for lease in (revoked, DEAD_LEASE):
                leased = Put(key=self.prefix + "a", value="", lease=lease)
                for call in (
                    store.put(leased.key, "", lease=lease),
                    store.transact([Put(key=self.prefix + "b", value=""), leased]),
                    store.keep_alive(lease),
                    store.lease_state(lease),
                    store.revoke(lease),
                ):
                    with raises(LeaseNotFoundError):
                        await call
                unmet = HasRevision(key=self.prefix, mod_revision=1)
                assert not (await store.transact([leased], conditions=[unmet])).succeeded
            listing = await store.range(self.prefix)
            assert (listing.revision, listing.entries) == (revision, ())

    @case
    async def test__close__ends_watches_and_everything(self) -> None:
        async with self.open_store() as store:
            assert store.address
            revision = (await store.range(self.prefix)).revision
            async with watching(store, self.prefix, from_revision=revision + 1) as (watch, _):
                waiting = asyncio.create_task(next_batch(watch))
                await asyncio.wait([waiting], timeout=0.01)
                await store.close()
                with raises(StoreUnavailableError):
                    await waiting
            with raises(StoreUnavailableError):
                await store.put(self.prefix, "")
            await store.close()

    async def _first_changes(self, store: Store, revision: int) -> None:
        """Watch until the first changes; a store may find out about compaction before or after the watch is there."""
        async with watching(store, self.prefix, from_revision=revision) as (watch, _):
            await next_batch(watch)
