"""Real gRPC servers for tests: the sample worker as a process, small servers with chosen faults in ours."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from quaestor_actors.core.location import Location, Registration
from quaestor_actors.rpc import load_reporting_pb2, load_reporting_pb2_grpc

SAMPLE_WORKER = Path(__file__).parents[2] / "examples" / "hello_world" / "worker.py"

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@contextmanager
def reserved_port() -> Iterator[int]:
    """Yield a port that nobody else gets while a server of ours can still listen on it.

    The reservation is bound and does not listen; gRPC servers set SO_REUSEADDR, too, so they can bind beside
    it.
    """
    with socket.socket() as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("127.0.0.1", 0))
        yield int(reservation.getsockname()[1])


class SampleWorker:
    """The sample worker as a real process on a reserved port; may be killed and started again."""

    def __init__(self, port: int, *, current_requests: int = 0) -> None:
        self.port = port
        self._arguments = ["Worker", str(port)]
        if current_requests:
            healthy_for_s = 3600
            self._arguments += [str(healthy_for_s), str(current_requests)]
        self.process = self._start()

    def restart(self) -> None:
        """Start a new process in place of one that has ended."""
        self.process.wait(10)
        self.process = self._start()

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self.process.send_signal(number)

    def turn_over(self) -> None:
        """Turn the worker's health over, and return when it says that it is done."""
        self.send(signal.SIGUSR1)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "healthy" in line:
                return
        raise AssertionError(f"the worker on port {self.port} ended")

    def kill(self) -> None:
        """End the process the hard way, stopped or not."""
        self.process.kill()
        self.process.communicate(timeout=10)

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, str(SAMPLE_WORKER), *self._arguments]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)


class TinyServer:
    """A gRPC server in this process: health with or without `Watch`, a load report of the test's choice."""

    def __init__(
        self,
        port: int = 0,
        *,
        has_health: bool = True,
        has_watch: bool = True,
        report_load: Callable[[], load_reporting_pb2.LoadReportResponse] | None = None,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        # Its non-blocking form deadlocks the whole server when a status changes while a watcher leaves: `set`
        # waits, under the servicer's lock, for the serving thread, which waits for that lock to forget the
        # watcher.
        self.health = health.HealthServicer(experimental_non_blocking=False)
        self.set("Worker", SERVING)
        # In the blocking form each `Watch` holds a thread.
        self._server = grpc.server(ThreadPoolExecutor(max_workers=16))
        if has_health:
            servicer = self.health if has_watch else _CheckOnly(self.health)
            health_pb2_grpc.add_HealthServicer_to_server(servicer, self._server)
        if report_load is not None:
            load_reporting_pb2_grpc.add_LoadReportingGrpcServicer_to_server(_Load(report_load), self._server)
        address = f"127.0.0.1:{port}"
        if credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, credentials)
        self._server.start()

    def set(self, service_name: str, status: int) -> None:
        """Change the health status of a service."""
        self.health.set(service_name, status)

    def stop(self) -> None:
        """Stop at once, breaking all connections."""
        self._server.stop(None).wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def load_response(
    *, capacity: int = 1, current: int = 0, rate: float = -1.0, ticks: int = 0
) -> load_reporting_pb2.LoadReportResponse:
    """Return a load report as a worker sends it."""
    return load_reporting_pb2.LoadReportResponse(
        timestamp_ticks=ticks,
        known_load_rate=rate,
        server_stats=load_reporting_pb2.ServerStats(
            request_capacity=capacity, current_requests=current, server_memory_usage_percent=-1.0
        ),
    )


def registration(
    port: int, *, incarnation: int = 1, service: str = "Worker", scope: str = "", use_tls: bool = False
) -> Registration:
    """Return the registration of a service on this machine."""
    location = Location(scope=scope, service_name=service, host_name="localhost", port=port, use_tls=use_tls)
    return Registration(location=location, incarnation=incarnation)


class Heard:
    """Collects what a background thread calls back with, crashes included."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: list[Any] = []
        self.crashes: list[BaseException] = []

    def __call__(self, item: Any) -> None:
        with self._lock:
            self._items.append(item)

    @property
    def items(self) -> list[Any]:
        """Everything so far, in order."""
        with self._lock:
            return list(self._items)

    def clear(self) -> None:
        """Forget what was heard so far."""
        with self._lock:
            self._items.clear()


class _CheckOnly(health_pb2_grpc.HealthServicer):  # type: ignore[misc] # grpc_health has no types
    def __init__(self, servicer: health.HealthServicer) -> None:
        self._servicer = servicer

    def Check(self, request: Any, context: Any) -> Any:
        return self._servicer.Check(request, context)


class _Load(load_reporting_pb2_grpc.LoadReportingGrpcServicer):
    def __init__(self, report_load: Callable[[], load_reporting_pb2.LoadReportResponse]) -> None:
        self._report_load = report_load

    def ReportLoad(
        self, request: load_reporting_pb2.LoadReportRequest, context: grpc.ServicerContext
    ) -> load_reporting_pb2.LoadReportResponse:
        if request.service_name != "Worker":
            context.abort(grpc.StatusCode.OUT_OF_RANGE, "not monitored")
        return self._report_load()
