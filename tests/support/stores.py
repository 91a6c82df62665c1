"""Our stores, and running tests of them on an asyncio loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any, ParamSpec

import pytest
from support.etcd import run_etcd

from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.store_etcd import PAGE_KEYS, RESPONSE_TIMEOUT_S, EtcdStore
from quaestor_actors.adapters.store_memory import MemoryStore
from quaestor_actors.core.spec import StoreSpec
from quaestor_actors.core.store import Store
from quaestor_actors.testing.store_harness import (
    DEADLINE_S,
    StoreHarness,
    events_of,
    next_batch,
    until_answered,
    watching,
)

__all__ = [
    "DEADLINE_S",
    "KINDS",
    "MakeWorld",
    "OurStore",
    "World",
    "events_of",
    "next_batch",
    "on_loop",
    "open_etcd",
    "run_kind",
    "until_answered",
    "watching",
]

NOBODY: Mapping[str, str] = MappingProxyType({})

Test = ParamSpec("Test")


def on_loop(test: Callable[Test, Coroutine[Any, Any, None]]) -> Callable[Test, None]:
    """Have a test run as a task of a loop on a thread, like in an actor; nothing may fail on the loop beside it."""

    @wraps(test)
    def run(*args: Test.args, **kwargs: Test.kwargs) -> None:
        crashes: list[BaseException] = []
        loop = LoopThread(name="test", on_crash=crashes.append)
        loop.start()
        try:
            loop.call(_until_told(test(*args, **kwargs))).result()
        finally:
            loop.stop()
        assert crashes == []

    return run


async def _until_told(test: Coroutine[Any, Any, None]) -> None:
    # A future that is passed from loop to thread makes a new TimeoutError, which does not say what was waited for.
    try:
        await asyncio.wait_for(test, 60)
    except TimeoutError as error:
        raise AssertionError("the test waited in vain, see above") from error


@asynccontextmanager
async def open_etcd(
    spec: StoreSpec, *, timeout_s: float = RESPONSE_TIMEOUT_S, environ: Mapping[str, str] = NOBODY
) -> AsyncIterator[EtcdStore]:
    """Open a store of etcd until the block ends; nothing of it may be left then."""
    store = EtcdStore(spec, environ=environ, log=logging.getLogger("test"), response_timeout_s=timeout_s)
    try:
        yield store
    finally:
        await store.close()


@dataclass(frozen=True)
class World:
    """A kind of store, as one test sees it."""

    open: Callable[[], AbstractAsyncContextManager[Store]]
    compact: Callable[[Store, int], Awaitable[None]]
    """Cut its history off before a revision."""
    shares_data: bool
    """Whether two of them see the same keys."""


MakeWorld = Callable[[], World]

KINDS = {"memory": 0, "etcd": 1, "etcd of three": 3}
"""Each kind of store, and how many etcds it takes."""


@contextmanager
def run_kind(kind: str, folder: Path) -> Iterator[Callable[[], World]]:
    """Run what a kind of store takes until the block ends; gives a maker of worlds (those of etcd share their keys)."""
    if KINDS[kind] == 0:
        yield lambda: World(_open_memory, _compact_memory, shares_data=False)
        return
    with run_etcd(folder, size=KINDS[kind]) as cluster:

        async def compact(_store: Store, revision: int) -> None:
            await asyncio.to_thread(cluster.ctl, "compact", str(revision))

        yield lambda: World(lambda: open_etcd(cluster.spec()), compact, shares_data=True)


class OurStore(StoreHarness):
    """What the contract has to know of our stores; the module has a fixture `make_world`."""

    shares_data: bool
    many_keys = PAGE_KEYS + 50

    @pytest.fixture(autouse=True)
    def _take_world(self, make_world: MakeWorld) -> None:
        self.world = make_world()
        self.shares_data = self.world.shares_data

    def open_store(self) -> AbstractAsyncContextManager[Store]:
        return self.world.open()

    async def compact(self, store: Store, revision: int) -> None:
        await self.world.compact(store, revision)

    def run_case(self, case: Coroutine[Any, Any, None]) -> None:
        """Run it as in an actor; nothing may fail on the loop beside it."""
        on_loop(lambda: case)()


@asynccontextmanager
async def _open_memory() -> AsyncIterator[Store]:
    store = MemoryStore()
    try:
        yield store
    finally:
        await store.close()


async def _compact_memory(store: Store, revision: int) -> None:
    assert isinstance(store, MemoryStore)
    store.compact(revision)
