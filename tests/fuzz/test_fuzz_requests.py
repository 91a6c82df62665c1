"""Whatever comes to the frontend or to a worker: the right status, never an exception's; good clients go on."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import given, settings
from hypothesis import strategies as st
from support.grpc_servers import registration
from support.hostile_http2 import conversation, request_to
from support.hostile_requests import OF_FRONTEND, OF_WORKER, Method, break_off, send_one
from support.mutated_frames import Openings
from support.profiles import examples
from support.running_balancer import RunningBalancer
from support.waiting import wait_until
from support.workers import SampleWorker, run_worker

from quaestor_actors.rpc import service_discovery_pb2, service_discovery_pb2_grpc

SEEDS = st.integers(0, 2**32 - 1)
HOW = st.sampled_from(["message"] * 5 + ["broken off", "connection", "connection"])
Code = grpc.StatusCode

OF_ANY_SERVER = {
    Code.OK,
    Code.INVALID_ARGUMENT,
    Code.UNIMPLEMENTED,
    # A message, or metadata, over the limit.
    Code.RESOURCE_EXHAUSTED,
    # Health, and load, of a service that there is not.
    Code.NOT_FOUND,
    Code.OUT_OF_RANGE,
}

NOT_DECODED = "Exception deserializing request!"
"""INTERNAL is what gRPC itself tells then, as its guide to status codes says; a synchronous server's code cannot."""


class Logged(logging.Handler):
    """Collects what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line, unless it is gRPC's own about a header field, of which only it learns."""
        line = record.getMessage()
        if not line.startswith("Invalid encoding on"):
            self.lines.append(line)


@pytest.fixture
def logged() -> Iterator[Logged]:
    handler = Logged()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def balancer() -> Iterator[RunningBalancer]:
    """Yield a balancer that offers one location."""
    with run_worker() as worker:
        balancer = RunningBalancer()
        one = registration(worker.port)
        balancer.register(one)
        balancer.expect_offered(one)
        yield balancer
        balancer.close()


@pytest.fixture
def worker() -> Iterator[SampleWorker]:
    with run_worker() as worker:
        yield worker


class Attack:
    """Hostile requests to one server, and a look after each whether good ones are answered."""

    def __init__(self, port: int, methods: Sequence[Method], is_well: Callable[[], Any], *, internal: set[str]) -> None:
        self._port = port
        self._methods = methods
        self._is_well = is_well
        self._internal = internal
        self._openings = Openings()
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")

    def run(self, count: int) -> None:
        """Send so many, and end all of them."""

        @settings(max_examples=count)
        @given(HOW, SEEDS)
        def check(how: str, seed: int) -> None:
            self._attack(how, Random(seed))
            assert self._is_well()

        check()
        self.close()
        assert self._is_well()

    def _attack(self, how: str, chance: Random) -> None:
        match how:
            case "message":
                code, details = send_one(self._channel, self._methods, chance)
                assert code in OF_ANY_SERVER or (code is Code.INTERNAL and details in self._internal), (code, details)
            case "broken off":
                break_off(self._channel, self._methods, chance)
            case _:
                path = chance.choice(self._methods).path.encode()
                self._openings.send(self._port, [conversation(path, chance)], chance)

    def close(self) -> None:
        """Leave."""
        self._channel.close()
        self._openings.close()


@pytest.mark.timeout(examples(300))
def test__any_request_to_the_frontend__has_its_status_and_disturbs_nobody(
    balancer: RunningBalancer, logged: Logged
) -> None:
    expected = balancer.all()
    assert len(expected) == 1
    process = psutil.Process()

    def attack(count: int) -> None:
        Attack(balancer.port, OF_FRONTEND, lambda: balancer.all() == expected, internal=set()).run(count)

    # What is loaded and allocated once is no growth.
    attack(examples(50))
    descriptors, memory = process.num_fds(), process.memory_info().rss
    attack(examples(450))
    assert balancer.top() == expected
    assert logged.lines == []
    wait_until(lambda: process.num_fds() <= descriptors + 5, 20, "descriptors to be given back")
    assert process.memory_info().rss - memory < 60_000_000


