"""An asyncio gRPC server as a balanced service needs it: health, load, reflection, and an orderly end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from quaestor_actors.broken_server import is_broken_by_client
from quaestor_actors.rpc import load_reporting_pb2_grpc, process_admin_pb2_grpc
from quaestor_actors.worker.aio.administration import ProcessAdministration
from quaestor_actors.worker.aio.door import Door
from quaestor_actors.worker.aio.health import HealthServicer, Status
from quaestor_actors.worker.aio.reporter import LoadReporter
from quaestor_actors.worker.cancellation import CancellableRequests
from quaestor_actors.worker.listen import listen
from quaestor_actors.worker.load import ServiceLoad
from quaestor_actors.worker.server import FLUSH_S, WHOLE_SERVER, control_services


class WorkerServer:
    """An asyncio gRPC server whose services are watched and balanced; every method only from its event loop.

    Example:
        load = ServiceLoad(request_capacity=100)
        server = WorkerServer(port=5161, loads={"Greeter": load}, interceptors=[CountRequests(load)])
        greeter_pb2_grpc.add_GreeterServicer_to_server(Greeter(), server.grpc_server)
        await server.start()
        await server.wait()

    Whatever blocks the event loop also keeps health and load from being told; on the synchronous `WorkerServer`
    they have threads of their own.
    """

    def __init__(
        self,
        *,
        port: int,
        host_name: str = "localhost",
        loads: Mapping[str, ServiceLoad],
        scope: str = "",
        grace_s: float = 10.0,
        reflected: tuple[str, ...] = (),
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        cancellable: CancellableRequests | None = None,
    ) -> None:
        """Prepare the server, in a running event loop; add own services to `grpc_server`, then `start`.

        The arguments are those of the synchronous `WorkerServer`. After `grace_s` running coroutines are cancelled.
        """
        self.port = port
        self._host_name = host_name
        self._names = (WHOLE_SERVER, *loads)
        self._reporter = LoadReporter(dict(loads), scope=scope)
        self._grace_s = grace_s
        self._reflected = reflected
        self._cancellable = cancellable
        self._ended = asyncio.Event()
        self._stopping: asyncio.Task[None] | None = None
        self._broken: BaseException | None = None
        self._hand_on: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None = None
        self.health = HealthServicer()
        self._door = Door()
        self.grpc_server = grpc.aio.server(
            interceptors=[self._door, *interceptors],
            # Two processes on one port would each get half of the requests, and nobody would notice.
            options=(("grpc.so_reuseport", 0),),
        )

    async def start(self) -> None:
        """Listen, say SERVING for every service, and drain at SIGTERM. Only in the main thread.

        Raises:
            ConflictError: the port is taken.
            OperationError: the host name is unknown or not of this machine, or the port needs more rights.
        """
        self._add_control()
        loop = asyncio.get_running_loop()
        self._hand_on = loop.get_exception_handler()
        loop.set_exception_handler(self._loop_failed)
        self.port = listen(self.grpc_server, host_name=self._host_name, port=self.port)
        self.set_serving(is_serving=True)
        loop.add_signal_handler(signal.SIGTERM, self._drain)
        await self.grpc_server.start()

    def _add_control(self) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self.grpc_server)
        load_reporting_pb2_grpc.add_LoadReportingGrpcServicer_to_server(self._reporter, self.grpc_server)
        if self._cancellable is not None:
            administration = ProcessAdministration(self._cancellable)
            process_admin_pb2_grpc.add_ProcessAdministrationGrpcServicer_to_server(administration, self.grpc_server)
        names = control_services(has_administration=self._cancellable is not None)
        reflection.enable_server_reflection((*names, *self._reflected, reflection.SERVICE_NAME), self.grpc_server)

    def set_serving(self, *, is_serving: bool, service_name: str | None = None) -> None:
        """Say whether one service serves; None means all of them, and the server as a whole."""
        for name in self._names if service_name is None else (service_name,):
            self.health.set(name, Status.SERVING if is_serving else Status.NOT_SERVING)

    async def wait(self) -> None:
        """Return when the server has ended.

        Raises:
            RuntimeError: gRPC has ended the server because of a request whose path is no text, and it does not listen
                any more: let the process end, and be started again.
            Exception: whatever made the orderly end fail.
        """
        await self._ended.wait()
        if self._broken is not None:
            raise RuntimeError("a request whose path is no text has ended the gRPC server") from self._broken
        if self._stopping is not None:
            await self._stopping

    async def stop(self) -> None:
        """Say NOT_SERVING, let running requests finish within the grace period, and end."""
        try:
            # First the balancer learns that nobody should come any more, then the door closes.
            self.health.enter_graceful_shutdown()
            self._door.close()
            await self._door.wait_empty(self._grace_s)
            # What is still open is watchers' streams, which end never.
            await self.grpc_server.stop(FLUSH_S)
        finally:
            self._ended.set()

    def _loop_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if is_broken_by_client(error):
            self._broken = error
            self._ended.set()
        elif self._hand_on is not None:
            self._hand_on(loop, context)
        else:
            loop.default_exception_handler(context)

    def _drain(self) -> None:
        if self._stopping is None:
            self._stopping = asyncio.create_task(self.stop(), name="drain")
