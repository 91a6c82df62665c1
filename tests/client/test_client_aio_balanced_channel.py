"""Generated stubs over a balanced channel for asyncio, with real balancers, and workers that die."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from support.grpc_servers import SERVING
from support.ports import free_port
from support.waiting import wait_until

from quaestor_actors.client import NoLocationError
from quaestor_actors.client.aio import Balancers, balanced_channel

DEADLINE_S = 10.0

Story = Callable[[Callable[..., grpc.aio.Channel]], Awaitable[None]]


def run(addresses: list[str], story: Story) -> None:
    """Run the story with a maker of channels to the service `Worker`."""

    async def play() -> None:
        async with AsyncExitStack() as stack, asyncio.timeout(60):
            balancers = await stack.enter_async_context(Balancers(addresses))
            channels = []

            def open_channel(**arguments: Any) -> grpc.aio.Channel:
                channels.append(balanced_channel("Worker", balancers, **arguments))
                return channels[-1]

            await story(open_channel)
            for channel in channels:
                await channel.close()

    asyncio.run(play())


async def each(*requests: bytes) -> AsyncIterator[bytes]:
    for request in requests:
        yield request


async def everything(call: Any) -> list[bytes]:
    return [message async for message in call]


def test__each_kind_of_call__is_spread_and_answered(make_field: Any) -> None:
    field = make_field(workers=2)
    ports = {worker.port for worker in field.workers}

    async def story(open_channel: Any) -> None:
        channel = open_channel()
        unary = channel.unary_unary("/Echo/UnaryUnary")
        assert {field.port_of(await unary(b"a", timeout=DEADLINE_S)) for _ in range(4)} == ports
        call = unary(b"a", timeout=DEADLINE_S, metadata=(("key", "value"),))
        assert await call.code() is grpc.StatusCode.OK
        assert (await call).endswith(b":a")
        stream = channel.unary_stream("/Echo/UnaryStream")(b"b", timeout=DEADLINE_S)
        first, last = await everything(stream)
        assert (field.port_of(first) in ports, last) == (True, b"last")
        assert await stream.code() is grpc.StatusCode.OK
        read = channel.unary_stream("/Echo/UnaryStream")(b"b", timeout=DEADLINE_S)
        assert await read.read() != await read.read() == b"last"
        assert await read.read() is grpc.aio.EOF
        joined = await channel.stream_unary("/Echo/StreamUnary")(each(b"c", b"d"), timeout=DEADLINE_S)
        assert len({field.port_of(part) for part in joined.split(b",")}) == 1
        echoes = await everything(channel.stream_stream("/Echo/StreamStream")(each(b"e", b"f"), timeout=DEADLINE_S))
        assert [echo.partition(b":")[2] for echo in echoes] == [b"e", b"f"]

    run(field.addresses, story)


def test__written_streams__are_led_too(make_field: Any) -> None:
    field = make_field(workers=2)

    async def story(open_channel: Any) -> None:
        channel = open_channel()
        talk = channel.stream_stream("/Echo/StreamStream")(timeout=DEADLINE_S)
        for text in (b"a", b"b"):
            await talk.write(text)
            assert (await talk.read()).endswith(b":" + text)
        await talk.done_writing()
        assert await talk.read() is grpc.aio.EOF
        tell = channel.stream_unary("/Echo/StreamUnary")(timeout=DEADLINE_S)
        await tell.write(b"c")
        await tell.done_writing()
        assert (await tell).endswith(b":c")

    run(field.addresses, story)


def test__generated_stubs_and_processes_killed_by_sigkill__the_client_goes_on(make_field: Any) -> None:
    field = make_field(workers=0, balancers=2)
    workers = field.start_samples(3)
    request = health_pb2.HealthCheckRequest(service="Worker")

    async def ask(channel: grpc.aio.Channel) -> None:
        health = health_pb2_grpc.HealthStub(channel)
        for _ in range(10):
            assert (await health.Check(request, timeout=DEADLINE_S)).status == SERVING
            assert (await health.Watch(request, timeout=DEADLINE_S).read()).status == SERVING

    async def story(open_channel: Any) -> None:
        channel = open_channel()
        for kill in (workers[0].kill, field.balancers[0].kill, workers[1].kill):
            asking = [asyncio.create_task(ask(channel)) for _ in range(4)]
            await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
            asking += [asyncio.create_task(ask(channel)) for _ in range(4)]
            await asyncio.to_thread(kill)
            await asyncio.gather(*asking, ask(channel))
        names = len(channel._names)
        await ask(channel)
        assert len(channel._names) == names, "a stub for each call costs nothing"
        question = reflection_pb2.ServerReflectionRequest(list_services="")
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        assert len(await everything(reflection.ServerReflectionInfo(iter([question]), timeout=DEADLINE_S))) == 1

    run(field.addresses, story)


def test__worker_that_refuses__another_is_asked(make_field: Any) -> None:
    field = make_field(workers=2)
    refusing, willing = field.workers
    refusing.refuses = True

    async def story(open_channel: Any) -> None:
        channel = open_channel()
        for _ in range(4):
            answer = await channel.unary_unary("/Echo/UnaryUnary")(b"a", timeout=DEADLINE_S)
            assert answer == willing.answer("a")
            first, _ = await everything(channel.unary_stream("/Echo/UnaryStream")(b"a", timeout=DEADLINE_S))
            assert first == willing.answer("a")
        assert refusing.requests

    run(field.addresses, story)


def test__tries__are_counted_and_only_where_they_are_right(make_field: Any) -> None:
    field = make_field(workers=2)
    for worker in field.workers:
        worker.refuses = True

    async def story(open_channel: Any) -> None:
        channel, once = open_channel(max_tries=4), open_channel(max_tries=1)
        expected = 0
        for tries, call in (
            (4, lambda: channel.unary_unary("/Echo/UnaryUnary")(b"a", timeout=DEADLINE_S)),
            (4, lambda: channel.unary_stream("/Echo/UnaryStream")(b"a", timeout=DEADLINE_S).read()),
            (4, lambda: everything(channel.unary_stream("/Echo/UnaryStream")(b"a", timeout=DEADLINE_S))),
            (1, lambda: channel.stream_unary("/Echo/StreamUnary")(each(b"a"), timeout=DEADLINE_S)),
            (1, lambda: everything(channel.stream_stream("/Echo/StreamStream")(each(b"a"), timeout=DEADLINE_S))),
            (1, lambda: once.unary_unary("/Echo/UnaryUnary")(b"a", timeout=DEADLINE_S)),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call()
            assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNAVAILABLE, "refused")
            expected += tries
            assert sum(len(worker.requests) for worker in field.workers) == expected
        with pytest.raises(ValueError, match="max_tries"):
            open_channel(max_tries=0)

    run(field.addresses, story)


def test__another_status_than_unavailable__is_the_answer(make_field: Any) -> None:
    field = make_field(workers=2)

    async def story(open_channel: Any) -> None:
        for kind in ("unary_unary", "unary_stream"):
            method = "/Echo/UnaryUnary" if kind == "unary_unary" else "/Echo/UnaryStream"
            call = getattr(open_channel(), kind)(method)(b"fault", timeout=DEADLINE_S)
            assert await call.code() is grpc.StatusCode.FAILED_PRECONDITION
            assert await call.details() == "faulty"

    run(field.addresses, story)
    assert sum(len(worker.requests) for worker in field.workers) == 2


def test__nobody_offers_the_service__failed_call_of_its_kind(make_field: Any) -> None:
    async def story(open_channel: Any) -> None:
        channel = open_channel()
        call = channel.unary_unary("/Echo/UnaryUnary")(b"a", timeout=DEADLINE_S)
        with pytest.raises(NoLocationError):
            await call
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(grpc.aio.AioRpcError, match="no healthy location"):
            await everything(channel.unary_stream("/Echo/UnaryStream")(b"a", timeout=DEADLINE_S))

    run(make_field(workers=0).addresses, story)


def test__deadline__holds_over_all_tries_and_the_search(make_field: Any) -> None:
    field = make_field(workers=1)

    async def story(open_channel: Any) -> None:
        unary = open_channel().unary_unary("/Echo/UnaryUnary")
        for timeout_s in (0.2, 0.0):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await unary(b"hold", timeout=timeout_s)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    run(field.addresses, story)
    assert len(field.workers[0].requests) == 1


def test__stick__one_location_until_it_fails(make_field: Any) -> None:
    field = make_field(workers=2)

    async def story(open_channel: Any) -> None:
        unary = open_channel(stick_s=3600).unary_unary("/Echo/UnaryUnary")
        favourite = {field.port_of(await unary(b"a", timeout=DEADLINE_S)) for _ in range(6)}
        assert len(favourite) == 1
        (worker,) = (worker for worker in field.workers if worker.port in favourite)
        await asyncio.to_thread(field.stop_worker, worker)
        others = {field.port_of(await unary(b"a", timeout=DEADLINE_S)) for _ in range(6)}
        assert others == {field.workers[0].port}

    run(field.addresses, story)


def test__only_worker_comes_back_on_its_port__the_next_call_reaches_it(make_field: Any) -> None:
    field = make_field(workers=0)
    port = free_port()
    worker = field.start_worker(port)
    field.offer()

    def replace() -> Any:
        field.stop_worker(worker)
        successor = field.start_worker(port)
        field.offer(incarnation=2)
        return successor

    async def story(open_channel: Any) -> None:
        unary = open_channel(idle_s=0.0).unary_unary("/Echo/UnaryUnary")
        await unary(b"a", timeout=DEADLINE_S)
        successor = await asyncio.to_thread(replace)
        assert await unary(b"b", timeout=DEADLINE_S) == successor.answer("b")

    run(field.addresses, story)


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("unary", "cancelled"),
        ("unary", "task cancelled"),
        ("unary", "channel closed"),
        ("stream", "cancelled"),
        ("stream", "task cancelled"),
        ("stream", "channel closed"),
    ],
)
def test__given_up__ends_at_the_server_and_gives_back(make_field: Any, how: str, kind: str) -> None:
    field = make_field(workers=1)
    (worker,) = field.workers

    async def read_all(call: Any) -> Any:
        return await everything(call) if kind == "stream" else await call

    async def story(open_channel: Any) -> None:
        channel = open_channel()
        connections = channel._router._connections
        if kind == "stream":
            call = channel.unary_stream("/Echo/UnaryStream")(b"hold")
            await call.read()
        else:
            call = channel.unary_unary("/Echo/UnaryUnary")(b"hold")
        reading = asyncio.create_task(read_all(call)) if how == "task cancelled" else None
        assert await asyncio.to_thread(worker.is_called.wait, DEADLINE_S)
        (connection,) = connections._current.values()
        assert connection.calls == 1
        match how:
            case "cancelled":
                assert call.cancel()
            case "task cancelled":
                assert reading is not None
                reading.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await reading
            case "channel closed":
                await channel.close()
        assert await asyncio.to_thread(worker.cancelled.wait, DEADLINE_S)
        await asyncio.to_thread(wait_until, lambda: not connection.calls, DEADLINE_S, "the connection given back")

    run(field.addresses, story)


def test__closed__as_grpc_s_own(make_field: Any) -> None:
    field = make_field(workers=1)

    async def story(open_channel: Any) -> None:
        channel = open_channel()
        assert channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.IDLE
        with pytest.raises(NotImplementedError, match="each call goes its own way"):
            await channel.channel_ready()
        with pytest.raises(NotImplementedError, match="each call goes its own way"):
            await channel.wait_for_state_change(grpc.ChannelConnectivity.IDLE)
        async with channel:
            await channel.unary_unary("/Echo/UnaryUnary")(b"a", timeout=DEADLINE_S)
        assert channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN
        with pytest.raises((grpc.aio.UsageError, ValueError)):
            await channel.unary_unary("/Echo/UnaryUnary")(b"a", timeout=DEADLINE_S)

    run(field.addresses, story)
