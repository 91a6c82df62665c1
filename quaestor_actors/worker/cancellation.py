"""Running requests that an administrator can cancel by their user."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc

from quaestor_actors.rpc import process_admin_pb2, process_admin_pb2_grpc


class Cancellation:
    """Whether one running request is to be cancelled. Every method may be called from any thread."""

    def __init__(self) -> None:
        """Begin; nobody asked for it."""
        self.requested = threading.Event()
        """Set once, when the request is to be cancelled; look at it between the steps of the work, or wait for it."""
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], object]] = []

    def when_requested(self, listener: Callable[[], object]) -> None:
        """Have a function called when the request is to be cancelled, or now if it is already.

        It runs on the thread that cancels, must be quick and must not raise. On an asyncio server, for example:
        `cancellation.when_requested(partial(loop.call_soon_threadsafe, task.cancel))`.
        """
        with self._lock:
            if not self.requested.is_set():
                self._listeners.append(listener)
                return
        listener()

    def request(self) -> None:
        """Ask the running request to end; again does nothing."""
        with self._lock:
            self.requested.set()
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()


class _Running:
    """A registered request."""

    def __init__(self, *, user_name: str, environment: str, service_name: str) -> None:
        self.cancellation = Cancellation()
        self._owner = (user_name, environment)
        self._service_name = service_name

    def is_meant_by(self, request: process_admin_pb2.CancelRequest) -> bool:
        is_of_service = not (self._service_name and request.service_name) or (
            self._service_name == request.service_name
        )
        return is_of_service and self._owner == (request.user_name, request.environment)


class CancellableRequests:
    """The running requests of a server that can be cancelled. Every method may be called from any thread.

    Example:
        requests = CancellableRequests()
        with requests.register("ann", "production") as cancellation:
            while not cancellation.requested.is_set():
                ...  # the next step
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._running: set[_Running] = set()

    @contextmanager
    def register(self, user_name: str, environment: str, *, service_name: str = "") -> Iterator[Cancellation]:
        """Let a request be cancelled for as long as the block runs.

        Args:
            user_name: Whose request it is; compared exactly.
            environment: In which environment, by a name of the service's own choice; compared exactly.
            service_name: To which service it was made. Empty: to any of this server.
        """
        running = _Running(user_name=user_name, environment=environment, service_name=service_name)
        with self._lock:
            self._running.add(running)
        try:
            yield running.cancellation
        finally:
            with self._lock:
                self._running.remove(running)

    def cancel(self, request: process_admin_pb2.CancelRequest) -> bool:
        """Cancel every request that is meant; return whether there was one.

        User name and environment must be equal, and the service name if both sides name one.
        """
        with self._lock:
            meant = [running.cancellation for running in self._running if running.is_meant_by(request)]
        for cancellation in meant:
            cancellation.request()
        return bool(meant)


class ProcessAdministration(process_admin_pb2_grpc.ProcessAdministrationGrpcServicer):
    """The gRPC service through which requests are cancelled, for a synchronous server.

    The password of the protocol is accepted, not looked at and not written anywhere: who may reach the port may
    cancel.
    """

    def __init__(self, requests: CancellableRequests) -> None:
        """Serve these."""
        self._requests = requests

    def Cancel(  # noqa: N802 - the protocol's name
        self, request: process_admin_pb2.CancelRequest, context: grpc.ServicerContext
    ) -> process_admin_pb2.CancelResponse:
        """Cancel requests of a user in an environment."""
        del context
        return process_admin_pb2.CancelResponse(success=self._requests.cancel(request))
