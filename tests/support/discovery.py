"""A client of the balancer, on the generated stubs: what anybody's client would do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from quaestor_actors.rpc import service_discovery_pb2, service_discovery_pb2_grpc

# A client that waits a second before it tries again would measure itself rather than the balancer.
IMPATIENT = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 100))


@dataclass(frozen=True)
class Discovery:
    """Asks one balancer for one service."""

    stub: service_discovery_pb2_grpc.ServiceDiscoveryGrpcStub
    service_name: str = "Worker"

    def all(self) -> list[int]:
        """Return the ports of all locations, sorted."""
        request = service_discovery_pb2.DiscoverServicesRequest(service_name=self.service_name)
        return sorted(location.port for location in self.stub.DiscoverServices(request, timeout=5).service_locations)

    def all_or_nothing(self) -> list[int]:
        """Return the ports of all locations, or none while nobody listens."""
        try:
            return self.all()
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return []

    def top(self, count: int = 1) -> list[int]:
        """Return the ports of the best locations, the best first."""
        request = service_discovery_pb2.DiscoverServicesRequest(service_name=self.service_name, max_count=count)
        return [location.port for location in self.stub.DiscoverTopServices(request, timeout=5).service_locations]


@contextmanager
def discovery(port: int) -> Iterator[Discovery]:
    """Yield a client of the balancer on a local port."""
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=IMPATIENT) as channel:
        yield Discovery(service_discovery_pb2_grpc.ServiceDiscoveryGrpcStub(channel))
