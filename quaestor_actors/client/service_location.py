"""Where a service can be reached, as a balancer says it."""

from __future__ import annotations

from dataclasses import dataclass

from quaestor_actors.rpc.service_discovery_pb2 import DiscoverServicesResponse


@dataclass(frozen=True, slots=True)
class ServiceLocation:
    """One healthy location of a service; the name and the fields are the original client's."""

    service_name: str
    host_name: str
    port: int

    @property
    def address(self) -> str:
        """`host:port` as a gRPC target; an IPv6 address gets its brackets."""
        return f"[{self.host_name}]:{self.port}" if ":" in self.host_name else f"{self.host_name}:{self.port}"


def locations_of(response: DiscoverServicesResponse) -> tuple[ServiceLocation, ...]:
    """Return the locations of a balancer's answer, in its order."""
    return tuple(
        ServiceLocation(location.service_name, location.host_name, location.port)
        for location in response.service_locations
    )
