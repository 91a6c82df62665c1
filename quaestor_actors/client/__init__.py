"""What a client of balanced services imports; needs gRPC, and nothing else of this project.

The same for asyncio is in `quaestor_actors.client.aio`.
"""

from quaestor_actors.client.balanced_channel import balanced_channel
from quaestor_actors.client.balancers import Balancers
from quaestor_actors.client.errors import (
    BalancerFailure,
    BalancersUnavailableError,
    ClientError,
    DiscoveryTimeoutError,
    NoLocationError,
)
from quaestor_actors.client.service_discovery import ServiceDiscovery
from quaestor_actors.client.service_location import ServiceLocation

__all__ = [
    "BalancerFailure",
    "Balancers",
    "BalancersUnavailableError",
    "ClientError",
    "DiscoveryTimeoutError",
    "NoLocationError",
    "ServiceDiscovery",
    "ServiceLocation",
    "balanced_channel",
]
