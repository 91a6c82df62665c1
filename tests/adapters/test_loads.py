"""Loads over real gRPC: watched where the server can be, asked for where it cannot, and both if need be."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import grpc
import pytest
from grpc_health.v1 import health, health_pb2_grpc
from support.certificates import Authority
from support.grpc_servers import SERVING, Heard, load_response, registration
from support.running_balancer import RunningBalancer
from support.waiting import wait_until

from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.loads import LoadWatch
from quaestor_actors.adapters.tls import server_certificate
from quaestor_actors.core.load import LoadReport
from quaestor_actors.core.location import ClientTls, Registration
from quaestor_actors.core.spec import BalancerSpec
from quaestor_actors.rpc import load_reporting_pb2, load_reporting_pb2_grpc
from quaestor_actors.worker import ServiceLoad
from quaestor_actors.worker.reporter import LoadReporter

DEADLINE_S = 10.0

Word = load_reporting_pb2.LoadReportResponse | grpc.StatusCode | None
"""What a watcher is told: a load, an error, or the end of the stream."""


@dataclass
class TalkingServer(load_reporting_pb2_grpc.LoadReportingGrpcServicer):
    """Tells its watchers what the test wants, and answers questions unless it is held back."""

    words: queue.Queue[Word] = field(default_factory=queue.Queue)
    current: int = 0
    refusal: grpc.StatusCode | None = None
    asked: int = 0
    watched: int = 0
    left: threading.Event = field(default_factory=threading.Event)
    may_answer: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.may_answer.set()
        self._server = grpc.server(ThreadPoolExecutor(max_workers=16))
        load_reporting_pb2_grpc.add_LoadReportingGrpcServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def tell(self, *words: Word) -> None:
        for word in words:
            self.words.put(word)

    def ReportLoad(
        self, request: load_reporting_pb2.LoadReportRequest, context: grpc.ServicerContext
    ) -> load_reporting_pb2.LoadReportResponse:
        assert request.service_name == "Worker"
        self.asked += 1
        if self.refusal is not None:
            context.abort(self.refusal, "no")
        self.may_answer.wait(DEADLINE_S)
        return load_response(current=self.current)

    def WatchLoad(
        self, request: load_reporting_pb2.LoadReportRequest, context: grpc.ServicerContext
    ) -> Iterator[load_reporting_pb2.LoadReportResponse]:
        assert request.service_name == "Worker"
        self.watched += 1

        context.add_callback(self.left.set)
        while context.is_active():
            try:
                word = self.words.get(timeout=0.02)
            except queue.Empty:
                continue
            if word is None:
                return
            if isinstance(word, grpc.StatusCode):
                context.abort(word, "told so")
            yield word

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.may_answer.set()
        self._server.stop(None).wait()


class Watching:
    """A `LoadWatch` on a loop of its own, and everything that it told."""

    def __init__(self, *, response_timeout_s: float = DEADLINE_S) -> None:
        self.heard = Heard()
        self._loop = LoopThread(name="loads", on_crash=self.heard.crashes.append)
        self._loop.start()
        self._watch = LoadWatch(loop=self._loop, response_timeout_s=response_timeout_s, listener=self)
        self._channels = list[grpc.aio.Channel]()

    def load_asked(self, registration: Registration) -> None:
        self.heard(("asked", registration.location.port))

    def load_reported(self, registration: Registration, report: LoadReport) -> None:
        self.heard(("reported", registration.location.port, report.current_requests))

    def load_pushed(self, registration: Registration, report: LoadReport) -> None:
        self.heard(("pushed", registration.location.port, report.current_requests))

    def load_failed(self, registration: Registration, reason: str) -> None:
        self.heard(("failed", registration.location.port, reason))

    def start(self, one: Registration) -> None:
        async def start() -> None:
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{one.location.port}")
            self._channels.append(channel)
            self._watch.start(one, channel)

        self._loop.call(start()).result()

    def stop(self, one: Registration) -> None:
        self._loop.post(lambda: self._watch.stop(one))

    def demand(self) -> None:
        self._loop.post(self._watch.note_demand)

    def expect(self, *items: tuple[Any, ...]) -> None:
        def are_there() -> bool:
            return all(item in self.heard.items for item in items)

        wait_until(are_there, DEADLINE_S, f"{items}; heard {self.heard.items[:20]}")

    def close(self) -> None:
        async def close() -> None:
            self._watch.close()
            for channel in self._channels:
                await channel.close()

        self._loop.call(close()).result()
        self._loop.stop()
        assert self.heard.crashes == []


@pytest.fixture
def watching() -> Iterator[Watching]:
    with closing(Watching()) as watching:
        yield watching


@pytest.fixture
def server() -> Iterator[TalkingServer]:
    with TalkingServer() as server:
        yield server


def test__server_that_can_be_watched__tells_and_is_not_asked(watching: Watching, server: TalkingServer) -> None:
    watching.start(registration(server.port))
    server.tell(load_response(current=1))
    watching.expect(("pushed", server.port, 1))
    server.tell(load_response(current=1), load_response(current=2))
    watching.expect(("reported", server.port, 1), ("pushed", server.port, 2))
    assert server.asked == 0


@pytest.mark.parametrize("status", [grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test__server_that_cannot_be_watched__is_asked(
    watching: Watching, server: TalkingServer, status: grpc.StatusCode
) -> None:
    server.current = 3
    server.tell(status)
    watching.start(registration(server.port))
    watching.expect(("asked", server.port), ("reported", server.port, 3))
    watching.demand()
    wait_until(lambda: server.asked > 3, DEADLINE_S, "questions under demand")
    assert server.watched == 1


@pytest.mark.parametrize("end", [None, grpc.StatusCode.INTERNAL])
def test__watching_that_breaks__is_made_up_for_by_a_question_and_begun_again(
    watching: Watching, server: TalkingServer, end: Word
) -> None:
    watching.start(registration(server.port))
    server.tell(load_response(current=1))
    watching.expect(("pushed", server.port, 1))
    server.tell(end, load_response(current=4))
    watching.expect(("reported", server.port, 0), ("pushed", server.port, 4))
    assert (server.asked, server.watched) == (1, 2)


def test__service_that_is_not_monitored__has_failed_until_it_is(watching: Watching, server: TalkingServer) -> None:
    server.tell(grpc.StatusCode.OUT_OF_RANGE)
    watching.start(registration(server.port))
    watching.expect(("failed", server.port, 'the server does not report the load of service "Worker"'))
    server.tell(load_response(current=2))
    watching.expect(("pushed", server.port, 2))
    assert server.asked == 0


def test__watched_server_that_falls_silent_under_demand__has_failed_until_it_speaks_or_answers(
    server: TalkingServer,
) -> None:
    with closing(Watching(response_timeout_s=0.2)) as watching:
        watching.start(registration(server.port))
        server.tell(load_response(current=1))
        watching.expect(("pushed", server.port, 1))
        server.may_answer.clear()
        watching.demand()
        watching.expect(("failed", server.port, "no load report within 0.2 s"))
        server.current = 5
        server.may_answer.set()
        watching.expect(("reported", server.port, 5))
        server.tell(load_response(current=2))
        watching.expect(("pushed", server.port, 2))


def test__watched_server_that_refuses_questions__is_believed_what_it_tells(
    watching: Watching, server: TalkingServer
) -> None:
    server.refusal = grpc.StatusCode.RESOURCE_EXHAUSTED
    watching.start(registration(server.port))
    server.tell(load_response(current=1))
    watching.expect(("pushed", server.port, 1))
    watching.demand()
    wait_until(lambda: server.asked, DEADLINE_S, "a question")
    server.tell(load_response(current=2))
    watching.expect(("pushed", server.port, 2))
    assert not [item for item in watching.heard.items if item[0] == "failed"]


def test__stopped__both_calls_are_cancelled(watching: Watching, server: TalkingServer) -> None:
    one = registration(server.port)
    watching.start(one)
    server.tell(load_response())
    watching.expect(("pushed", server.port, 0))
    watching.stop(one)
    assert server.left.wait(DEADLINE_S)


def test__started_anew__the_old_calls_are_cancelled(watching: Watching, server: TalkingServer) -> None:
    one = registration(server.port)
    watching.start(one)
    wait_until(lambda: server.watched == 1, DEADLINE_S, "the first watching")
    watching.start(one)
    assert server.left.wait(DEADLINE_S)
    wait_until(lambda: server.watched == 2, DEADLINE_S, "the second watching")


def test__thousand_words_at_once__the_last_one_is_heard(watching: Watching, server: TalkingServer) -> None:
    server.tell(*(load_response(current=number) for number in range(1000)))
    watching.start(registration(server.port))
    watching.expect(("pushed", server.port, 999))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, is_strict=True)


@pytest.mark.parametrize("is_safe", [False, True], ids=["plain", "mutual TLS"])
def test__change_at_a_worker__changes_the_balancer_s_order(authority: Authority, *, is_safe: bool) -> None:
    loads = [ServiceLoad(request_capacity=4, current_requests=count) for count in (0, 2)]
    with ExitStack() as stack:
        ports = [stack.enter_context(WatchedWorker(load, authority if is_safe else None)).port for load in loads]
        running = stack.enter_context(closing(RunningBalancer(recently_used_timeout_s=0.0)))
        tls = ClientTls(
            ca_certificate_file=authority.root_file, client_certificate=authority.combine(authority.issue("client"))
        )
        registered = [replace(registration(port, use_tls=is_safe), tls=tls) for port in ports]
        running.register(*registered)
        running.expect_offered(*registered)
        wait_until(lambda: running.top() == ports, DEADLINE_S, "the first order")
        for _ in range(4):
            loads[0].start_request()
        wait_until(lambda: running.top() == ports[::-1], DEADLINE_S, "the other order")


class WatchedWorker:
    """A server in this process with the health and the load of a worker."""

    def __init__(self, load: ServiceLoad, authority: Authority | None) -> None:
        self._server = grpc.server(ThreadPoolExecutor(max_workers=8))
        servicer = health.HealthServicer(experimental_non_blocking=False)
        servicer.set("Worker", SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, self._server)
        load_reporting_pb2_grpc.add_LoadReportingGrpcServicer_to_server(LoadReporter({"Worker": load}), self._server)
        if authority is None:
            self.port = self._server.add_insecure_port("127.0.0.1:0")
            return
        certificate, key = authority.issue("localhost")
        spec = BalancerSpec(certificate=certificate, private_key_file=key, enforce_mutual_tls=True)
        presented = server_certificate(spec, ca_certificate_file=authority.root_file)
        assert presented is not None
        self.port = self._server.add_secure_port("127.0.0.1:0", presented.port_credentials())

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.stop(None).wait()
