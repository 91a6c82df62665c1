"""Interceptors that count requests, on servers of both kinds, with real clients."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from support.waiting import wait_until

from quaestor_actors.rpc import load_reporting_pb2, load_reporting_pb2_grpc
from quaestor_actors.worker import Cancellation, CountRequests, LoadReporter, ServiceLoad, aio
from quaestor_actors.worker.counting import CountedMethods

KINDS = ["unary_unary", "unary_stream", "stream_unary", "stream_stream"]
SERVERS = ["sync", "aio", "aio_writing", "aio_threads"]

Channels = Callable[..., AbstractContextManager[grpc.Channel]]


class Gate:
    """Where every request of a test waits; a request with the text `fail` fails behind it."""

    def __init__(self) -> None:
        self._opening = Cancellation()
        self._entered = threading.Event()
        self.load = ServiceLoad()

    def open(self) -> None:
        self._opening.request()

    def wait(self) -> None:
        self._entered.set()
        assert self._opening.requested.wait(30)

    async def wait_aio(self) -> None:
        opened = asyncio.Event()
        self._opening.when_requested(partial(asyncio.get_running_loop().call_soon_threadsafe, opened.set))
        await opened.wait()

    def wait_for_a_thread(self) -> None:
        """Wait until a request's thread is here: one that is counted may not have a thread yet."""
        assert self._entered.wait(30)

    def running(self) -> int:
        return self.load.current_requests

    def wait_for(self, number: int) -> None:
        wait_until(lambda: self.running() == number, what=f"{number} counted requests")


def sync_methods(gate: Gate) -> dict[str, Callable[..., Any]]:
    def answer(request: bytes, _context: object) -> bytes:
        gate.wait()
        if request == b"fail":
            raise KeyError(request)
        return request

    def stream(request: bytes, context: object) -> Iterator[bytes]:
        yield b"begun"
        yield answer(request, context)

    def exchange(requests: Iterator[bytes], context: object) -> Iterator[bytes]:
        # A generator: what is before the first `yield` of another function, gRPC runs on the event loop.
        yield from stream(next(requests), context)

    return {
        "unary_unary": answer,
        "unary_stream": stream,
        "stream_unary": lambda requests, context: answer(next(requests), context),
        "stream_stream": exchange,
    }


def aio_methods(gate: Gate) -> dict[str, Callable[..., Any]]:
    async def answer(request: bytes, _context: object) -> bytes:
        await gate.wait_aio()
        if request == b"fail":
            raise KeyError(request)
        return request

    async def stream(request: bytes, context: object) -> AsyncIterator[bytes]:
        yield b"begun"
        yield await answer(request, context)

    async def collect(requests: AsyncIterator[bytes], context: object) -> bytes:
        return await answer(await anext(requests), context)

    async def exchange(requests: AsyncIterator[bytes], context: object) -> AsyncIterator[bytes]:
        yield b"begun"
        yield await answer(await anext(requests), context)

    return {"unary_unary": answer, "unary_stream": stream, "stream_unary": collect, "stream_stream": exchange}


def writing_methods(gate: Gate) -> dict[str, Callable[..., Any]]:
    """Return methods that write their streams by themselves."""
    answers = aio_methods(gate)

    async def stream(request: bytes, context: Any) -> None:
        await context.write(b"begun")
        await context.write(await answers["unary_unary"](request, context))

    async def exchange(_requests: object, context: Any) -> None:
        await stream(await context.read(), context)

    return {**answers, "unary_stream": stream, "stream_stream": exchange}


@pytest.fixture
def serve(request: pytest.FixtureRequest) -> Callable[..., AbstractContextManager[grpc.Channel]]:
    """Return a function that serves a gate's methods on the kind of server that is named."""
    methods_of = {"sync": sync_methods, "aio": aio_methods, "aio_writing": writing_methods, "aio_threads": sync_methods}

    def run(server_kind: str, gate: Gate, **more: Any) -> AbstractContextManager[grpc.Channel]:
        handlers = {
            kind: getattr(grpc, f"{kind}_rpc_method_handler")(method)
            for kind, method in methods_of[server_kind](gate).items()
        }

        def add(server: Any) -> None:
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Gate", handlers),))

        is_sync = server_kind == "sync"
        channels: Channels = request.getfixturevalue("sync_channel" if is_sync else "aio_channel")
        counter = CountRequests(gate.load) if is_sync else aio.CountRequests(gate.load)
        return channels(add, interceptors=[counter], **({"threads": 2, **more} if is_sync else more))

    return run


def code_of(running: Any, kind: str) -> grpc.StatusCode:
    """Return how a call ended, when it has."""
    if kind.endswith("_stream"):
        with suppress(grpc.RpcError):
            list(running)
    code: grpc.StatusCode = running.code()
    return code


def call(channel: grpc.Channel, kind: str, text: bytes) -> Any:
    """Begin a call."""
    method = getattr(channel, kind)(f"/test.Gate/{kind}")
    request = iter([text]) if kind.startswith("stream_") else text
    return method(request, timeout=30) if kind.endswith("_stream") else method.future(request, timeout=30)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("server_kind", SERVERS)
