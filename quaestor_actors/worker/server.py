"""A gRPC server as a balanced service needs it: health, load, reflection, and an orderly end."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from quaestor_actors.rpc import load_reporting_pb2, load_reporting_pb2_grpc, process_admin_pb2, process_admin_pb2_grpc
from quaestor_actors.worker.cancellation import CancellableRequests, ProcessAdministration
from quaestor_actors.worker.door import Door
from quaestor_actors.worker.listen import listen
from quaestor_actors.worker.load import ServiceLoad
from quaestor_actors.worker.own_threads import run_on
from quaestor_actors.worker.reporter import MAX_WATCHERS, LoadReporter

REQUEST_THREADS = 16
"""Requests that run at the same time, unless told otherwise."""

CONTROL_THREADS = 2
"""They answer questions about health and load, which takes no time."""

MAX_HEALTH_WATCHERS = MAX_WATCHERS
"""More watchers than this wait until one leaves; a watcher is a balancer or a cluster's prober."""

FLUSH_S = 0.2
"""How long answers that were given to the kernel may take to reach their clients."""

WHOLE_SERVER = ""
"""The service name under which the health of the server as a whole is asked for."""


class WorkerServer:
    """A synchronous gRPC server whose services are watched and balanced.

    Ten lines make a balanced service:

        load = ServiceLoad(request_capacity=4)

        class Greeter(greeter_pb2_grpc.GreeterServicer):
            def SayHello(self, request, context):
                return greeter_pb2.HelloReply(message=f"Hello {request.name}")

        server = WorkerServer(port=5161, loads={"Greeter": load}, interceptors=[CountRequests(load)])
        greeter_pb2_grpc.add_GreeterServicer_to_server(Greeter(), server.grpc_server)
        server.start()
        server.wait()
    """

    def __init__(  # noqa: PLR0913 - all by name, two needed
        self,
        *,
        port: int,
        host_name: str = "localhost",
        loads: Mapping[str, ServiceLoad],
        scope: str = "",
        threads: int = REQUEST_THREADS,
        grace_s: float = 10.0,
        reflected: tuple[str, ...] = (),
        interceptors: Sequence[grpc.ServerInterceptor] = (),
        cancellable: CancellableRequests | None = None,
    ) -> None:
        """Prepare the server; add own services to `grpc_server`, then `start`.

        Args:
            port: Where to listen; 0 takes a free port.
            host_name: Which address to listen on; the default cannot be reached from other machines.
            loads: The load of each service, by the name under which it is registered and health-checked.
            scope: Partition of the registry in which the loads are reported.
            threads: How many requests run at the same time. Health and load are told on threads of their own, also
                when all of these are at work.
            grace_s: How long running requests may take to finish after SIGTERM. Then their calls are cancelled; code
                that does not heed that keeps the process until it returns, or until the cluster kills it.
            reflected: Full names of own services, for grpcurl and its like.
            interceptors: gRPC's, the first outermost; `CountRequests` is one.
            cancellable: Running requests that may be cancelled through `ProcessAdministration`; None: it is not
                served.
        """
        self.port = port
        self._host_name = host_name
        self._reporter = LoadReporter(dict(loads), scope=scope)
        self._names = (WHOLE_SERVER, *loads)
        self._grace_s = grace_s
        self._reflected = reflected
        self._cancellable = cancellable
        self._ended = threading.Event()
        # A thread that waits for a lock can miss a signal that comes just before; one that waits for a pipe cannot.
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # The servicer's non-blocking mode would need no threads for watchers, and locks itself up when a watcher
        # leaves while the status changes.
        self.health = health.HealthServicer(experimental_non_blocking=False)
        self._control = ThreadPoolExecutor(max_workers=CONTROL_THREADS, thread_name_prefix="control")
        self._door = Door(self._control)
        self.grpc_server = grpc.server(
            ThreadPoolExecutor(max_workers=threads, thread_name_prefix="request"),
            interceptors=[self._door, *interceptors],
            # Two processes on one port would each get half of the requests, and nobody would notice.
            options=(("grpc.so_reuseport", 0),),
        )

    def start(self) -> None:
        """Listen, say SERVING for every service, and drain at SIGTERM. Only from the main thread.

        Raises:
            ConflictError: the port is taken.
            OperationError: the host name is unknown or not of this machine, or the port needs more rights.
        """
        self._add_control()
        self.port = listen(self.grpc_server, host_name=self._host_name, port=self.port)
        self.set_serving(is_serving=True)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, lambda *_: self._drain())
        self.grpc_server.start()

    def _add_control(self) -> None:
        # Behind the requests, a question about health would wait for them, and a service that is merely busy would
        # be restarted as one that hangs. A watcher holds its thread for as long as it watches.
        watchers = ThreadPoolExecutor(max_workers=MAX_HEALTH_WATCHERS, thread_name_prefix="health-watcher")
        health_servicer = run_on(self.health, Check=self._control, Watch=watchers)
        health_pb2_grpc.add_HealthServicer_to_server(health_servicer, self.grpc_server)
        reporter = run_on(self._reporter, ReportLoad=self._control)
        load_reporting_pb2_grpc.add_LoadReportingGrpcServicer_to_server(reporter, self.grpc_server)
        if self._cancellable is not None:
            administration = run_on(ProcessAdministration(self._cancellable), Cancel=self._control)
            process_admin_pb2_grpc.add_ProcessAdministrationGrpcServicer_to_server(administration, self.grpc_server)
        names = control_services(has_administration=self._cancellable is not None)
        reflection.enable_server_reflection((*names, *self._reflected, reflection.SERVICE_NAME), self.grpc_server)

    def set_serving(self, *, is_serving: bool, service_name: str | None = None) -> None:
        """Say whether one service serves; None means all of them, and the server as a whole."""
        status = health_pb2.HealthCheckResponse.ServingStatus
        for name in self._names if service_name is None else (service_name,):
            self.health.set(name, status.SERVING if is_serving else status.NOT_SERVING)

    def wait(self, *, on_tick: Callable[[], None] | None = None, tick_s: float | None = None) -> None:
        """Return when the server has ended; call `on_tick` each `tick_s` seconds meanwhile, on this thread."""
        while not self._ended.is_set():
            ready, _, _ = select.select([self._woken], [], [], tick_s)
            if ready:
                os.read(self._woken, 4096)
            elif on_tick is not None:
                on_tick()

    def stop(self) -> None:
        """Say NOT_SERVING, let running requests finish within the grace period, and end."""
        try:
            # First the balancer learns that nobody should come any more, then the door closes.
            self.health.enter_graceful_shutdown()
            self._door.close()
            self._door.wait_empty(self._grace_s)
            # What is still open is watchers' streams, which end never.
            self.grpc_server.stop(FLUSH_S).wait()
        finally:
            self._ended.set()
            os.write(self._wake, b"\0")

    def _drain(self) -> None:
        threading.Thread(target=self.stop, name="drain").start()


def control_services(*, has_administration: bool) -> list[str]:
    """Return the full names of what is served beside own services and reflection."""
    files = [health_pb2.DESCRIPTOR, load_reporting_pb2.DESCRIPTOR]
    if has_administration:
        files.append(process_admin_pb2.DESCRIPTOR)
    return [service.full_name for file in files for service in file.services_by_name.values()]
