"""The balancer's own gRPC server: discovery, health and reflection.

It answers from what it is given, without a call to anybody, so an answer takes as long as an empty gRPC call.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any, Protocol

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from quaestor_actors.adapters.listen import addresses_to_bind
from quaestor_actors.adapters.tally import Tally
from quaestor_actors.adapters.tls import ServerCertificate, server_certificate
from quaestor_actors.adapters.undecodable import Services
from quaestor_actors.broken_server import is_broken_by_client
from quaestor_actors.core.counted import EMPTY_SLOT, OF_METHOD
from quaestor_actors.core.histogram import DISCOVER
from quaestor_actors.core.location import Location
from quaestor_actors.core.spec import BALANCER_SERVICE, BalancerSpec
from quaestor_actors.errors import ConflictError
from quaestor_actors.rpc import service_discovery_pb2, service_discovery_pb2_grpc

MAX_NAME_LENGTH = 1024
"""Longest scope and service name in a request, in characters."""

MAX_REQUEST_SIZE = 65_536
"""Bytes; the largest sensible request is two names and a number."""

FIRST_VIEW_PATIENCE_S = 1.0
"""How long a request that comes before the first view waits for it, at most."""

REPLACEMENT_PATIENCE_S = 5.0
"""How long a broken server's port may stay taken."""

REPLACEMENT_PAUSE_S = 0.01

log = logging.getLogger(__name__)

_FULL_SERVICE_NAME = service_discovery_pb2.DESCRIPTOR.services_by_name["ServiceDiscoveryGrpc"].full_name
_HEALTH_SERVICE_NAME = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


class FrontendState(StrEnum):
    """What the frontend says about itself in health checks: serving, or not."""

    WAITING = "waiting"
    """It listens; the first view is not there yet."""
    SERVING = "serving"
    DRAINING = "draining"
    """Answers in flight are finished, new requests refused."""


class Discovery(Protocol):
    """Whoever knows the locations. Called on the loop for each request; must not block."""

    @property
    def is_informed(self) -> bool:
        """Whether the registry has been heard, if not yet every location."""
        ...

    def discover(self, *, scope: str, service_name: str, max_count: int) -> Sequence[Location]:
        """Return usable locations in random order; all if `max_count` is 0."""
        ...

    def discover_top(self, *, scope: str, service_name: str, max_count: int) -> Sequence[Location]:
        """Return usable locations, best first; all if `max_count` is 0."""
        ...


class Frontend:
    """The server. All methods belong on the loop."""

    def __init__(self, *, spec: BalancerSpec, discovery: Discovery, tally: Tally | None = None) -> None:
        """Prepare; `start` listens. Requests are counted in `tally`."""
        self._spec = spec
        self._discovery = _DiscoveryService(discovery, tally or Tally(None))
        self._health = _HealthService()
        self._server: grpc.aio.Server | None = None
        self._port = 0
        self._hand_on: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None = None
        self._replacement: asyncio.Task[None] | None = None

    @property
    def state(self) -> FrontendState:
        """What health checks are answered. May be read from any thread."""
        return self._health.state

    @property
    def requests_answered(self) -> int:
        """Discovery requests answered so far. May be read from any thread."""
        return self._discovery.answered

    async def start(self) -> int:
        """Listen on exactly the spec's host and port, and return the port.

        Raises:
            ConflictError: The port is taken.
            ConfigError: The certificate is unusable.
            OperationError: The host name or the port cannot be used.
        """
        loop = asyncio.get_running_loop()
        self._hand_on = loop.get_exception_handler()
        loop.set_exception_handler(self._loop_failed)
        self._port = await self._listen(self._spec.port)
        return self._port

    async def _listen(self, port: int) -> int:
        certificate = server_certificate(self._spec, ca_certificate_file=self._spec.ca_certificate_file)
        is_shared = self._spec.frontends > 1
        addresses = addresses_to_bind(self._spec.host_name, port, is_shared=is_shared)
        # Two servers on one port by mistake would each get half of the clients.
        options = (("grpc.so_reuseport", int(is_shared)), ("grpc.max_receive_message_length", MAX_REQUEST_SIZE))
        server = grpc.aio.server(options=options)
        # What gRPC generates is typed for servers; it only adds handlers.
        services: Any = Services(server)
        service_discovery_pb2_grpc.add_ServiceDiscoveryGrpcServicer_to_server(self._discovery, services)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, services)
        names = (_FULL_SERVICE_NAME, _HEALTH_SERVICE_NAME, reflection.SERVICE_NAME)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(reflection.aio.ReflectionServicer(names), services)
        ports = [_bind(server, address, certificate) for address in addresses]
        await server.start()
        self._server = server
        return ports[0]

    def _loop_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if is_broken_by_client(context.get("exception")):
            log.warning("a request whose path is no text has ended the server; another takes its place")
            self._replacement = loop.create_task(self._replace())
            self._replacement.add_done_callback(_raise_error)
        elif self._hand_on is not None:
            self._hand_on(loop, context)
        else:
            loop.default_exception_handler(context)

    async def _replace(self) -> None:
        """Listen anew in place of a server that does not accept requests any more."""
        broken, self._server = self._server, None
        if broken is not None:
            await broken.stop(None)
        give_up_at = time.monotonic() + REPLACEMENT_PATIENCE_S
        while self.state is not FrontendState.DRAINING:
            try:
                await self._listen(self._port)
            except ConflictError:
                # gRPC closes the old port on a thread of its own, a moment later.
                if time.monotonic() > give_up_at:
                    raise
                await asyncio.sleep(REPLACEMENT_PAUSE_S)
            else:
                return

    def set_serving(self) -> None:
        """Answer health checks with SERVING from now on, unless the end has begun."""
        if self.state is FrontendState.WAITING:
            self._health.enter(FrontendState.SERVING)
            self._discovery.open()

    async def drain(self, grace_s: float) -> None:
        """Say NOT_SERVING, take no new requests, and return when those in flight are answered.

        Args:
            grace_s: What is still open after this time is cut off.
        """
        self._health.enter(FrontendState.DRAINING)
        if self._replacement is not None:
            await self._replacement
        if self._server is not None:
            await self._server.stop(grace_s)
            self._server = None