@pytest.mark.parametrize(("text", "code"), [(b"hello", grpc.StatusCode.OK), (b"fail", grpc.StatusCode.UNKNOWN)])
def test__request__counts_until_it_has_ended(
    serve: Channels, server_kind: str, kind: str, text: bytes, code: grpc.StatusCode
) -> None:
    gate = Gate()
    with serve(server_kind, gate) as channel:
        running = call(channel, kind, text)
        gate.wait_for(1)
        gate.open()
        assert code_of(running, kind) is code
        gate.wait_for(0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("server_kind", ["aio", "aio_writing"])
def test__cancelled_request__counts_until_its_coroutine_has_ended(serve: Channels, server_kind: str, kind: str) -> None:
    gate = Gate()
    with serve(server_kind, gate) as channel:
        running = call(channel, kind, b"hello")
        gate.wait_for(1)
        running.cancel()
        gate.wait_for(0)


@pytest.mark.parametrize("kind", KINDS)
def test__cancelled_request__counts_until_its_thread_is_free(serve: Channels, kind: str) -> None:
    gate = Gate()
    with serve("sync", gate) as channel:
        running = call(channel, kind, b"hello")
        gate.wait_for_a_thread()
        running.cancel()
        assert running.code() is grpc.StatusCode.CANCELLED
        assert gate.running() == 1
        gate.open()
        gate.wait_for(0)


@pytest.mark.parametrize("kind", KINDS)
def test__request_that_waits_for_a_thread__counts_and_no_longer_when_cancelled(serve: Channels, kind: str) -> None:
    gate = Gate()
    with serve("sync", gate, threads=1) as channel:
        first = call(channel, "unary_unary", b"hello")
        gate.wait_for(1)
        waiting = call(channel, kind, b"hello")
        gate.wait_for(2)
        waiting.cancel()
        gate.open()
        assert first.result() == b"hello"
        gate.wait_for(0)


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
@pytest.mark.parametrize("server_kind", SERVERS)
def test__request_of_which_only_the_beginning_came__counts(serve: Channels, server_kind: str, kind: str) -> None:
    gate = Gate()
    words: queue.Queue[bytes | None] = queue.Queue()
    with serve(server_kind, gate) as channel:
        # A client that takes the method for one with a stream of requests sends none at first.
        method: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(f"/test.Gate/{kind}")
        running = method(iter(words.get, None), timeout=30)
        gate.wait_for(1)
        running.cancel()
        gate.wait_for(0)
        words.put(None)


def test__stream_that_is_cancelled_between_two_answers__no_longer_counts(sync_channel: Channels) -> None:
    load = ServiceLoad()

    def count_up(_request: bytes, _context: object) -> Iterator[bytes]:
        while True:
            yield b"more"

    methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {"Count": grpc.unary_stream_rpc_method_handler(count_up)}

    def add(server: grpc.Server) -> None:
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Numbers", methods),))

    with sync_channel(add, interceptors=[CountRequests(load)]) as channel:
        method: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream("/test.Numbers/Count")
        numbers = method(b"", timeout=30)
        assert next(numbers) == b"more"
        assert load.current_requests == 1
        numbers.cancel()
        wait_until(lambda: load.current_requests == 0, what="the stream to be over")


@pytest.mark.parametrize("server_kind", ["sync", "aio"])
def test__unknown_method__is_unimplemented_and_does_not_count(serve: Channels, server_kind: str) -> None:
    gate = Gate()
    with serve(server_kind, gate) as channel:
        method: Any = channel.unary_unary("/test.Gate/Missing")
        assert method.future(b"", timeout=10).code() is grpc.StatusCode.UNIMPLEMENTED
    assert gate.load.report().timestamp_ticks == 0


def test__health_and_load__do_not_count(sync_channel: Channels) -> None:
    load = ServiceLoad()

    def add(server: grpc.Server) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(experimental_non_blocking=False), server)
        reporter = LoadReporter({"Worker": load})
        load_reporting_pb2_grpc.add_LoadReportingGrpcServicer_to_server(reporter, server)

    with sync_channel(add, interceptors=[CountRequests(load)]) as channel:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        stub = load_reporting_pb2_grpc.LoadReportingGrpcStub(channel)
        asked = load_reporting_pb2.LoadReportRequest(service_name="Worker")
        reports = stub.WatchLoad(asked, timeout=10)
        assert next(reports) == stub.ReportLoad(asked, timeout=10)
        assert load.report().timestamp_ticks == 0
        reports.cancel()


@pytest.mark.parametrize(
    ("methods", "method", "is_counted"),
    [
        (None, "/a.Greeter/Hello", True),
        (None, "/Greeter/Hello", True),
        (None, "/grpc.health.v1.Health/Watch", False),
        (None, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", False),
        (None, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", False),
        (None, "/Quaestor.LoadReporting.LoadReportingGrpc/WatchLoad", False),
        (None, "/Quaestor.ProcessAdministration.ProcessAdministrationGrpc/Cancel", False),
        (["/a.Greeter/Hello"], "/a.Greeter/Hello", True),
        (["/a.Greeter/Hello"], "/a.Greeter/Bye", False),
        (["a.Greeter"], "/a.Greeter/Bye", True),
        (["a.Greeter"], "/a.Greeter2/Bye", False),
        ([], "/a.Greeter/Hello", False),
    ],
)
def test__counted_methods__are_own_ones_or_those_named(
    methods: list[str] | None, method: str, *, is_counted: bool
) -> None:
    assert CountedMethods(methods).has(method) is is_counted


def test__counted_methods__given_as_one_text__is_an_error() -> None:
    with pytest.raises(TypeError, match="collection"):
        CountedMethods("/a.Greeter/Hello")
