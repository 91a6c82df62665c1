"""The balancer's server through real gRPC clients: answers, refusals, health, TLS, its port, and its end."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from support.certificates import Authority
from support.grpc_servers import NOT_SERVING, SERVING, reserved_port
from support.waiting import wait_until

from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.frontend import MAX_NAME_LENGTH, Frontend, FrontendState
from quaestor_actors.core.location import Location
from quaestor_actors.core.spec import BalancerSpec
from quaestor_actors.errors import ConfigError, ConflictError, OperationError
from quaestor_actors.rpc import service_discovery_pb2, service_discovery_pb2_grpc

DEADLINE_S = 10.0

LOCATIONS = (
    Location(scope="s", service_name="Worker", host_name="localhost", port=5162),
    Location(scope="s", service_name="Worker", host_name="localhost", port=5161),
)


class Book:
    """A `Discovery` that knows two locations and remembers what it was asked."""

    def __init__(self) -> None:
        self.is_informed = False
        self.asked: list[tuple[str, str, str, int]] = []
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def discover(self, *, scope: str, service_name: str, max_count: int) -> Sequence[Location]:
        return self._answer("discover", scope, service_name, max_count)

    def discover_top(self, *, scope: str, service_name: str, max_count: int) -> Sequence[Location]:
        return self._answer("discover_top", scope, service_name, max_count)

    def _answer(self, *question: Any) -> Sequence[Location]:
        self.asked.append(question)
        self.entered.set()
        self.go_on.wait(DEADLINE_S)
        if question[2] == "Faulty":
            raise ZeroDivisionError
        return LOCATIONS if question[2] == "Worker" else ()


class Running:
    """A frontend on its own thread, and clients to it."""

    def __init__(self, **spec: Any) -> None:
        self.book = Book()
        self.crashes: list[BaseException] = []
        self.spec = BalancerSpec(**{"host_name": "127.0.0.1", "port": 0, **spec})
        self.loop = LoopThread(name="test", on_crash=self.crashes.append)
        self.loop.start()
        self.frontend = Frontend(spec=self.spec, discovery=self.book)
        self._stack = ExitStack()
        self._stack.callback(self.loop.stop)
        try:
            self.port = self.loop.call(self.frontend.start()).result(DEADLINE_S)
        except BaseException:
            self._stack.close()
            raise

    def serve(self) -> None:
        self.loop.post(self.frontend.set_serving)
        wait_until(lambda: self.frontend.state is FrontendState.SERVING, DEADLINE_S, "serving")

    def channel(self, credentials: grpc.ChannelCredentials | None = None) -> grpc.Channel:
        address = f"localhost:{self.port}"
        if credentials is None:
            return self._stack.enter_context(grpc.insecure_channel(address))
        return self._stack.enter_context(grpc.secure_channel(address, credentials))

    def discover(self, rpc: str = "DiscoverServices", **request: Any) -> list[Location]:
        if self.frontend.state is FrontendState.WAITING:
            self.serve()
        return found(self.channel(), rpc, **request)

    def drain(self, grace_s: float) -> None:
        self.loop.call(self.frontend.drain(grace_s)).result(DEADLINE_S)

    def close(self) -> None:
        self.drain(0)
        self._stack.close()
        assert self.crashes == []


def found(channel: grpc.Channel, rpc: str = "DiscoverServices", **request: Any) -> list[Location]:
    """Ask over this channel and return what was found."""
    stub = service_discovery_pb2_grpc.ServiceDiscoveryGrpcStub(channel)
    message = service_discovery_pb2.DiscoverServicesRequest(**request)
    response = getattr(stub, rpc)(message, timeout=DEADLINE_S)
    return [
        Location(scope=each.scope, service_name=each.service_name, host_name=each.host_name, port=each.port)
        for each in response.service_locations
    ]


def status_of(channel: grpc.Channel, service: str) -> int:
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service=service)
    return int(stub.Check(request, timeout=DEADLINE_S).status)


Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def run(**spec: Any) -> Running:
            running = Running(**spec)
            stack.callback(running.close)
            return running

        yield run


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize(("rpc", "asked"), [("DiscoverServices", "discover"), ("DiscoverTopServices", "discover_top")])
def test__discover__answer_is_the_discovery_s_in_its_order(start: Start, rpc: str, asked: str) -> None:
    running = start()
    assert running.discover(rpc, scope="s", service_name="Worker", max_count=7) == list(LOCATIONS)
    assert running.book.asked == [(asked, "s", "Worker", 7)]
    assert running.frontend.requests_answered == 1


@pytest.mark.parametrize("rpc", ["DiscoverServices", "DiscoverTopServices"])
def test__unknown_service__is_an_empty_answer(start: Start, rpc: str) -> None:
    assert start().discover(rpc, service_name="Nobody") == []


@pytest.mark.parametrize("rpc", ["DiscoverServices", "DiscoverTopServices"])
@pytest.mark.parametrize(
    ("request_fields", "complaint"),
    [
        ({"max_count": -1}, "max_count"),
        ({"service_name": "x" * (MAX_NAME_LENGTH + 1)}, "service_name"),
        ({"scope": "x" * (MAX_NAME_LENGTH + 1)}, "scope"),
    ],
)
def test__bad_request__is_refused_and_asks_nobody(
    start: Start, rpc: str, request_fields: dict[str, Any], complaint: str
) -> None:
    running = start()
    with pytest.raises(grpc.RpcError) as refusal:
        running.discover(rpc, **request_fields)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert complaint in str(refusal.value.details())
    assert running.book.asked == []


def test__huge_request__is_refused(start: Start) -> None:
    running = start()
    with pytest.raises(grpc.RpcError) as refusal:
        running.discover(service_name="x" * 1_000_000)
    assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test__request_that_fails__is_no_reason_to_be_unhealthy(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    # A captured record would hold the traceback and with it the server, beyond the end of its loop.
    caplog.set_level(logging.CRITICAL + 1, logger="grpc._cython.cygrpc")
    running = start()
    running.serve()
    with pytest.raises(grpc.RpcError) as failure:
        running.discover(service_name="Faulty")
    assert failure.value.code() is grpc.StatusCode.UNKNOWN
    assert status_of(running.channel(), "") == SERVING
    assert running.discover(service_name="Worker") == list(LOCATIONS)


@pytest.mark.parametrize("service", ["", "ServiceDiscoveryGrpc", "Quaestor.ServiceDiscovery.ServiceDiscoveryGrpc"])
def test__health_check__not_serving_before_the_first_view(start: Start, service: str) -> None:
    running = start()
    channel = running.channel()
    assert status_of(channel, service) == NOT_SERVING
    running.serve()
    assert status_of(channel, service) == SERVING


def test__health_check__unknown_service(start: Start) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        status_of(start().channel(), "Nobody")
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND


def test__health_watch__pushes_each_change_and_ends_with_the_drain(start: Start) -> None:
    running = start()
    stub = health_pb2_grpc.HealthStub(running.channel())
    stream = stub.Watch(health_pb2.HealthCheckRequest(service=""), timeout=DEADLINE_S)
    assert next(stream).status == NOT_SERVING
    running.serve()
    assert next(stream).status == SERVING
    running.drain(DEADLINE_S)
    assert [response.status for response in stream] == [NOT_SERVING]


def test__reflection__names_all_services(start: Start) -> None:
    database = ProtoReflectionDescriptorDatabase(start().channel())
    assert sorted(database.get_services()) == [
        "Quaestor.ServiceDiscovery.ServiceDiscoveryGrpc",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    ]


def test__drain__finishes_what_is_in_flight_and_takes_nothing_new(start: Start) -> None:
    running = start()
    running.serve()
    running.book.go_on.clear()
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(running.discover, service_name="Worker")
        assert running.book.entered.wait(DEADLINE_S)
        drained = pool.submit(running.drain, DEADLINE_S)
        running.book.go_on.set()
        drained.result(DEADLINE_S)
        assert answer.result(DEADLINE_S) == list(LOCATIONS)
    with pytest.raises(grpc.RpcError) as refusal:
        running.discover(service_name="Worker")
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE


def test__localhost__listens_on_loopback_only(start: Start) -> None:
    with reserved_port() as port:
        start(host_name="localhost", port=port)
        listening = {
            connection.laddr.ip.removeprefix("::ffff:")
            for connection in psutil.Process().net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
        }
    assert "127.0.0.1" in listening
    assert listening <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("host_name", ["localhost", "127.0.0.1"])
def test__taken_port__names_port_and_holder(host_name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(ConflictError, match=rf"port {port} on {host_name} is taken by pid {os.getpid()} "):
            Running(host_name=host_name, port=port)


def test__two_frontends_on_one_port__the_second_is_refused(start: Start) -> None:
    first = start()
    with pytest.raises(ConflictError, match=str(first.port)):
        Running(port=first.port)


def test__host_of_another_machine__is_refused() -> None:
    with pytest.raises(OperationError, match=r"192\.0\.2\.1"):
        Running(host_name="192.0.2.1")


def test__request_before_the_first_view__waits_for_it(start: Start) -> None:
    running = start()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(found, running.channel(), service_name="Worker")
        running.serve()
        assert answer.result(DEADLINE_S) == list(LOCATIONS)


def test__request_long_before_the_first_view__is_refused_or_answered_with_what_is_known(start: Start) -> None:
    running = start()
    with pytest.raises(grpc.RpcError) as refusal:
        found(running.channel(), service_name="Worker")
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
    assert running.book.asked == []
    running.book.is_informed = True
    assert found(running.channel(), service_name="Worker") == list(LOCATIONS)


@pytest.mark.parametrize(
    ("gives_up", "code"),
    [("by deadline", grpc.StatusCode.DEADLINE_EXCEEDED), ("by cancelling", grpc.StatusCode.CANCELLED)],
)
def test__client_that_gives_up__costs_nobody_anything(start: Start, gives_up: str, code: grpc.StatusCode) -> None:
    running = start()
    stub = service_discovery_pb2_grpc.ServiceDiscoveryGrpcStub(running.channel())
    message = service_discovery_pb2.DiscoverServicesRequest(service_name="Worker")
    # It is held back, as there is no view yet.
    call = stub.DiscoverTopServices.future(message, timeout=0.05 if gives_up == "by deadline" else DEADLINE_S)
    if gives_up == "by cancelling":
        assert call.cancel()
    wait_until(call.done, DEADLINE_S, "the call's end")
    assert call.code() is code
    assert running.discover(service_name="Worker") == list(LOCATIONS)
    assert running.frontend.state is FrontendState.SERVING


def test__tls__serves_who_trusts_the_certificate_and_nobody_in_plain_text(start: Start, authority: Authority) -> None:
    certificate, key = authority.issue("localhost")
    running = start(certificate=certificate, private_key_file=key)
    running.serve()
    credentials = grpc.ssl_channel_credentials(root_certificates=authority.root_pem)
    assert found(running.channel(credentials), service_name="Worker") == list(LOCATIONS)
    with pytest.raises(grpc.RpcError) as refusal:
        found(running.channel(), service_name="Worker")
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE


def test__mutual_tls__needs_a_certificate_of_the_client(
    start: Start, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", authority.root_file)
    certificate, key = authority.issue("localhost")
    running = start(certificate=certificate, private_key_file=key, enforce_mutual_tls=True)
    running.serve()
    nameless = grpc.ssl_channel_credentials(root_certificates=authority.root_pem)
    with pytest.raises(grpc.RpcError) as refusal:
        found(running.channel(nameless), service_name="Worker")
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
    client_certificate, client_key = authority.issue("client")
    named = grpc.ssl_channel_credentials(
        root_certificates=authority.root_pem,
        private_key=Path(client_key).read_bytes(),
        certificate_chain=Path(client_certificate).read_bytes(),
    )
    assert found(running.channel(named), service_name="Worker") == list(LOCATIONS)


def test__unusable_certificate__is_an_error_and_never_plain_text(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue("localhost")
    _, other_key = authority.issue("localhost")
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("no certificate\n")
    missing = str(tmp_path / "missing.pem")
    for wrong, complaint in (
        ({"certificate": missing, "private_key_file": key}, "No such file"),
        ({"certificate": certificate, "private_key_file": missing}, "No such file"),
        ({"certificate": certificate, "private_key_file": other_key}, "KEY_VALUES_MISMATCH"),
        ({"certificate": str(rubbish), "private_key_file": key}, "is unusable"),
        ({"certificate": certificate}, "without privateKeyFile"),
        ({"private_key_file": key}, "without certificate"),
        ({"enforce_mutual_tls": True}, "enforceMutualTls"),
    ):
        with pytest.raises(ConfigError, match=complaint):
            Running(**wrong)
