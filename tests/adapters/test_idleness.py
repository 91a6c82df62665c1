"""Waiting for servers to become idle: real ones that work, end their work, hang, or cannot say."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest
from support.certificates import Authority
from support.grpc_servers import Heard, TinyServer, load_response, reserved_port
from support.waiting import wait_until
from support.workers import run_worker

from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.idleness import IdlenessWatch, IdleTarget
from quaestor_actors.rpc import load_reporting_pb2

Idle = tuple[str, str]


class Waiting:
    """An idleness watch on its own thread, driven from the test's."""

    def __init__(self, on_idle: Callable[[str, str], None] | None = None) -> None:
        self.heard = Heard()
        self.loop = LoopThread(name="test", on_crash=self.heard.crashes.append)
        self.loop.start()
        self.watch: IdlenessWatch[str] = IdlenessWatch(loop=self.loop, on_idle=on_idle or self._note)

    def add(self, port: int, *services: str, key: str = "one", **keys: Any) -> None:
        target = IdleTarget(address=f"localhost:{port}", service_names=services, **keys)
        self.loop.post(lambda: self.watch.add(key, target))

    def remove(self, key: str = "one") -> None:
        self.loop.post(lambda: self.watch.remove(key))

    def expect(self, key: str = "one") -> str:
        """Wait until the server is idle, and return the detail."""
        heard: list[Idle] = wait_until(
            lambda: [item for item in self.heard.items if item[0] == key], 10, f"{key} to be idle"
        )
        assert len(heard) == 1
        assert heard[0][1].isprintable()
        return heard[0][1]

    def close(self) -> None:
        self.loop.call(self.watch.close()).result(10)
        self.loop.stop()
        assert self.heard.crashes == []

    def _note(self, key: str, detail: str) -> None:
        self.heard((key, detail))


class Busy:
    """A load report that counts how often it was asked for."""

    def __init__(self, current: int) -> None:
        self.current = current
        self.asked = 0

    def __call__(self) -> load_reporting_pb2.LoadReportResponse:
        self.asked += 1
        return load_response(capacity=10, current=self.current)

    def expect_questions(self, number: int) -> None:
        """Wait until it was asked for this many more times."""
        before = self.asked
        wait_until(lambda: self.asked >= before + number, 10, f"{number} more questions")


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    with closing(Waiting()) as started:
        yield started


@pytest.fixture
def port() -> Iterator[int]:
    with reserved_port() as reserved:
        yield reserved


def test__no_request_running__is_idle_at_once_and_asked_no_more(waiting: Waiting) -> None:
    load = Busy(0)
    with TinyServer(report_load=load) as server:
        waiting.add(server.port, "Worker")
        assert waiting.expect() == "no request is running"
        assert load.asked == 1
        assert waiting.watch._tasks == {}


def test__requests_running__is_idle_when_the_last_has_ended(waiting: Waiting) -> None:
    load = Busy(2)
    with TinyServer(report_load=load) as server:
        waiting.add(server.port, "Worker")
        load.expect_questions(3)
        load.current = 1
        load.expect_questions(3)
        assert waiting.heard.items == []
        load.current = 0
        waiting.expect()


