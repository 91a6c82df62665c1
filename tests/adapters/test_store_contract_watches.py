"""Our stores keep what every store promises of watches and leases: memory, etcd with one node, etcd with three."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.stores import KINDS, MakeWorld, OurStore, next_batch, on_loop, run_kind, watching

from quaestor_actors.core.store import CompactedError, StoreUnavailableError
from quaestor_actors.testing.store_contract import WatchesContract


@pytest.fixture(scope="module", params=KINDS)
def make_world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeWorld]:
    with run_kind(request.param, tmp_path_factory.mktemp("etcd")) as make:
        yield make


class TestWatches(OurStore, WatchesContract):
    """The contract's cases."""


@on_loop
async def test__watch__of_what_is_compacted__names_the_oldest_revision(make_world: MakeWorld) -> None:
    world = make_world()
    async with world.open() as store:
        start = await store.put("compacted", "1")
        last = await store.put("compacted", "2")
        await world.compact(store, last)

        async def first_changes() -> None:
            async with watching(store, "compacted", from_revision=start) as (watch, _):
                await next_batch(watch)

        with pytest.raises(CompactedError, match=str(last)):
            await first_changes()


@on_loop
async def test__store__that_was_closed__says_so(make_world: MakeWorld) -> None:
    async with make_world().open() as store:
        await store.close()
        with pytest.raises(StoreUnavailableError, match="closed"):
            await store.range("")
