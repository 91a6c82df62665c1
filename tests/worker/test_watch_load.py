"""Loads are pushed to whoever watches, by servers of both kinds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
import pytest
from support.waiting import wait_until

from quaestor_actors.rpc import load_reporting_pb2, load_reporting_pb2_grpc
from quaestor_actors.worker import LoadReporter, MachineUsage, ServiceLoad, aio
from quaestor_actors.worker.reporter import COALESCE_S, MAX_WATCHERS

Report = load_reporting_pb2.LoadReportResponse
NEVER_S = 3600.0


@dataclass
class Reporting:
    """Runs a server that reports on a load, and asks it."""

    kind: str
    channels: Callable[..., AbstractContextManager[grpc.Channel]]

    def run(self, load: ServiceLoad, *, keep_alive_s: float = NEVER_S) -> AbstractContextManager[grpc.Channel]:
        reporter = aio.LoadReporter if self.kind == "aio" else LoadReporter
        servicer: Any = reporter({"Worker": load}, keep_alive_s=keep_alive_s)
        return self.channels(partial(load_reporting_pb2_grpc.add_LoadReportingGrpcServicer_to_server, servicer))


@pytest.fixture(params=["sync", "aio"])
def reporting(request: pytest.FixtureRequest) -> Reporting:
    return Reporting(request.param, request.getfixturevalue(f"{request.param}_channel"))


def watch(channel: grpc.Channel, service: str = "Worker", scope: str = "") -> Any:
    stub = load_reporting_pb2_grpc.LoadReportingGrpcStub(channel)
    return stub.WatchLoad(load_reporting_pb2.LoadReportRequest(service_name=service, scope=scope), timeout=60)


def ask(channel: grpc.Channel) -> Report:
    stub = load_reporting_pb2_grpc.LoadReportingGrpcStub(channel)
    answer: Report = stub.ReportLoad(load_reporting_pb2.LoadReportRequest(service_name="Worker"), timeout=10)
    return answer


def current(reports: Iterator[Report]) -> int:
    return next(reports).server_stats.current_requests


def test__watch__begins_with_the_present_load(reporting: Reporting) -> None:
    load = ServiceLoad(request_capacity=3, current_requests=2)
    with reporting.run(load) as channel:
        assert next(watch(channel)) == ask(channel) == load.report()


def test__change__is_told_to_every_watcher(reporting: Reporting) -> None:
    load = ServiceLoad()
    with reporting.run(load) as channel:
        watchers = [watch(channel), watch(channel)]
        assert [current(watcher) for watcher in watchers] == [0, 0]
        with load.request():
            assert [current(watcher) for watcher in watchers] == [1, 1]
        assert [current(watcher) for watcher in watchers] == [0, 0]
        load.known_load_rate = 0.25
        assert [next(watcher).known_load_rate for watcher in watchers] == [0.25, 0.25]
        load.request_capacity = 0
        assert [next(watcher).server_stats.request_capacity for watcher in watchers] == [0, 0]


def test__many_changes__are_told_together_and_the_last_one_for_sure(reporting: Reporting) -> None:
    load = ServiceLoad()
    with reporting.run(load) as channel:
        reports = watch(channel)
        assert current(reports) == 0
        began = time.monotonic()
        for _ in range(2000):
            load.start_request()
        told = [current(reports)]
        while told[-1] != 2000:
            told.append(current(reports))
        most = (time.monotonic() - began) / COALESCE_S + 2
    assert told == sorted(set(told))
    assert len(told) <= most


def test__no_change__the_last_report_is_repeated(reporting: Reporting) -> None:
    with reporting.run(ServiceLoad(current_requests=1), keep_alive_s=0.02) as channel:
        reports = watch(channel)
        first = next(reports)
        assert [next(reports), next(reports)] == [first, first]


def test__measured_machine__is_told_although_nothing_happens(reporting: Reporting) -> None:
    usage = MachineUsage(utilization=0.1, memory_percent=50)
    load = ServiceLoad(machine=lambda: usage)
    with reporting.run(load) as channel:
        reports = watch(channel)
        assert next(reports).server_stats.server_utilization == 0.1
        usage = MachineUsage(utilization=0.9, memory_percent=50)
        assert next(reports).server_stats.server_utilization == 0.9


@pytest.mark.parametrize(("service", "scope"), [("Other", ""), ("Worker", "elsewhere"), ("W" * 1_000_000, "")])
def test__watch__of_what_is_not_offered__is_out_of_range(reporting: Reporting, service: str, scope: str) -> None:
    with reporting.run(ServiceLoad()) as channel, pytest.raises(grpc.RpcError) as caught:
        next(watch(channel, service, scope))
    assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE


def test__watcher_that_leaves__is_forgotten(reporting: Reporting) -> None:
    load = ServiceLoad()
    with reporting.run(load) as channel:
        reports = watch(channel)
        next(reports)
        assert len(load._listeners) == 1
        reports.cancel()
        wait_until(lambda: not load._listeners, what="the watcher to be forgotten")


def test__watchers__are_bounded_and_hold_no_request_thread(reporting: Reporting) -> None:
    # The synchronous server has one thread for requests.
    load = ServiceLoad()
    with reporting.run(load) as channel:
        watchers = [watch(channel) for _ in range(MAX_WATCHERS)]
        assert {current(watcher) for watcher in watchers} == {0}
        for _ in range(3):
            with pytest.raises(grpc.RpcError) as caught:
                next(watch(channel))
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        load.start_request()
        assert ask(channel).server_stats.current_requests == 1
        assert {current(watcher) for watcher in watchers} == {1}
        watchers.pop().cancel()

        def is_accepted() -> bool:
            try:
                watchers.append(watch(channel))
                return current(watchers[-1]) == 1
            except grpc.RpcError:
                return False

        wait_until(is_accepted, what="a place for another watcher")
