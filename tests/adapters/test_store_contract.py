"""Our stores keep what every store promises of keys and transactions: memory, etcd with one node, etcd with three."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.stores import KINDS, MakeWorld, OurStore, on_loop, run_kind

from quaestor_actors.core.store import MAX_OPERATIONS, Put, StoreDeniedError
from quaestor_actors.testing.store_contract import KeysContract


@pytest.fixture(scope="module", params=KINDS)
def make_world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeWorld]:
    with run_kind(request.param, tmp_path_factory.mktemp("etcd")) as make:
        yield make


class TestKeys(OurStore, KeysContract):
    """The contract's cases."""


@on_loop
async def test__transaction__that_is_too_large__says_so(make_world: MakeWorld) -> None:
    async with make_world().open() as store:
        puts = [Put(key=str(number), value="") for number in range(MAX_OPERATIONS + 1)]
        with pytest.raises(StoreDeniedError, match="too many operations"):
            await store.transact(puts)
