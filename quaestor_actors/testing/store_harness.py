"""How the contract of stores is run: what whoever has a store says about it, and what the cases need."""
# ruff: noqa: S101 - assertions are how the contract tells; `pytest.register_assert_rewrite` makes them talk.

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager
from functools import cached_property, wraps
from typing import Any, TypeVar
from unittest import SkipTest
from uuid import uuid4

from quaestor_actors.core.store import Deleted, KeyValue, Store, StoreError, StoreUnavailableError, WatchBatch

DEADLINE_S = 20.0
"""So long a case waits for what should come at once."""

RETRY_S = 0.02

Watch = AsyncGenerator[WatchBatch, None]


class StoreHarness(ABC):
    """What a store's author says about it. A new object is made for each case, as pytest and unittest do."""

    shares_data = True
    """Whether two stores of `open_store` see the same keys; False for stores in memory, each a world of its own."""

    shortest_ttl_s = 1.0
    """The shortest lease that the store grants; some cases wait until such a lease ends."""

    many_keys = 5_050
    """More keys than the store lists by one call, if there is such a limit."""

    timeout_s = 60.0
    """A case that takes longer has failed."""

    @abstractmethod
    def open_store(self) -> AbstractAsyncContextManager[Store]:
        """Return a store that is open within an `async with`, and closed after it."""

    async def compact(self, store: Store, revision: int) -> None:  # noqa: ARG002 - for those who override it
        """Make the store forget what was before a revision; without it, the cases about that are skipped."""
        raise SkipTest("this store's history cannot be compacted")

    def run_case(self, case: Coroutine[Any, Any, None]) -> None:
        """Run a case on a new loop. Override it for a store that needs a loop of its own kind."""
        asyncio.run(case)

    @cached_property
    def prefix(self) -> str:
        """Of the keys of this case: other keys in the store do no harm, but nobody may write meanwhile."""
        return f"contract/{uuid4().hex}/"


Harness = TypeVar("Harness", bound=StoreHarness)


def case(method: Callable[[Harness], Coroutine[Any, Any, None]]) -> Callable[[Harness], None]:
    """Make a case that any test runner can call, of a coroutine."""

    @wraps(method)
    def run(self: Harness) -> None:
        self.run_case(asyncio.wait_for(method(self), self.timeout_s))

    return run


@contextmanager
def raises(kind: type[BaseException]) -> Iterator[None]:
    """Expect an error of this kind; one of the store's must say why."""
    caught: BaseException | None = None
    try:
        yield
    except kind as error:
        caught = error
    assert caught is not None, f"{kind.__name__} was not raised"
    assert str(caught) or not isinstance(caught, StoreError), f"{kind.__name__} does not say why, for people"


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
