"""Several look-aside balancers that are as good as one."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Collection, Iterable
from types import TracebackType
from typing import Self

import grpc

from quaestor_actors.client.choice import first_choice
from quaestor_actors.client.rotation import Question, Rotation, checked_addresses
from quaestor_actors.client.service_location import ServiceLocation, locations_of
from quaestor_actors.rpc.service_discovery_pb2 import DiscoverServicesRequest, DiscoverServicesResponse
from quaestor_actors.rpc.service_discovery_pb2_grpc import ServiceDiscoveryGrpcStub

BALANCER_OPTIONS = (
    # A balancer that comes back is asked again within a second, rather than after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Other channels to the same address keep their own pauses.
    ("grpc.use_local_subchannel_pool", 1),
)


class Balancers:
    """Asks balancers in turn; one that fails or is too slow is left out for a while, and another one asked.

    The while is 0.1 s at first and doubles up to 10 s. If all are left out they are asked nevertheless. Thread-safe.
    As gRPC's own channels, it must not be used in a process that was forked from one that used it.
    """

    def __init__(
        self,
        addresses: Iterable[str],
        *,
        credentials: grpc.ChannelCredentials | None = None,
        timeout_s: float = 1.0,
        scope: str = "",
    ) -> None:
        """Prepare; connections are made when they are needed.

        Args:
            addresses: `host:port` of each balancer.
            credentials: For balancers with TLS; None is plain text.
            timeout_s: A balancer that takes longer is too slow. A question that every balancer lets down takes as
                often this time as there are balancers, at most.
            scope: Partition of the registry; compared exactly.

        Raises:
            ValueError: There are no addresses, or `timeout_s` is not positive.
        """
        self._addresses = checked_addresses(addresses)
        if not timeout_s > 0:
            raise ValueError(f"timeout_s must be positive, got {timeout_s!r}")
        self._timeout_s = timeout_s
        self._scope = scope
        # Many clients that start at the same time do not all begin with the same balancer.
        first = random.randrange(len(self._addresses))  # noqa: S311 - spreads load, keeps no secret
        self._rotation = Rotation(len(self._addresses), first=first)
        self._channels = [_channel(address, credentials) for address in self._addresses]
        self._stubs = [ServiceDiscoveryGrpcStub(channel) for channel in self._channels]

    def pick(
        self, service: str, *, avoid: Collection[ServiceLocation] = (), timeout_s: float | None = None
    ) -> ServiceLocation:
        """Return the best location of a service.

        Args:
            service: Its name.
            avoid: Locations that are returned only if there are no others.
            timeout_s: For all balancers together; None: only each one's own time counts.

        Raises:
            NoLocationError: Nobody healthy offers the service.
            BalancersUnavailableError: No balancer answers.
            DiscoveryTimeoutError: `timeout_s` passed.
        """
        request = DiscoverServicesRequest(scope=self._scope, service_name=service, max_count=1 + len(avoid))
        response = self._ask(lambda stub, patience_s: stub.DiscoverTopServices(request, timeout=patience_s), timeout_s)
        return first_choice(locations_of(response), service=service, scope=self._scope, avoid=avoid)

    def discover(
        self, service: str, max_count: int = 0, *, timeout_s: float | None = None
    ) -> tuple[ServiceLocation, ...]:
        """Return healthy locations of a service in random order; all of them if `max_count` is 0, maybe none.

        Raises:
            BalancersUnavailableError: No balancer answers.
            DiscoveryTimeoutError: `timeout_s` passed.
        """
        request = DiscoverServicesRequest(scope=self._scope, service_name=service, max_count=max_count)
        response = self._ask(lambda stub, patience_s: stub.DiscoverServices(request, timeout=patience_s), timeout_s)
        return locations_of(response)

    def close(self) -> None:
        """Close the connections; questions on their way fail."""
        for channel in self._channels:
            channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(
        self,
        ask: Callable[[ServiceDiscoveryGrpcStub, float], DiscoverServicesResponse],
        timeout_s: float | None,
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
                response = ask(self._stubs[number], patience_s)
            except grpc.RpcError as error:
                question.failed(number, error, time.monotonic())
            else:
                self._rotation.answered(number)
                return response
        raise question.give_up(time.monotonic())


def _channel(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
    if credentials is None:
        return grpc.insecure_channel(address, options=BALANCER_OPTIONS)
    return grpc.secure_channel(address, credentials, options=BALANCER_OPTIONS)
