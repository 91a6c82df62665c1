"""The queue at the door of what is slow when all come at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from quaestor_actors.adapters.openings import Openings

Enter = Callable[[str, int], asyncio.Task[None]]


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


def story(tell: Callable[[Openings, Enter, list[str]], Awaitable[None]], *, limit: int) -> None:
    """Run a story with a door of this limit, a way to go in, and the names of who is inside, or was."""

    async def run() -> None:
        openings = Openings(limit)
        inside: list[str] = []

        async def go_in(name: str, size: int) -> None:
            await openings.enter(size)
            inside.append(name)

        await tell(openings, lambda name, size: asyncio.create_task(go_in(name, size)), inside)

    asyncio.run(run())


def test__room_for_two__the_third_waits_until_one_leaves() -> None:
    async def tell(openings: Openings, enter: Enter, inside: list[str]) -> None:
        tasks = [enter(name, 1) for name in ("one", "two", "three")]
        await settle()
        assert inside == ["one", "two"]
        openings.leave(1)
        await asyncio.gather(*tasks)
        assert inside == ["one", "two", "three"]

    story(tell, limit=2)


def test__large_one__is_let_in_alone_and_is_not_overtaken() -> None:
    async def tell(openings: Openings, enter: Enter, inside: list[str]) -> None:
        tasks = [enter("small", 1), enter("large", 5), enter("late", 1)]
        await settle()
        assert inside == ["small"]
        openings.leave(1)
        await settle()
        assert inside == ["small", "large"]
        openings.leave(5)
        await asyncio.gather(*tasks)
        assert inside == ["small", "large", "late"]

    story(tell, limit=2)


def test__cancelled_while_waiting__takes_no_room() -> None:
    async def tell(openings: Openings, enter: Enter, inside: list[str]) -> None:
        first, cancelled, last = enter("first", 1), enter("cancelled", 1), enter("last", 1)
        await settle()
        cancelled.cancel()
        openings.leave(1)
        await asyncio.gather(first, last)
        assert inside == ["first", "last"]
        with pytest.raises(asyncio.CancelledError):
            await cancelled

    story(tell, limit=1)


def test__cancelled_when_just_let_in__leaves_the_room_to_the_next() -> None:
    async def tell(openings: Openings, enter: Enter, inside: list[str]) -> None:
        first, cancelled, last = enter("first", 1), enter("cancelled", 1), enter("last", 1)
        await settle()
        openings.leave(1)
        cancelled.cancel()
        await asyncio.gather(first, last)
        assert inside == ["first", "last"]

    story(tell, limit=1)