@pytest.mark.timeout(examples(300))
def test__any_request_to_a_worker__has_its_status_and_disturbs_nobody(worker: SampleWorker) -> None:
    stub = health_pb2_grpc.HealthStub(worker.channel)

    def is_well() -> bool:
        answer = stub.Check(health_pb2.HealthCheckRequest(service="Worker"), timeout=10)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def attack(count: int) -> None:
        Attack(worker.port, OF_WORKER, is_well, internal={NOT_DECODED}).run(count)

    assert is_well()
    process = psutil.Process(worker.process.pid)
    attack(examples(20))
    descriptors, memory = process.num_fds(), process.memory_info().rss
    attack(examples(80))
    wait_until(lambda: process.num_fds() <= descriptors + 5, 20, "descriptors to be given back")
    assert process.memory_info().rss - memory < 60_000_000


def heard_at(port: int, request: bytes) -> bytes:
    """Send a request, and return what is answered until the server closes the connection or says no more."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(request)
        answer = b""
        try:
            while part := connection.recv(4096):
                answer += part
        except (TimeoutError, ConnectionResetError):
            return answer
        return answer


def found_as_soon_as_possible(port: int) -> list[int]:
    """Return the ports that DiscoverServices answers, as soon as the server can be reached."""
    options = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.min_reconnect_backoff_ms", 100))
    request = service_discovery_pb2.DiscoverServicesRequest(service_name="Worker")
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        stub = service_discovery_pb2_grpc.ServiceDiscoveryGrpcStub(channel)
        give_up_at = time.monotonic() + 10
        while True:
            try:
                response = stub.DiscoverServices(request, timeout=10, wait_for_ready=True)
            except grpc.RpcError as error:
                # The connection was to the server that was just ending.
                if error.code() is not Code.UNAVAILABLE or time.monotonic() >= give_up_at:
                    raise
            else:
                return [location.port for location in response.service_locations]


def test__path_that_is_no_text__costs_the_frontend_its_server_for_a_moment_and_nothing_else(
    balancer: RunningBalancer,
) -> None:
    expected = balancer.all()
    answered = balancer.balancer.status().requests_answered
    descriptors = psutil.Process().num_fds()
    for _ in range(3):
        heard_at(balancer.port, request_to(b"/\xff\xfe"))
        assert found_as_soon_as_possible(balancer.port) == expected
    assert balancer.balancer.status().requests_answered == answered + 3
    assert balancer.heard.crashes == []
    wait_until(lambda: psutil.Process().num_fds() <= descriptors + 5, 20, "descriptors to be given back")


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except ConnectionRefusedError:
        return False
    return True


def test__path_that_is_no_text__while_the_frontend_drains__leaves_nothing(balancer: RunningBalancer) -> None:
    heard_at(balancer.port, request_to(b"/\xff\xfe"))
    balancer.balancer.drain(0)
    wait_until(lambda: not is_listening(balancer.port), 10, "the port to be given back")


def test__path_that_is_no_text__does_nothing_to_a_worker(worker: SampleWorker) -> None:
    heard_at(worker.port, request_to(b"/\xff\xfe"))
    stub = health_pb2_grpc.HealthStub(worker.channel)
    assert stub.Check(health_pb2.HealthCheckRequest(), timeout=10).status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("method", OF_FRONTEND, ids=lambda method: method.path.rpartition("/")[2])
def test__request_that_is_no_message__is_an_invalid_argument(
    balancer: RunningBalancer, logged: Logged, method: Method
) -> None:
    # Neither does its text tell of our insides, nor does each leave a traceback in the log.
    with grpc.insecure_channel(f"127.0.0.1:{balancer.port}") as channel:
        make: Any = getattr(channel, method.kind)
        call = make(method.path, request_serializer=None, response_deserializer=None)
        for garbage in (b"\xff\xff", b"\x0a\x02\xff\xfe"):
            request = iter([garbage]) if method.kind.startswith("stream") else garbage
            with pytest.raises(grpc.RpcError) as told:
                list(call(request, timeout=10))
            assert told.value.code() is Code.INVALID_ARGUMENT
            assert told.value.details() == "the request is not a message of this method"
    assert logged.lines == []
