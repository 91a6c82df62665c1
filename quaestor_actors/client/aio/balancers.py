"""Several look-aside balancers that are as good as one, for asyncio."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from types import TracebackType
from typing import Any, Self

import grpc

from quaestor_actors.client.balancers import BALANCER_OPTIONS
from quaestor_actors.client.choice import first_choice
from quaestor_actors.client.rotation import Question, Rotation, checked_addresses
from quaestor_actors.client.service_location import ServiceLocation, locations_of
from quaestor_actors.rpc.service_discovery_pb2 import DiscoverServicesRequest, DiscoverServicesResponse
from quaestor_actors.rpc.service_discovery_pb2_grpc import ServiceDiscoveryGrpcStub


class Balancers:
    """Asks balancers in turn, as `quaestor_actors.client.Balancers` does, on one event loop.

    It must be made while the loop runs, as gRPC's own asynchronous channels.
    """

    def __init__(
        self,
        addresses: Iterable[str],
        *,
        credentials: grpc.ChannelCredentials | None = None,
        timeout_s: float = 1.0,
        scope: str = "",
    ) -> None:
        """Prepare; the arguments and errors are those of the synchronous class."""
        self._addresses = checked_addresses(addresses)
        if not timeout_s > 0:
            raise ValueError(f"timeout_s must be positive, got {timeout_s!r}")
        self._timeout_s = timeout_s
        self._scope = scope
        first = random.randrange(len(self._addresses))  # noqa: S311 - spreads load, keeps no secret
        self._rotation = Rotation(len(self._addresses), first=first)
        self._channels = [_channel(address, credentials) for address in self._addresses]
        self._stubs: list[Any] = [ServiceDiscoveryGrpcStub(channel) for channel in self._channels]

    async def pick(
        self, service: str, *, avoid: Collection[ServiceLocation] = (), timeout_s: float | None = None
    ) -> ServiceLocation:
        """Return the best location of a service; arguments and errors are those of the synchronous class."""
        request = DiscoverServicesRequest(scope=self._scope, service_name=service, max_count=1 + len(avoid))
        response = await self._ask(
            lambda stub, patience_s: stub.DiscoverTopServices(request, timeout=patience_s), timeout_s
        )
        return first_choice(locations_of(response), service=service, scope=self._scope, avoid=avoid)

    async def discover(
        self, service: str, max_count: int = 0, *, timeout_s: float | None = None
    ) -> tuple[ServiceLocation, ...]:
        """Return healthy locations in random order; arguments and errors are those of the synchronous class."""
        request = DiscoverServicesRequest(scope=self._scope, service_name=service, max_count=max_count)
        response = await self._ask(
            lambda stub, patience_s: stub.DiscoverServices(request, timeout=patience_s), timeout_s
        )
        return locations_of(response)

    async def close(self) -> None:
        """Close the connections; questions on their way fail."""
        for channel in self._channels:
            await channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(
        self, ask: Callable[[Any, float], Awaitable[DiscoverServicesResponse]], timeout_s: float | None
    ) -> DiscoverServicesResponse:
        now = time.monotonic()
        question = Question(
            addresses=self._addresses,
            rotation=self._rotation,
            timeout_s=self._timeout_s,
            deadline=math.inf if timeout_s is None else now + timeout_s,
        )
        for number in self._rotation.order(now):
            patience_s = question.patience_s(time.monotonic())
            try:
                response = await ask(self._stubs[number], patience_s)
            except grpc.RpcError as error:
                question.failed(number, error, time.monotonic())
            else:
                self._rotation.answered(number)
                return response
        raise question.give_up(time.monotonic())


def _channel(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    if credentials is None:
        return grpc.aio.insecure_channel(address, options=BALANCER_OPTIONS)
    return grpc.aio.secure_channel(address, credentials, options=BALANCER_OPTIONS)
