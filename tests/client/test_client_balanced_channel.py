"""Generated stubs over a balanced channel, with real balancers, and workers that die."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from support.grpc_servers import SERVING
from support.ports import free_port
from support.waiting import wait_until

from quaestor_actors.client import Balancers, NoLocationError, balanced_channel

DEADLINE_S = 10.0

Open = Callable[..., grpc.Channel]


@pytest.fixture
def open_channel() -> Iterator[Open]:
    """Yield a maker of channels to the service `Worker` of a field."""
    with ExitStack() as stack:

        def run(addresses: list[str], **arguments: Any) -> grpc.Channel:
            balancers = stack.enter_context(Balancers(addresses))
            return stack.enter_context(balanced_channel("Worker", balancers, **arguments))

        yield run


def connections_of(channel: Any) -> Any:
    return channel._router._connections


def ports_of_connections(channel: Any) -> set[int]:
    return {location.port for location in connections_of(channel)._current}


def test__each_kind_of_call__is_spread_and_answered(make_field: Any, open_channel: Open) -> None:
    field = make_field(workers=2)
    channel = open_channel(field.addresses)
    ports = {worker.port for worker in field.workers}
    unary = channel.unary_unary("/Echo/UnaryUnary")
    assert {field.port_of(unary(b"a", timeout=DEADLINE_S)) for _ in range(4)} == ports
    response, call = unary.with_call(b"a", DEADLINE_S, (("key", "value"),))
    assert response.endswith(b":a")
    assert call.code() is grpc.StatusCode.OK
    assert unary.future(b"a", timeout=DEADLINE_S).result().endswith(b":a")
    stream = channel.unary_stream("/Echo/UnaryStream")(b"b", timeout=DEADLINE_S)
    first, last = list(stream)
    assert (field.port_of(first) in ports, last) == (True, b"last")
    assert stream.code() is grpc.StatusCode.OK
    assert list(stream) == []
    joined = channel.stream_unary("/Echo/StreamUnary")(iter([b"c", b"d"]), timeout=DEADLINE_S)
    assert len({field.port_of(part) for part in joined.split(b",")}) == 1
    echoes = list(channel.stream_stream("/Echo/StreamStream")(iter([b"e", b"f"]), timeout=DEADLINE_S))
    assert [echo.partition(b":")[2] for echo in echoes] == [b"e", b"f"]
    assert ports_of_connections(channel) == ports


def test__generated_stubs_and_processes_killed_by_sigkill__the_client_goes_on(
    make_field: Any, open_channel: Open
) -> None:
    field = make_field(workers=0, balancers=2)
    workers = field.start_samples(3)
    channel = open_channel(field.addresses)
    health = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service="Worker")
    answered = 0
    is_over = threading.Event()

    def ask() -> None:
        nonlocal answered
        while not is_over.is_set():
            assert health.Check(request, timeout=DEADLINE_S).status == SERVING
            assert next(health.Watch(request, timeout=DEADLINE_S)).status == SERVING
            answered += 1

    def expect_more() -> None:
        before = answered
        wait_until(lambda: asking.done() or answered > before + 20, DEADLINE_S, "more answers")

    with ThreadPoolExecutor(1) as threads, ExitStack() as stack:
        stack.callback(is_over.set)
        asking = threads.submit(ask)
        expect_more()
        workers[0].kill()
        expect_more()
        field.balancers[0].kill()
        expect_more()
        workers[1].kill()
        expect_more()
        is_over.set()
        asking.result(DEADLINE_S)
    question = reflection_pb2.ServerReflectionRequest(list_services="")
    answers = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
        iter([question]), timeout=DEADLINE_S
    )
    assert len(list(answers)) == 1


def test__worker_that_refuses__another_is_asked_and_the_connection_closed(make_field: Any, open_channel: Open) -> None:
    field = make_field(workers=2)
    refusing, willing = field.workers
    refusing.refuses = True
    channel = open_channel(field.addresses)
    unary = channel.unary_unary("/Echo/UnaryUnary")
    stream = channel.unary_stream("/Echo/UnaryStream")
    for _ in range(4):
        assert unary(b"a", timeout=DEADLINE_S) == willing.answer("a")
        assert next(stream(b"a", timeout=DEADLINE_S)) == willing.answer("a")
    assert refusing.requests

    def are_closed() -> bool:
        # Streams tell their end on gRPC's own thread, and the next call closes what is to be closed.
        unary(b"a", timeout=DEADLINE_S)
        return not any(one.calls for one in connections_of(channel)._retired)

    refusing.refuses = False
    wait_until(are_closed, DEADLINE_S, "refused calls to end")
    unary(b"a", timeout=DEADLINE_S)
    assert connections_of(channel)._retired == []


def test__everybody_refuses__tried_so_often_and_no_more(make_field: Any, open_channel: Open) -> None:
    field = make_field(workers=2)
    for worker in field.workers:
        worker.refuses = True
    channel = open_channel(field.addresses, max_tries=4)
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/Echo/UnaryUnary")(b"a", timeout=DEADLINE_S)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNAVAILABLE, "refused")
    assert sum(len(worker.requests) for worker in field.workers) == 4
    with pytest.raises(grpc.RpcError, match="refused"):
        list(channel.unary_stream("/Echo/UnaryStream")(b"a", timeout=DEADLINE_S))
    assert sum(len(worker.requests) for worker in field.workers) == 8


def test__what_may_not_be_tried_again__is_tried_once(make_field: Any, open_channel: Open) -> None:
    field = make_field(workers=2)
    for worker in field.workers:
        worker.refuses = True
    channel = open_channel(field.addresses)
    once = open_channel(field.addresses, max_tries=1)

    def settled_stream() -> Any:
        stream = channel.unary_stream("/Echo/UnaryStream")(b"a", timeout=DEADLINE_S)
        assert stream.code() is grpc.StatusCode.UNAVAILABLE
        return list(stream)

    calls: list[Callable[[], Any]] = [
        lambda: channel.stream_unary("/Echo/StreamUnary")(iter([b"a"]), timeout=DEADLINE_S),
        lambda: list(channel.stream_stream("/Echo/StreamStream")(iter([b"a"]), timeout=DEADLINE_S)),
        lambda: channel.unary_unary("/Echo/UnaryUnary").future(b"a", timeout=DEADLINE_S).result(),
        lambda: once.unary_unary("/Echo/UnaryUnary")(b"a", timeout=DEADLINE_S),
        settled_stream,
    ]
    for tries, call in enumerate(calls, start=1):
        with pytest.raises(grpc.RpcError, match="refused"):
            call()
        assert sum(len(worker.requests) for worker in field.workers) == tries


def test__another_status_than_unavailable__is_the_answer(make_field: Any, open_channel: Open) -> None:
    field = make_field(workers=2)
    channel = open_channel(field.addresses)
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/Echo/UnaryUnary")(b"fault", timeout=DEADLINE_S)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert sum(len(worker.requests) for worker in field.workers) == 1


def test__worker_stops_between_messages__the_stream_ends_there(make_field: Any, open_channel: Open) -> None:
    field = make_field(workers=2)
    stream = open_channel(field.addresses).unary_stream("/Echo/UnaryStream")(b"hold", timeout=DEADLINE_S)
    at_work = field.port_of(next(stream))
    (worker,) = (worker for worker in field.workers if worker.port == at_work)
    field.stop_worker(worker)
    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    assert caught.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    worker.held.set_result(None)
    assert sum(b"hold" in one.requests for one in field.workers) == 0


def test__only_worker_comes_back_on_its_port__the_next_call_reaches_it(make_field: Any, open_channel: Open) -> None:
    field = make_field(workers=0)
    port = free_port()
    worker = field.start_worker(port)
    field.offer()
    channel = open_channel(field.addresses)
    unary = channel.unary_unary("/Echo/UnaryUnary")
    unary(b"a", timeout=DEADLINE_S)
    field.stop_worker(worker)
    successor = field.start_worker(port)
    field.offer(incarnation=2)
    assert unary(b"b", timeout=DEADLINE_S) == successor.answer("b")
    assert successor.requests == [b"b"]


def test__nobody_offers_the_service__failed_call_of_its_kind(make_field: Any, open_channel: Open) -> None:
    channel = open_channel(make_field(workers=0).addresses)
    with pytest.raises(NoLocationError):
        channel.unary_unary("/Echo/UnaryUnary")(b"a", timeout=DEADLINE_S)
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_stream("/Echo/UnaryStream")(b"a", timeout=DEADLINE_S)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test__deadline__holds_over_all_tries_and_the_search(make_field: Any, open_channel: Open) -> None:
    field = make_field(workers=1)
    unary = open_channel(field.addresses).unary_unary("/Echo/UnaryUnary")
    for timeout_s in (0.2, 0.0):
        with pytest.raises(grpc.RpcError) as caught:
            unary(b"hold", timeout=timeout_s)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert len(field.workers[0].requests) == 1


def test__stick__one_location_until_it_fails(make_field: Any, open_channel: Open) -> None:
    field = make_field(workers=2)
    unary = open_channel(field.addresses, stick_s=3600).unary_unary("/Echo/UnaryUnary")
    favourite = {field.port_of(unary(b"a", timeout=DEADLINE_S)) for _ in range(6)}
    assert len(favourite) == 1
    assert field.balancers[0].answered == 1
    (worker,) = (worker for worker in field.workers if worker.port in favourite)
    field.stop_worker(worker)
    others = {field.port_of(unary(b"a", timeout=DEADLINE_S)) for _ in range(6)}
    assert others == {field.workers[0].port}


def test__stream_forgotten_or_cancelled__ends_at_the_server(make_field: Any, open_channel: Open) -> None:
    field = make_field(workers=2)
    channel = open_channel(field.addresses)
    streams = [channel.unary_stream("/Echo/UnaryStream")(b"hold") for _ in range(2)]
    for stream in streams:
        next(stream)
    for worker in field.workers:
        assert worker.is_called.wait(DEADLINE_S)
        wait_until(lambda worker=worker: b"hold" in worker.requests, DEADLINE_S, "the held request")
    cancelled, forgotten = streams
    assert cancelled.cancel()
    assert cancelled.code() is grpc.StatusCode.CANCELLED
    del streams, stream, forgotten
    gc.collect()
    for worker in field.workers:
        assert worker.cancelled.wait(DEADLINE_S)
    in_use = connections_of(channel)._current.values()
    wait_until(lambda: not any(one.calls for one in in_use), DEADLINE_S, "connections given back")


def test__connection_that_nobody_uses__is_closed_at_the_next_call(make_field: Any, open_channel: Open) -> None:
    field = make_field(workers=2)
    channel = open_channel(field.addresses, idle_s=0.0)
    unary = channel.unary_unary("/Echo/UnaryUnary")
    for _ in range(4):
        answer = unary(b"a", timeout=DEADLINE_S)
        assert ports_of_connections(channel) == {field.port_of(answer)}


def test__many_threads_and_a_kill__everybody_gets_an_answer(make_field: Any, open_channel: Open) -> None:
    field = make_field(workers=0, balancers=2)
    workers = field.start_samples(3)
    health = health_pb2_grpc.HealthStub(open_channel(field.addresses))
    request = health_pb2.HealthCheckRequest(service="Worker")
    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(health.Check, request, timeout=DEADLINE_S) for _ in range(200)]
        workers[0].kill()
        answers += [threads.submit(health.Check, request, timeout=DEADLINE_S) for _ in range(200)]
        assert all(answer.result(20).status == SERVING for answer in answers)


def test__closed__as_grpc_s_own(make_field: Any, open_channel: Open) -> None:
    channel = open_channel(make_field(workers=1).addresses)
    unary = channel.unary_unary("/Echo/UnaryUnary")
    unary(b"a", timeout=DEADLINE_S)
    channel.close()
    with pytest.raises(ValueError, match="closed channel"):
        unary(b"a", timeout=DEADLINE_S)


def test__connectivity__is_refused_rather_than_invented(make_field: Any, open_channel: Open) -> None:
    channel = open_channel(make_field(workers=0).addresses)
    with pytest.raises(NotImplementedError, match="each call goes its own way"):
        channel.subscribe(print)
    channel.unsubscribe(print)
    with pytest.raises(ValueError, match="max_tries"):
        open_channel(["127.0.0.1:1"], max_tries=0)


def test__cancelled_before_the_first_message__is_not_tried_again(make_field: Any, open_channel: Open) -> None:
    field = make_field(workers=2)
    for worker in field.workers:
        worker.refuses = True
    stream = open_channel(field.addresses).unary_stream("/Echo/UnaryStream")(b"a", timeout=DEADLINE_S)
    assert stream.is_active()
    assert 0 < stream.time_remaining() <= DEADLINE_S
    stream.cancel()
    with pytest.raises(grpc.RpcError):
        next(stream)
    assert sum(len(worker.requests) for worker in field.workers) <= 1
