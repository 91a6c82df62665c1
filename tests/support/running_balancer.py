"""A balancer with a real client and all that it told its owner, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.grpc_servers import Heard
from support.waiting import wait_until

from quaestor_actors.adapters.balancer import Balancer, LocationStatus
from quaestor_actors.core.live_entry import Standing
from quaestor_actors.core.location import Registration
from quaestor_actors.core.spec import BalancerSpec
from quaestor_actors.rpc import service_discovery_pb2, service_discovery_pb2_grpc

DEADLINE_S = 10.0


class RunningBalancer:
    """A balancer on a free port of 127.0.0.1 unless the spec says otherwise; `close` checks that nothing crashed."""

    def __init__(self, *, directory: Path | None = None, **spec: Any) -> None:
        self.heard = Heard()
        self.balancer = Balancer(
            BalancerSpec(**{"host_name": "127.0.0.1", "port": 0, **spec}),
            directory=directory,
            on_notice=self.heard,
            on_crash=self.heard.crashes.append,
        )
        self.port = self.balancer.start()
        self._channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")
        self._stub = service_discovery_pb2_grpc.ServiceDiscoveryGrpcStub(self._channel)

    def register(self, *registrations: Registration) -> None:
        """Make these the registered locations."""
        self.balancer.set_registrations(registrations)

    def all(self, service: str = "Worker", **request: Any) -> list[int]:
        """Return the ports that DiscoverServices answers."""
        message = service_discovery_pb2.DiscoverServicesRequest(service_name=service, **request)
        response = self._stub.DiscoverServices(message, timeout=DEADLINE_S)
        return [location.port for location in response.service_locations]

    def top(self, service: str = "Worker", **request: Any) -> list[int]:
        """Return the ports that DiscoverTopServices answers."""
        message = service_discovery_pb2.DiscoverServicesRequest(service_name=service, **request)
        response = self._stub.DiscoverTopServices(message, timeout=DEADLINE_S)
        return [location.port for location in response.service_locations]

    def health(self) -> int:
        """Return the balancer's own health status."""
        request = health_pb2.HealthCheckRequest(service="")
        return int(health_pb2_grpc.HealthStub(self._channel).Check(request, timeout=DEADLINE_S).status)

    def status_of(self, one: Registration) -> LocationStatus | None:
        """Return what the balancer says of a location; None if it is not registered."""
        locations = self.balancer.status().locations
        return next((each for each in locations if each.registration == one), None)

    def expect_offered(self, *registrations: Registration) -> None:
        """Wait until all of these are offered."""
        for one in registrations:
            self._expect(one, Standing.OFFERED)

    def expect_withheld(self, one: Registration) -> str:
        """Wait until the location is withheld, and return why."""
        return self._expect(one, Standing.WITHHELD).reason

    def _expect(self, one: Registration, standing: Standing) -> LocationStatus:
        def there() -> LocationStatus | None:
            status = self.status_of(one)
            return status if status is not None and status.standing is standing else None

        what = f"{one} to be {standing}; is {self.status_of(one)}"
        status = wait_until(there, DEADLINE_S, what)
        assert status is not None
        return status

    def close(self) -> None:
        """Stop."""
        self._channel.close()
        self.balancer.stop()
        assert self.heard.crashes == []
