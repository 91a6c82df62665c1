"""The sample worker and the SDK below it, as real clients see them."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from support.cluster import WORKER
from support.ports import free_port
from support.workers import SampleWorker, run_worker

from quaestor_actors.rpc import load_reporting_pb2, load_reporting_pb2_grpc
from quaestor_actors.worker.server import MAX_HEALTH_WATCHERS, REQUEST_THREADS

Status = health_pb2.HealthCheckResponse.ServingStatus


@pytest.fixture
def worker() -> Iterator[SampleWorker]:
    """Yield a healthy worker."""
    with run_worker() as running:
        yield running


def check(worker: SampleWorker, service: str) -> int:
    stub = health_pb2_grpc.HealthStub(worker.channel)
    return int(stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5).status)


def watch(worker: SampleWorker, service: str = "Worker") -> Iterator[int]:
    stub = health_pb2_grpc.HealthStub(worker.channel)
    for answer in stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=30):
        yield answer.status


def report(worker: SampleWorker, service: str = "Worker", scope: str = "") -> load_reporting_pb2.LoadReportResponse:
    stub = load_reporting_pb2_grpc.LoadReportingGrpcStub(worker.channel)
    answer: load_reporting_pb2.LoadReportResponse = stub.ReportLoad(
        load_reporting_pb2.LoadReportRequest(service_name=service, scope=scope), timeout=5
    )
    return answer


@pytest.mark.parametrize("service", ["", "Worker"])
def test__check__of_an_offered_service__is_serving(worker: SampleWorker, service: str) -> None:
    assert check(worker, service) == Status.SERVING


def test__check__of_an_unknown_service__is_not_found(worker: SampleWorker) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        check(worker, "Other")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test__watch__tells_every_change(worker: SampleWorker) -> None:
    changes = watch(worker)
    assert next(changes) == Status.SERVING
    worker.process.send_signal(signal.SIGUSR1)
    assert next(changes) == Status.NOT_SERVING
    worker.process.send_signal(signal.SIGUSR1)
    assert next(changes) == Status.SERVING


def test__watch__of_the_whole_server__tells_of_its_services(worker: SampleWorker) -> None:
    changes = watch(worker, "")
    assert next(changes) == Status.SERVING
    worker.process.send_signal(signal.SIGUSR1)
    assert next(changes) == Status.NOT_SERVING
    assert check(worker, "") == Status.NOT_SERVING


def test__watch__of_an_unknown_service__says_so(worker: SampleWorker) -> None:
    assert next(watch(worker, "Other")) == Status.SERVICE_UNKNOWN


def test__many_watchers__do_not_keep_requests_waiting(worker: SampleWorker) -> None:
    watchers = [watch(worker) for _ in range(MAX_HEALTH_WATCHERS)]
    assert {next(watcher) for watcher in watchers} == {Status.SERVING}
    assert report(worker).server_stats.request_capacity == 1
    worker.process.send_signal(signal.SIGUSR1)
    assert {next(watcher) for watcher in watchers} == {Status.NOT_SERVING}


def test__all_request_threads_at_work__health_and_load_are_told(worker: SampleWorker) -> None:
    # A stream of questions to reflection holds a thread until it ends.
    ended = threading.Event()

    def questions() -> Iterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        ended.wait(30)

    stub = reflection_pb2_grpc.ServerReflectionStub(worker.channel)
    streams = [stub.ServerReflectionInfo(questions(), timeout=30) for _ in range(REQUEST_THREADS)]
    try:
        assert all(next(stream) for stream in streams)
        assert check(worker, "Worker") == Status.SERVING
        assert report(worker).server_stats.request_capacity == 1
    finally:
        ended.set()


def test__sigterm__says_not_serving_and_ends_in_order_although_somebody_watches(worker: SampleWorker) -> None:
    changes = watch(worker)
    assert next(changes) == Status.SERVING
    worker.process.send_signal(signal.SIGTERM)
    assert next(changes) == Status.NOT_SERVING
    assert worker.process.wait(10) == 0


def test__report_load__has_the_sample_s_numbers() -> None:
    with run_worker("0", "3") as busy:
        answer = report(busy)
    assert answer.server_stats.request_capacity == 1
    assert answer.server_stats.current_requests == 3
    assert answer.known_load_rate == -1
    assert answer.timestamp_ticks == 0


def test__report_load__of_another_service__is_out_of_range(worker: SampleWorker) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        report(worker, "Other")
    assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE


def test__report_load__of_another_scope__is_out_of_range(worker: SampleWorker) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        report(worker, scope="elsewhere")
    assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE
    assert caught.value.details() == "the service 'Worker' is not offered for monitoring in the scope 'elsewhere'"


def test__report_load__of_a_name_without_end__is_out_of_range(worker: SampleWorker) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        report(worker, "W" * 1_000_000)
    assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE


def test__reflection__lists_the_services(worker: SampleWorker) -> None:
    services = set(ProtoReflectionDescriptorDatabase(worker.channel).get_services())
    assert {"grpc.health.v1.Health", "Quaestor.LoadReporting.LoadReportingGrpc"} <= services


def test__seconds_until_unhealthy__turns_not_serving() -> None:
    with run_worker("0.3") as worker:
        assert list(zip(range(2), watch(worker), strict=False))[-1][1] == Status.NOT_SERVING


def test__seconds_until_unhealthy__with_the_variable__ends_with_42() -> None:
    with run_worker("0.1", QUAESTOR_WORKER_EXIT_WHEN_UNHEALTHY="true") as worker:
        assert worker.process.wait(10) == 42


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["Worker"],
        ["Worker", "x"],
        ["Worker", "0"],
        ["Worker", "1", "nan"],
        ["Worker", "1", "inf"],
        ["Worker", "1", "0", "2147483648"],
        ["Worker", "1", "2", "3", "4"],
    ],
)
def test__bad_arguments__one_line_of_usage_and_exit_2(arguments: list[str]) -> None:
    answer = subprocess.run(
        [sys.executable, WORKER, *arguments], capture_output=True, text=True, timeout=20, check=False
    )
    assert answer.returncode == 2
    assert answer.stderr.startswith("usage: worker.py WORKER PORT")
    assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test__taken_port__of_either_loopback_address__one_line_and_exit_2(address: str) -> None:
    port = free_port()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    command = [sys.executable, str(WORKER), "Worker", str(port)]
    with socket.create_server((address, port), family=family):
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert answer.returncode == 2
    assert answer.stderr == f"worker.py: cannot listen on localhost:{port}: the port is taken\n"


def test__port_of_another_worker__one_line_and_exit_2(worker: SampleWorker) -> None:
    command = [sys.executable, str(WORKER), "Worker", str(worker.port)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert answer.returncode == 2
    assert answer.stderr == f"worker.py: cannot listen on localhost:{worker.port}: the port is taken\n"
