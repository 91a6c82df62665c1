"""The standard health service on an asyncio server."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

Status = health_pb2.HealthCheckResponse.ServingStatus


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc] # grpc_health has no types
    """Tells the status of services. Every method only from the server's event loop.

    The servicer of grpc_health holds a lock while it writes to a watcher: one that does not read keeps all others
    from being told, and the server from saying NOT_SERVING.
    """

    def __init__(self) -> None:
        """Begin with no service."""
        self._statuses: dict[str, int] = {}
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._is_ending = False

    def set(self, service: str, status: int) -> None:
        """Tell a new status of a service; after `enter_graceful_shutdown` nothing happens."""
        if self._is_ending:
            return
        self._statuses[service] = status
        for changed in self._watchers.get(service, ()):
            changed.set()

    def enter_graceful_shutdown(self) -> None:
        """Say NOT_SERVING of every service, for good."""
        for service in self._statuses:
            self.set(service, Status.NOT_SERVING)
        self._is_ending = True

    async def Check(  # noqa: N802 - the protocol's name
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> health_pb2.HealthCheckResponse:
        """Return the status of a service, NOT_FOUND if there is none of the name."""
        status = self._statuses.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(  # noqa: N802 - the protocol's name
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Return the status of a service now and at each change, until the watcher leaves."""
        del context
        service = request.service
        changed = asyncio.Event()
        self._watchers[service].add(changed)
        told = None
        try:
            while True:
                changed.clear()
                status = self._statuses.get(service, Status.SERVICE_UNKNOWN)
                if status != told:
                    told = status
                    yield health_pb2.HealthCheckResponse(status=status)
                await changed.wait()
        finally:
            self._watchers[service].remove(changed)
            if not self._watchers[service]:
                del self._watchers[service]
