"""SIGTERM: what is being worked on is finished, what comes new is refused."""

from __future__ import annotations

import queue
import signal
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.waiting import wait_until
from support.workers import SampleWorker

from quaestor_actors.rpc import load_reporting_pb2, load_reporting_pb2_grpc
from quaestor_actors.worker.server import FLUSH_S

COLLECT = "/Test/Collect"
NOT_SERVING = health_pb2.HealthCheckResponse.ServingStatus.NOT_SERVING


class Request:
    """A call that runs until `finish`."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._words: queue.Queue[bytes | None] = queue.Queue()
        self._words.put(b"begun")
        collect: grpc.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(COLLECT)
        self.answer = collect.future(iter(self._words.get, None), timeout=30)

    def finish(self) -> None:
        self._words.put(b"finished")
        self._words.put(None)


RunWorker = Callable[..., AbstractContextManager[SampleWorker]]


def running_requests(worker: SampleWorker) -> int:
    stub = load_reporting_pb2_grpc.LoadReportingGrpcStub(worker.channel)
    asked = load_reporting_pb2.LoadReportRequest(service_name="Worker")
    return int(stub.ReportLoad(asked, timeout=5).server_stats.current_requests)


def terminate_while_watched(worker: SampleWorker) -> None:
    """Send SIGTERM and return when a watcher was told."""
    asked = health_pb2.HealthCheckRequest(service="Worker")
    states = health_pb2_grpc.HealthStub(worker.channel).Watch(asked, timeout=30)
    assert next(states).status != NOT_SERVING
    worker.process.send_signal(signal.SIGTERM)
    assert next(states).status == NOT_SERVING


def codes_of_every_kind(channel: grpc.Channel) -> set[grpc.StatusCode]:
    """Return how calls end that have one request or many, and one answer or many."""
    codes = set()
    for takes_one, make in [
        (True, channel.unary_unary),
        (True, channel.unary_stream),
        (False, channel.stream_unary),
        (False, channel.stream_stream),
    ]:
        call: Any = make(COLLECT)
        with pytest.raises(grpc.RpcError) as caught:
            list(call(b"" if takes_one else iter([b""]), timeout=10))
        codes.add(caught.value.code())
    return codes


def test__sigterm__a_running_request_is_finished_and_a_new_one_refused(collecting_worker: RunWorker) -> None:
    with collecting_worker(grace_s=30) as worker:
        request = Request(worker.channel)
        wait_until(lambda: running_requests(worker) == 1, what="the request to run")
        terminate_while_watched(worker)

        def refusal() -> grpc.StatusCode | None:
            with grpc.insecure_channel(f"localhost:{worker.port}") as channel:
                late = Request(channel)
                late.finish()
                error = late.answer.exception(timeout=10)
            return error.code() if isinstance(error, grpc.RpcError) else None

        # Between NOT_SERVING and the closed door a request may still come in, and is then worked on.
        assert wait_until(refusal, what="a new request to be refused") is grpc.StatusCode.UNAVAILABLE
        assert codes_of_every_kind(worker.channel) == {grpc.StatusCode.UNAVAILABLE}
        assert worker.process.poll() is None
        request.finish()
        assert request.answer.result(timeout=10) == b"begun finished"
        assert worker.process.wait(10) == 0


def test__sigterm__a_request_that_outlasts_the_grace_period_is_cut_off(collecting_worker: RunWorker) -> None:
    with collecting_worker(grace_s=0.2) as worker:
        request = Request(worker.channel)
        wait_until(lambda: running_requests(worker) == 1, what="the request to run")
        terminate_while_watched(worker)
        with pytest.raises(grpc.RpcError):
            request.answer.result(timeout=10)
        assert worker.process.wait(10) == 0
        request.finish()


def test__sigterm__an_answer_on_its_way_arrives(collecting_worker: RunWorker) -> None:
    unlimited = [("grpc.max_receive_message_length", -1)]
    with (
        collecting_worker(grace_s=30) as worker,
        grpc.insecure_channel(f"localhost:{worker.port}", options=unlimited) as channel,
    ):
        # A client that takes it for a stream reads the rest when it asks for it.
        fill: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream("/Test/Fill")
        answer = fill(b"", timeout=30)
        assert answer.initial_metadata() is not None
        terminate_while_watched(worker)
        with pytest.raises(subprocess.TimeoutExpired):
            worker.process.wait(2 * FLUSH_S)
        assert len(next(answer)) == 32_000_000
        assert worker.process.wait(10) == 0
