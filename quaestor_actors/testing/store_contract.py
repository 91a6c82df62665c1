"""The contract of stores, for whoever writes one: whatever `core.store.Store` promises, as cases to be run.

Every method that begins with `test` is one promise, takes no arguments, and fails by an exception, so that pytest,
unittest and others run them as they are. docs/testing.md has an example.
"""

from __future__ import annotations

from quaestor_actors.testing.store_contract_keys import KeysContract
from quaestor_actors.testing.store_contract_watches import WatchesContract
from quaestor_actors.testing.store_harness import StoreHarness

__all__ = ["KeysContract", "StoreContract", "StoreHarness", "WatchesContract"]


class StoreContract(KeysContract, WatchesContract):
    """All promises: of keys, transactions, watches and leases.

    Derive a class, and have it open your store:

        class TestMyStore(StoreContract):
            @asynccontextmanager
            async def open_store(self):
                store = MyStore()
                yield store
                await store.close()

    A store that can forget its past overrides `compact`, too; see `StoreHarness` for what else can be said about it.
    It takes some seconds: a lease of `shortest_ttl_s` has to end several times. The two halves can be run apart, as
    `KeysContract` and `WatchesContract`.
    """
