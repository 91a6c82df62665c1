"""Frontends that tell each other what they hand out: real sockets, one loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from support.grpc_servers import TinyServer, load_response, registration
from support.running_balancer import RunningBalancer
from support.waiting import wait_until

from quaestor_actors.adapters.hand_outs import HandOutExchange
from quaestor_actors.core.location import Location, Registration

DEADLINE_S = 10


class Frontend:
    """One end, and what it hears."""

    def __init__(self, directory: Path, number: int, *, count: int) -> None:
        self.exchange = HandOutExchange(directory, number=number, count=count)
        self.heard: asyncio.Queue[Sequence[Location]] = asyncio.Queue()
        self.exchange.start(self.heard.put_nowait)

    async def next(self) -> Sequence[Location]:
        return await asyncio.wait_for(self.heard.get(), DEADLINE_S)


@asynccontextmanager
async def frontends(directory: Path, count: int) -> AsyncIterator[list[Frontend]]:
    started = [Frontend(directory, number, count=count) for number in range(1, count + 1)]
    yield started
    for one in started:
        one.exchange.close()


def location(port: int, *, scope: str = "", use_tls: bool = False) -> Location:
    return Location(scope=scope, service_name="Wörker", host_name="a.example", port=port, use_tls=use_tls)


async def tell_all(directory: Path) -> None:
    async with frontends(directory, 3) as (first, second, third):
        handed_out = [location(1, scope="s"), location(2, scope="s", use_tls=True)]
        second.exchange.tell(handed_out)
        assert await first.next() == await third.next() == tuple(handed_out)
        assert second.heard.empty()


def test__hand_outs__are_told_to_all_others_as_they_are(tmp_path: Path) -> None:
    asyncio.run(tell_all(tmp_path))


async def tell_many(directory: Path) -> None:
    async with frontends(directory, 2) as (first, second):
        handed_out = [location(port) for port in range(1, 1001)]
        first.exchange.tell(handed_out)
        heard: list[Location] = []
        while len(heard) < len(handed_out):
            heard += await second.next()
        assert heard == handed_out
        first.exchange.tell([])


def test__many_at_once__are_all_told(tmp_path: Path) -> None:
    # A directory deeper than the name of a socket may be long.
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    asyncio.run(tell_many(deep))


async def restart(directory: Path) -> None:
    first = Frontend(directory, 1, count=2)
    first.exchange.tell([location(1)])
    killed = Frontend(directory, 2, count=2)
    killed.exchange.close()
    first.exchange.tell([location(2)])
    successor = Frontend(directory, 2, count=2)
    first.exchange.tell([location(3)])
    assert await successor.next() == (location(3),)
    successor.exchange.close()
    first.exchange.close()


def test__one_that_is_not_there__is_not_waited_for_and_heard_again_later(tmp_path: Path) -> None:
    asyncio.run(restart(tmp_path))


async def flood(directory: Path) -> None:
    async with frontends(directory, 2) as (first, second):
        # The loop does not turn meanwhile, so the other one does not read.
        for _ in range(5_000):
            first.exchange.tell([location(1)])
        assert await second.next() == (location(1),)


def test__one_that_does_not_listen__holds_nobody_up(tmp_path: Path) -> None:
    asyncio.run(flood(tmp_path))


def test__balancer__tells_what_it_hands_out_and_counts_what_others_do(tmp_path: Path) -> None:
    with TinyServer(report_load=lambda: load_response(capacity=8)) as worker:
        one = registration(worker.port)
        running = RunningBalancer(directory=tmp_path, frontends=2)
        running.register(one)
        running.expect_offered(one)

        async def be_the_second() -> None:
            async with second_frontend(tmp_path) as second:
                second.exchange.tell([one.location])
                assert await asyncio.to_thread(wait_until, lambda: handed_out(running, one) == 1)
                assert await asyncio.to_thread(running.top, max_count=1) == [worker.port]
                assert await second.next() == (one.location,)

        asyncio.run(be_the_second())
        running.close()


@asynccontextmanager
async def second_frontend(directory: Path) -> AsyncIterator[Frontend]:
    one = Frontend(directory, 2, count=2)
    yield one
    one.exchange.close()


def handed_out(running: RunningBalancer, one: Registration) -> int:
    status = running.status_of(one)
    assert status is not None
    return status.handed_out
