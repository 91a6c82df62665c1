"""The original's Python client: one balancer, one service."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from quaestor_actors.client.service_location import ServiceLocation, locations_of
from quaestor_actors.rpc.service_discovery_pb2 import DiscoverServicesRequest
from quaestor_actors.rpc.service_discovery_pb2_grpc import ServiceDiscoveryGrpcStub

TIMEOUT_S = 5.0
"""How long one question may take, connecting included. The original waits for ever."""


class ServiceDiscovery:
    """Asks one balancer for the locations of one service.

    Code that was written for the original's `quaestor.service_discovery` runs with this class unchanged. As there,
    each question has a connection of its own, the fields may be changed between questions, and the balancer is
    asked when the first location is fetched. To ask often, or several balancers, take `Balancers`.
    """

    def __init__(
        self,
        host_name: str,
        port_nr: int,
        service_name: str,
        ssl_channel_credentials: grpc.ChannelCredentials | None = None,
        scope: str = "",
        max_count: int = 1,
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            host_name: Where the balancer is.
            port_nr: Its port.
            service_name: What is looked for; compared exactly.
            ssl_channel_credentials: For a balancer with TLS; None is plain text.
            scope: Partition of the registry; compared exactly.
            max_count: At most this many locations; 0 means all.
        """
        self.host_name = host_name
        self.port_nr = port_nr
        self.service_name = service_name
        self.ssl_channel_credentials = ssl_channel_credentials
        self.scope = scope
        self.max_count = max_count

    def discover_services(self) -> Iterator[ServiceLocation]:
        """Yield healthy locations in random order; none if nobody healthy offers the service.

        Raises:
            grpc.RpcError: The balancer did not answer within `TIMEOUT_S`.
        """
        with self._channel() as channel:
            response = ServiceDiscoveryGrpcStub(channel).DiscoverServices(self._request(), timeout=TIMEOUT_S)
        yield from locations_of(response)

    def discover_top_services(self) -> Iterator[ServiceLocation]:
        """Yield healthy locations, the least loaded first; none if nobody healthy offers the service.

        Raises:
            grpc.RpcError: The balancer did not answer within `TIMEOUT_S`.
        """
        with self._channel() as channel:
            response = ServiceDiscoveryGrpcStub(channel).DiscoverTopServices(self._request(), timeout=TIMEOUT_S)
        yield from locations_of(response)

    def _request(self) -> DiscoverServicesRequest:
        return DiscoverServicesRequest(scope=self.scope, service_name=self.service_name, max_count=self.max_count)

    def _channel(self) -> grpc.Channel:
        # The host as it is: no service name, so this is about the address only.
        address = ServiceLocation("", self.host_name, self.port_nr).address
        if self.ssl_channel_credentials is None:
            return grpc.insecure_channel(address)
        return grpc.secure_channel(address, self.ssl_channel_credentials)