class _DiscoveryService(service_discovery_pb2_grpc.ServiceDiscoveryGrpcServicer):
    """Translates between the wire and `Discovery`."""

    def __init__(self, discovery: Discovery, tally: Tally) -> None:
        self._discovery = discovery
        self._tally = tally
        self._first_view = asyncio.Event()
        self.answered = 0

    def open(self) -> None:
        """Answer from now on; what is waiting is answered first."""
        self._first_view.set()

    async def _wait_for_view(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Hold a request back rather than answer it with half of the truth; but half is better than nothing."""
        try:
            await asyncio.wait_for(self._first_view.wait(), FIRST_VIEW_PATIENCE_S)
        except TimeoutError:
            if not self._discovery.is_informed:
                await context.abort(
                    grpc.StatusCode.UNAVAILABLE, "the balancer has just started and does not know any location yet"
                )

    async def DiscoverServices(  # noqa: N802 - the name of the rpc
        self,
        request: service_discovery_pb2.DiscoverServicesRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> service_discovery_pb2.DiscoverServicesResponse:
        began = time.monotonic()
        fault = _fault(request)
        if fault is not None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, fault)
        if not self._first_view.is_set():
            await self._wait_for_view(context)
        return self._response(
            self._discovery.discover(
                scope=request.scope, service_name=request.service_name, max_count=request.max_count
            ),
            method=0,
            began=began,
        )

    async def DiscoverTopServices(  # noqa: N802 - the name of the rpc
        self,
        request: service_discovery_pb2.DiscoverServicesRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> service_discovery_pb2.DiscoverServicesResponse:
        began = time.monotonic()
        fault = _fault(request)
        if fault is not None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, fault)
        if not self._first_view.is_set():
            await self._wait_for_view(context)
        return self._response(
            self._discovery.discover_top(
                scope=request.scope, service_name=request.service_name, max_count=request.max_count
            ),
            method=1,
            began=began,
        )

    def _response(
        self, locations: Sequence[Location], *, method: int, began: float
    ) -> service_discovery_pb2.DiscoverServicesResponse:
        self.answered += 1
        response = service_discovery_pb2.DiscoverServicesResponse(service_locations=map(_message_of, locations))
        base = method * OF_METHOD
        if not locations:
            self._tally.add(base + EMPTY_SLOT)
        self._tally.observe(DISCOVER, time.monotonic() - began, base=base)
        return response


class _HealthService(health_pb2_grpc.HealthServicer):  # type: ignore[misc] # grpc_health has no types
    """`grpc.health.v1.Health` of the frontend.

    Our own and not grpc_health's, because its streams write under a lock, where one client that does not read
    could hold up every change, and because they never end by themselves, so a drain would always take the
    whole grace.
    """

    def __init__(self) -> None:
        self.state = FrontendState.WAITING
        self._changed = asyncio.Event()

    def enter(self, state: FrontendState) -> None:
        """Change the state and tell all streams."""
        self.state = state
        self._changed.set()
        self._changed = asyncio.Event()

    async def Check(  # noqa: N802 - the name of the rpc
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> health_pb2.HealthCheckResponse:
        status = self._status(request.service)
        if status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "the service is unknown")
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(  # noqa: N802 - the name of the rpc
        self, request: health_pb2.HealthCheckRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        last = None
        while self.state is not FrontendState.DRAINING:
            changed = self._changed
            status = self._status(request.service)
            if status != last:
                yield health_pb2.HealthCheckResponse(status=status)
            last = status
            await changed.wait()
        yield health_pb2.HealthCheckResponse(status=self._status(request.service))

    def _status(self, service: str) -> int:
        if service not in {"", BALANCER_SERVICE, _FULL_SERVICE_NAME}:
            name = "SERVICE_UNKNOWN"
        elif self.state is FrontendState.SERVING:
            name = "SERVING"
        else:
            name = "NOT_SERVING"
        return int(health_pb2.HealthCheckResponse.ServingStatus.Value(name))


def _fault(request: service_discovery_pb2.DiscoverServicesRequest) -> str | None:
    """Return what is wrong with a request, or None."""
    if request.max_count < 0:
        return f"max_count must be 0 (all) or more, got {request.max_count}"
    if len(request.scope) > MAX_NAME_LENGTH:
        return f"scope must be at most {MAX_NAME_LENGTH} characters, got {len(request.scope)}"
    if len(request.service_name) > MAX_NAME_LENGTH:
        return f"service_name must be at most {MAX_NAME_LENGTH} characters, got {len(request.service_name)}"
    return None


@lru_cache(maxsize=4096)
def _message_of(location: Location) -> service_discovery_pb2.ServiceLocationMsg:
    return service_discovery_pb2.ServiceLocationMsg(
        scope=location.scope, service_name=location.service_name, host_name=location.host_name, port=location.port
    )


def _raise_error(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.result()


def _bind(server: grpc.aio.Server, address: str, certificate: ServerCertificate | None) -> int:
    try:
        if certificate is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, certificate.port_credentials())
    except RuntimeError as error:
        # Free a moment ago, so somebody was faster.
        raise ConflictError(f"{address} is taken by another process") from error
