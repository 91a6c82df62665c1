"""What clients are answered: who is offered, in which order, and why others are not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from support.grpc_servers import (
    SERVING,
    SampleWorker,
    TinyServer,
    load_response,
    registration,
    reserved_port,
)
from support.running_balancer import DEADLINE_S, RunningBalancer
from support.waiting import wait_until

from quaestor_actors.core.live_view import LocationOffered
from quaestor_actors.core.location import Registration

Start = Callable[..., RunningBalancer]
StartWorker = Callable[..., SampleWorker]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def run(**spec: Any) -> RunningBalancer:
            running = RunningBalancer(**spec)
            stack.callback(running.close)
            return running

        yield run


@pytest.fixture
def start_worker() -> Iterator[StartWorker]:
    with ExitStack() as stack:

        def run(**arguments: Any) -> SampleWorker:
            worker = SampleWorker(stack.enter_context(reserved_port()), **arguments)
            stack.callback(worker.kill)
            return worker

        yield run


@pytest.fixture
def workers(start_worker: StartWorker) -> list[SampleWorker]:
    """Four sample workers, as in the sample cluster."""
    return [start_worker() for _ in range(4)]


def registrations_of(workers: list[SampleWorker]) -> list[Registration]:
    return [registration(worker.port) for worker in workers]


def test__four_workers__all_are_found_and_the_best_alternate(start: Start, workers: list[SampleWorker]) -> None:
    running = start()
    registered = registrations_of(workers)
    running.register(*registered)
    running.expect_offered(*registered)
    ports = {worker.port for worker in workers}
    assert set(running.all()) == ports
    assert {running.top(max_count=1)[0] for _ in range(4)} == ports
    assert {notice.registration for notice in running.heard.items if isinstance(notice, LocationOffered)} == set(
        registered
    )


def test__max_count__limits_both_answers(start: Start, workers: list[SampleWorker]) -> None:
    running = start()
    registered = registrations_of(workers)
    running.register(*registered)
    running.expect_offered(*registered)
    for ask in (running.all, running.top):
        assert [len(set(ask(max_count=count))) for count in (0, 1, 3, 9)] == [4, 1, 3, 4]
        with pytest.raises(grpc.RpcError) as refusal:
            ask(max_count=-1)
        assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test__discover_services__order_is_random(start: Start, workers: list[SampleWorker]) -> None:
    running = start()
    registered = registrations_of(workers)
    running.register(*registered)
    running.expect_offered(*registered)
    # That 60 draws out of 24 orders are all the same one happens once in 24**59 runs.
    assert len({tuple(running.all()) for _ in range(60)}) > 1


def test__busy_worker__ranks_behind_the_idle_one(start: Start, start_worker: StartWorker) -> None:
    running = start()
    busy, idle = start_worker(current_requests=1), start_worker()
    registered = registrations_of([busy, idle])
    running.register(*registered)
    running.expect_offered(*registered)
    assert running.top() == [idle.port, busy.port]
    status = running.status_of(registered[0])
    assert status is not None
    assert status.report is not None
    assert status.report.current_requests == 1


def test__load_changes__changes_the_ranking(start: Start) -> None:
    running = start(recently_used_timeout_s=0.0)
    load = {"first": 5, "second": 0}
    with (
        TinyServer(report_load=lambda: load_response(capacity=10, current=load["first"])) as first,
        TinyServer(report_load=lambda: load_response(capacity=10, current=load["second"])) as second,
    ):
        registered = [registration(first.port), registration(second.port)]
        running.register(*registered)
        running.expect_offered(*registered)
        assert running.top() == [second.port, first.port]
        load.update(first=0, second=5)
        wait_until(lambda: running.top() == [first.port, second.port], DEADLINE_S, "the new order")


def test__location_that_does_not_answer__is_asked_once_while_others_are_asked_on(start: Start) -> None:
    running = start(response_timeout_s=DEADLINE_S)
    release = threading.Event()
    asked = {"slow": 0, "quick": 0}

    def slow() -> Any:
        asked["slow"] += 1
        release.wait(DEADLINE_S)
        return load_response()

    def quick() -> Any:
        asked["quick"] += 1
        return load_response()

    with TinyServer(report_load=slow) as one, TinyServer(report_load=quick) as two:
        running.register(registration(one.port), registration(two.port))
        running.expect_offered(registration(two.port))
        wait_until(lambda: running.top() and asked["quick"] > 5, DEADLINE_S, "questions under demand")
        assert asked["slow"] == 1
        release.set()
        running.expect_offered(registration(one.port))


def test__scope_and_service__match_exactly(start: Start) -> None:
    running = start()
    with TinyServer(report_load=load_response) as one, TinyServer(report_load=load_response) as two:
        registered = [registration(one.port), registration(two.port, scope="test")]
        running.register(*registered)
        running.expect_offered(*registered)
        assert running.all() == running.top() == [one.port]
        assert running.all(scope="test") == running.top(scope="test") == [two.port]
        assert running.all(scope="other") == running.all("Work") == running.top("Worker2") == []


def test__location_without_usable_load__is_withheld_with_the_reason(start: Start) -> None:
    running = start(response_timeout_s=0.5)
    release = threading.Event()

    def late() -> Any:
        release.wait(DEADLINE_S)
        return load_response()

    def broken() -> Any:
        raise ZeroDivisionError

    reasons = {}
    with (
        TinyServer() as silent,
        TinyServer(report_load=late) as slow,
        TinyServer(report_load=lambda: load_response(capacity=0)) as full,
        TinyServer(report_load=broken) as faulty,
    ):
        servers = {"silent": silent, "slow": slow, "full": full, "faulty": faulty}
        running.register(*(registration(server.port) for server in servers.values()))
        for name, server in servers.items():
            reasons[name] = running.expect_withheld(registration(server.port))
        assert running.all() == running.top() == []
        release.set()
    assert reasons["silent"] == "the server does not implement Quaestor.LoadReporting.LoadReportingGrpc"
    assert reasons["slow"] == "no load report within 0.5 s"
    assert reasons["full"] == "its request capacity is 0"
    assert reasons["faulty"].startswith("ReportLoad failed: UNKNOWN")


def test__service_that_is_not_monitored__is_withheld_with_the_reason(start: Start) -> None:
    running = start()
    with TinyServer(report_load=load_response) as server:
        server.set("Other", SERVING)
        other = registration(server.port, service="Other")
        running.register(other)
        reason = running.expect_withheld(other)
    assert reason == 'the server does not report the load of service "Other"'
