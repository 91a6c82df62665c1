"""Running tests of stores on an asyncio loop, and what they look for in a watch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import wraps
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any, ParamSpec

from support.etcd import run_etcd

from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.store_etcd import RESPONSE_TIMEOUT_S, EtcdStore
from quaestor_actors.adapters.store_memory import MemoryStore
from quaestor_actors.core.spec import StoreSpec
from quaestor_actors.core.store import Deleted, KeyValue, Store, StoreUnavailableError, WatchBatch

DEADLINE_S = 20.0

RETRY_S = 0.02

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
            loop.call(asyncio.wait_for(test(*args, **kwargs), 60)).result()
        finally:
            loop.stop()
        assert crashes == []

    return run


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
    compact: Callable[[Store, int], None]
    """Cut its history off before a revision."""
    prefix: str
    """Of the test's own keys."""


KINDS = {"memory": 0, "etcd": 1, "etcd of three": 3}
"""Each kind of store, and how many etcds it takes."""


@contextmanager
def run_kind(kind: str, folder: Path) -> Iterator[Callable[[], World]]:
    """Run what a kind of store takes until the block ends; gives a maker of worlds, each with keys of its own."""
    numbers = count()
    if KINDS[kind] == 0:
        yield lambda: World(_open_memory, _compact_memory, f"test{next(numbers)}/")
        return
    with run_etcd(folder, size=KINDS[kind]) as cluster:

        def compact(_store: Store, revision: int) -> None:
            cluster.ctl("compact", str(revision))

        yield lambda: World(lambda: open_etcd(cluster.spec()), compact, f"test{next(numbers)}/")


@asynccontextmanager
async def _open_memory() -> AsyncIterator[Store]:
    store = MemoryStore()
    try:
        yield store
    finally:
        await store.close()


def _compact_memory(store: Store, revision: int) -> None:
    assert isinstance(store, MemoryStore)
    store.compact(revision)


Watch = AsyncGenerator[WatchBatch, None]


@asynccontextmanager
async def watching(store: Store, prefix: str, *, from_revision: int) -> AsyncIterator[tuple[Watch, int]]:
    """Establish a watch until the block ends, if need be by several tries; gives it and the revision at its begin."""
    watch: Any = None

    async def establish() -> WatchBatch:
        nonlocal watch
        watch = store.watch(prefix, from_revision=from_revision)
        return await next_batch(watch)

    first = await until_answered(establish)
    assert first.events == ()
    async with aclosing(watch):
        yield watch, first.revision


async def next_batch(watch: Watch, timeout_s: float = DEADLINE_S) -> WatchBatch:
    """Return the next changes."""
    async with asyncio.timeout(timeout_s):
        return await anext(watch)


async def events_of(watch: Watch, number: int) -> list[KeyValue | Deleted]:
    """Return so many changes, of any number of batches."""
    events: list[KeyValue | Deleted] = []
    while len(events) < number:
        events.extend((await next_batch(watch)).events)
    return events


async def until_answered(call: Callable[[], Coroutine[Any, Any, Any]], timeout_s: float = DEADLINE_S) -> Any:
    """Make a call over and over until the store is available, like whoever uses one; return the answer."""
    async with asyncio.timeout(timeout_s):
        while True:
            try:
                return await call()
            except StoreUnavailableError:
                await asyncio.sleep(RETRY_S)