def test__asked_for_long__goes_on_more_slowly(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quaestor_actors.adapters.idleness.EAGER_S", 0.0)
    monkeypatch.setattr("quaestor_actors.adapters.idleness.EAGER_PAUSE_S", 3600.0)
    load = Busy(1)
    with TinyServer(report_load=load) as server:
        waiting.add(server.port, "Worker")
        load.expect_questions(2)
        load.current = 0
        waiting.expect()


def test__no_service_named__is_idle_without_a_connection(waiting: Waiting, port: int) -> None:
    waiting.add(port)
    assert waiting.expect() == "there is no service to ask"


def test__two_services_one_of_them_unknown__the_other_counts(waiting: Waiting) -> None:
    load = Busy(1)
    with TinyServer(report_load=load) as server:
        waiting.add(server.port, "Other", "Worker")
        load.expect_questions(3)
        assert waiting.heard.items == []
        load.current = 0
        assert waiting.expect() == 'service "Other" does not report its load: it is not offered for monitoring'


def test__server_without_load_reports__counts_as_idle(waiting: Waiting) -> None:
    with TinyServer() as server:
        waiting.add(server.port, "Worker")
        why = "the server does not implement Quaestor.LoadReporting.LoadReportingGrpc"
        assert waiting.expect() == f'service "Worker" does not report its load: {why}'


def test__nobody_listens__counts_as_idle(waiting: Waiting, port: int) -> None:
    waiting.add(port, "Worker")
    detail = waiting.expect()
    assert detail.startswith(f'service "Worker" does not report its load: no connection to localhost:{port}: ')
    assert detail.endswith("Connection refused")


def test__report_fails__counts_as_idle_with_that_reason(waiting: Waiting) -> None:
    def fail() -> load_reporting_pb2.LoadReportResponse:
        raise ZeroDivisionError

    with TinyServer(report_load=fail) as server:
        waiting.add(server.port, "Worker")
        assert waiting.expect().startswith('service "Worker" does not report its load: UNKNOWN: ')


def test__busy_process_hangs__counts_as_idle(waiting: Waiting) -> None:
    with run_worker("3600", "1") as worker:
        waiting.add(worker.port, "Worker")
        waiting.add(worker.port, "Nobody", key="other")
        waiting.expect("other")
        assert [key for key, _ in waiting.heard.items] == ["other"]
        worker.process.send_signal(signal.SIGSTOP)
        assert waiting.expect() == 'service "Worker" does not report its load: no answer within 1 s'


def test__scope__goes_with_the_question(waiting: Waiting) -> None:
    scopes: list[str] = []

    class Servicer(grpc.GenericRpcHandler):
        def service(self, _details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
            return grpc.unary_unary_rpc_method_handler(
                self.answer,
                request_deserializer=load_reporting_pb2.LoadReportRequest.FromString,
                response_serializer=load_reporting_pb2.LoadReportResponse.SerializeToString,
            )

        def answer(self, request: Any, _context: Any) -> load_reporting_pb2.LoadReportResponse:
            scopes.append(request.scope)
            return load_response()

    with TinyServer() as server:
        server._server.add_generic_rpc_handlers((Servicer(),))
        waiting.add(server.port, "Worker", scope="blue")
        waiting.expect()
    assert scopes == ["blue"]


def test__server_with_tls__is_asked_over_tls(waiting: Waiting, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    chain, key = (Path(file).read_bytes() for file in authority.issue("localhost"))
    load = Busy(0)
    with TinyServer(report_load=load, credentials=grpc.ssl_server_credentials([(key, chain)])) as server:
        waiting.add(server.port, "Worker", credentials=lambda: grpc.ssl_channel_credentials(authority.root_pem))
        assert waiting.expect() == "no request is running"


def test__removed__is_not_reported(waiting: Waiting) -> None:
    load = Busy(1)
    with TinyServer(report_load=load) as server:
        waiting.add(server.port, "Worker")
        waiting.add(server.port, "Worker", key="other")
        load.expect_questions(4)
        waiting.remove()
        waiting.remove("unknown")
        load.current = 0
        waiting.expect("other")
        assert [key for key, _ in waiting.heard.items] == ["other"]


def test__same_key_again__replaces_the_target(waiting: Waiting) -> None:
    busy, idle = Busy(1), Busy(0)
    with TinyServer(report_load=busy) as first, TinyServer(report_load=idle) as second:
        waiting.add(first.port, "Worker")
        busy.expect_questions(1)
        waiting.add(second.port, "Worker")
        waiting.expect()


def test__added_again_in_the_callback__is_asked_again() -> None:
    told: list[str] = []
    done = threading.Event()

    def on_idle(key: str, detail: str) -> None:
        told.append(detail)
        if len(told) == 1:
            again.watch.add(key, IdleTarget(address="localhost:1"))
        else:
            done.set()

    with closing(Waiting(on_idle)) as again:
        again.add(1)
        assert done.wait(10)


def test__closed_while_asking__forgets_and_can_be_used_again(waiting: Waiting) -> None:
    load = Busy(1)
    with TinyServer(report_load=load) as server:
        waiting.add(server.port, "Worker")
        load.expect_questions(1)
        waiting.loop.call(waiting.watch.close()).result(10)
        load.current = 0
        waiting.add(server.port, "Worker", key="other")
        waiting.expect("other")
        assert [key for key, _ in waiting.heard.items] == ["other"]


def test__error_in_the_callback__is_a_crash() -> None:
    def on_idle(_key: str, _detail: str) -> None:
        raise ZeroDivisionError

    failing = Waiting(on_idle)
    failing.add(1)
    wait_until(lambda: failing.heard.crashes, 10, "the crash")
    assert isinstance(failing.heard.crashes.pop(), ZeroDivisionError)
    failing.close()
