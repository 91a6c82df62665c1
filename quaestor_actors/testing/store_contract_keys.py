"""What every store promises of keys and transactions; one method for each promise."""
# ruff: noqa: S101 - assertions are how the contract tells.
# ruff: noqa: D102 - the name of a case says what it shows.

from __future__ import annotations

import asyncio
from itertools import count

from quaestor_actors.core.store import (
    MAX_OPERATIONS,
    NO_LEASE,
    Condition,
    Delete,
    Deleted,
    HasLease,
    HasRevision,
    KeyValue,
    Operation,
    Put,
    StoreDeniedError,
)
from quaestor_actors.testing.store_harness import StoreHarness, case, next_batch, raises, watching

LONG_S = 60.0


class KeysContract(StoreHarness):
    """The promises of keys and transactions; see `StoreContract`."""

    @case
    async def test__put__is_listed_with_its_revisions(self) -> None:
        async with self.open_store() as store:
            key = self.prefix + "a"
            created = await store.put(key, "1")
            changed = await store.put(key, "2")
            listing = await store.range(self.prefix)
            assert listing.entries == (KeyValue(key=key, value="2", create_revision=created, mod_revision=changed),)
            assert listing.revision == changed == created + 1

    @case
    async def test__put__anew_after_delete__is_created_anew(self) -> None:
        async with self.open_store() as store:
            key = self.prefix + "a"
            await store.put(key, "1")
            assert await store.delete(key)
            created = await store.put(key, "1")
            (entry,) = (await store.range(key)).entries
            assert (entry.create_revision, entry.mod_revision) == (created, created)

    @case
    async def test__delete__of_what_is_not_there__changes_nothing(self) -> None:
        async with self.open_store() as store:
            revision = await store.put(self.prefix + "a", "1")
            assert not await store.delete(self.prefix + "b")
            assert await store.delete(self.prefix + "a")
            assert (await store.range(self.prefix)).revision == revision + 1

    @case
    async def test__range__is_sorted_and_of_the_prefix_alone(self) -> None:
        async with self.open_store() as store:
            names = ["b", "a", "a/b", "a b", "ä", "z", "\U0001f41d", "\uffee"]
            for name in names:
                await store.put(f"{self.prefix}in/{name}", name)
            for name in ("i", "in", "in0", "io"):
                await store.put(self.prefix + name, "outside")
            listing = await store.range(self.prefix + "in/")
            assert [entry.value for entry in listing.entries] == sorted(names)

    @case
    async def test__range__of_nothing__is_empty_at_the_present_revision(self) -> None:
        async with self.open_store() as store:
            revision = await store.put(self.prefix + "a", "1")
            listing = await store.range(self.prefix + "none/")
            assert (listing.revision, listing.entries) == (revision, ())

    @case
    async def test__range__of_everything__has_all_prefixes(self) -> None:
        async with self.open_store() as store:
            await store.put(self.prefix + "a", "1")
            assert self.prefix + "a" in [entry.key for entry in (await store.range("")).entries]

    @case
    async def test__text__comes_back_as_it_was(self) -> None:
        async with self.open_store() as store:
            key, value = f"{self.prefix}Gerät/☃/\U0001f41d", "line 1\nline 2\t\0ü"
            await store.put(key, value)
            (entry,) = (await store.range(key)).entries
            assert (entry.key, entry.value) == (key, value)
            await store.put(key, "")
            assert (await store.range(key)).entries[0].value == ""

    @case
    async def test__range__of_more_than_a_page__is_complete_and_of_one_revision(self) -> None:
        async with self.open_store() as store:
            keys = [f"{self.prefix}{number:05}" for number in range(self.many_keys)]
            for start in range(0, len(keys), MAX_OPERATIONS):
                await store.transact([Put(key=key, value="") for key in keys[start : start + MAX_OPERATIONS]])
            listing = await store.range(self.prefix)
            assert [entry.key for entry in listing.entries] == keys
            assert max(entry.mod_revision for entry in listing.entries) == listing.revision

    @case
    async def test__range__while_others_write__is_of_one_revision(self) -> None:
        async with self.open_store() as store:
            keys = [f"{self.prefix}{number:05}" for number in range(self.many_keys)]
            for start in range(0, len(keys), MAX_OPERATIONS):
                await store.transact([Put(key=key, value="0") for key in keys[start : start + MAX_OPERATIONS]])

            async def write(number: int) -> None:
                await store.transact([Put(key=key, value=str(number)) for key in (keys[0], keys[-1])])

            async def keep_writing() -> None:
                for number in count(2):
                    await write(number)
                    await asyncio.sleep(0)

            await write(1)
            writing = asyncio.create_task(keep_writing())
            for _ in range(5):
                listing = await store.range(self.prefix)
                first, last = listing.entries[0], listing.entries[-1]
                assert (first.value, first.mod_revision) == (last.value, last.mod_revision)
                assert first.mod_revision <= listing.revision
            writing.cancel()
            await asyncio.wait([writing])

    @case
    async def test__transaction__has_one_revision_and_one_batch(self) -> None:
        async with self.open_store() as store:
            a, b, c = (self.prefix + name for name in "abc")
            start = await store.put(a, "old")
            async with watching(store, self.prefix, from_revision=start + 1) as (watch, _):
                operations: list[Operation] = [
                    Put(key=c, value="3"),
                    Delete(key=a),
                    Put(key=b, value="2"),
                    Delete(key=self.prefix),
                ]
                outcome = await store.transact(operations)
                batch = await next_batch(watch)
            revision = start + 1
            assert (outcome.succeeded, outcome.revision, batch.revision) == (True, revision, revision)
            assert batch.events == (
                KeyValue(key=c, value="3", create_revision=revision, mod_revision=revision),
                Deleted(key=a, mod_revision=revision),
                KeyValue(key=b, value="2", create_revision=revision, mod_revision=revision),
            )

    @case
    async def test__transaction__without_effect__has_no_revision(self) -> None:
        async with self.open_store() as store:
            revision = await store.put(self.prefix + "a", "1")
            outcome = await store.transact([Delete(key=self.prefix + "b")])
            assert (outcome.succeeded, outcome.revision) == (True, revision)
            outcome = await store.transact([])
            assert (outcome.succeeded, outcome.revision) == (True, revision)

    @case
    async def test__conditions__decide_alone_and_together(self) -> None:
        async with self.open_store() as store:
            key, absent, leased = (self.prefix + name for name in ("key", "absent", "leased"))
            lease = (await store.grant(LONG_S)).lease
            await store.put(leased, "1", lease=lease)
            revision = await store.put(key, "1")
            true: list[Condition] = [
                HasRevision(key=key, mod_revision=revision),
                HasRevision(key=absent, mod_revision=0),
                HasLease(key=leased, lease=lease),
                HasLease(key=key, lease=NO_LEASE),
            ]
            false: list[Condition] = [
                HasRevision(key=key, mod_revision=revision - 1),
                HasRevision(key=key, mod_revision=0),
                HasRevision(key=absent, mod_revision=revision),
                HasLease(key=leased, lease=NO_LEASE),
                HasLease(key=leased, lease=lease + 1),
                HasLease(key=key, lease=lease),
                HasLease(key=absent, lease=NO_LEASE),
                HasLease(key=absent, lease=lease),
            ]
            for condition in true:
                assert (await store.transact([], conditions=[condition])).succeeded, condition
            assert (await store.transact([], conditions=true)).succeeded
            for condition in false:
                outcome = await store.transact([Put(key=key, value="2")], conditions=[*true, condition])
                assert (outcome.succeeded, outcome.revision) == (False, revision), condition
            assert (await store.range(key)).entries[0].value == "1"
            await store.revoke(lease)

    @case
    async def test__transactions__at_the_same_time__exactly_one_wins(self) -> None:
        async with self.open_store() as one, self.open_store() as other:
            stores = [one, other] if self.shares_data else [one, one]
            key = self.prefix + "key"

            async def claim(number: int) -> int | None:
                put = Put(key=key, value=str(number))
                condition = HasRevision(key=key, mod_revision=0)
                return number if (await stores[number % 2].transact([put], conditions=[condition])).succeeded else None

            winners = [winner for winner in await asyncio.gather(*map(claim, range(20))) if winner is not None]
            assert [entry.value for entry in (await one.range(key)).entries] == [str(winner) for winner in winners]
            assert len(winners) == 1

    @case
    async def test__transaction__that_is_too_large_or_contradicts_itself__is_denied(self) -> None:
        async with self.open_store() as store:
            puts = [Put(key=f"{self.prefix}{number}", value="") for number in range(MAX_OPERATIONS + 1)]
            assert (await store.transact(puts[:-1])).succeeded
            with raises(StoreDeniedError):
                await store.transact(puts)
            for second in (Put(key=puts[0].key, value="2"), Delete(key=puts[0].key)):
                with raises(StoreDeniedError):
                    await store.transact([puts[0], second])
