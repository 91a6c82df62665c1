"""Servers in this process for the verbs that ask one: a worker and a balancer as the original has them, with TLS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from support.certificates import Authority

from quaestor_actors.rpc.service_discovery_pb2 import (
    DiscoverServicesRequest,
    DiscoverServicesResponse,
    ServiceLocationMsg,
)
from quaestor_actors.rpc.service_discovery_pb2_grpc import (
    ServiceDiscoveryGrpcServicer,
    add_ServiceDiscoveryGrpcServicer_to_server,
)


class OriginalBalancer(ServiceDiscoveryGrpcServicer):
    """Answers with fixed locations, whatever the scope, without reflection and health: the least that there is."""

    def __init__(self, *ports: int) -> None:
        self._ports = ports
        self.requests: list[tuple[str, DiscoverServicesRequest]] = []

    def DiscoverServices(self, request: DiscoverServicesRequest, _context: Any) -> DiscoverServicesResponse:
        self.requests.append(("all", request))
        return self._response(request, self._ports)

    def DiscoverTopServices(self, request: DiscoverServicesRequest, _context: Any) -> DiscoverServicesResponse:
        self.requests.append(("top", request))
        return self._response(request, self._ports[: request.max_count or None])

    @staticmethod
    def _response(request: DiscoverServicesRequest, ports: Sequence[int]) -> DiscoverServicesResponse:
        return DiscoverServicesResponse(
            service_locations=[
                ServiceLocationMsg(service_name=request.service_name, host_name="10.0.0.7", port=port)
                for port in ports
                if request.service_name == "Worker"
            ]
        )


@contextmanager
def serving(balancer: OriginalBalancer, credentials: grpc.ServerCredentials | None = None) -> Iterator[str]:
    """Run a balancer and yield its address."""
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    add_ServiceDiscoveryGrpcServicer_to_server(balancer, server)
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


class Secured:
    """A server's credentials for the name `server.test`, and the options of a client that it accepts."""

    def __init__(self, folder: Path, *, is_mutual: bool = False) -> None:
        authority = Authority(folder)
        certificate, key = map(Path, authority.issue("server.test"))
        self.credentials = grpc.ssl_server_credentials(
            [(key.read_bytes(), certificate.read_bytes())],
            root_certificates=authority.root_pem if is_mutual else None,
            require_client_auth=is_mutual,
        )
        self.trust = ("--ca-certificate", authority.root_file)
        self.name = ("--server-name", "server.test")
        client, client_key = authority.issue("client.test")
        self.login = ("--client-certificate", client, "--client-key", client_key)
        self.login_in_one_file = ("--client-certificate", authority.combine((client, client_key)))
