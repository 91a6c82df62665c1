"""Where a service can be reached, as the registry holds it and the balancer hands it out."""

from __future__ import annotations

from dataclasses import dataclass, field


def join_address(host: str, port: int) -> str:
    """Return `host:port` as a gRPC target; an IPv6 address gets its brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Location:
    """One address that offers one service. Two locations are the same if all fields are equal."""

    scope: str = ""
    """Partition of the registry; compared exactly, empty in clusters of the original."""
    service_name: str
    host_name: str
    port: int
    use_tls: bool = False

    def __hash__(self) -> int:
        # Of what differs in practice: a request to the balancer takes a dozen hashes. A server may have many services.
        return hash((self.port, self.service_name, self.host_name))

    @property
    def address(self) -> str:
        """`host:port`, as a gRPC target."""
        return join_address(self.host_name, self.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """What a client needs to connect to a location by TLS. Files are PEM, their paths absolute."""

    ca_certificate_file: str | None = None
    """Whose certificates are trusted; None: those of the system's roots."""
    client_certificate: str | None = None
    """What is presented to a server that asks; holds its private key, too, unless that has a file of its own."""
    client_private_key_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A location together with the incarnation that offers it.

    A replacement of a dead process offers the same location under a new incarnation. Whoever holds a connection
    to the old process must drop it then, rather than wait for a reconnect back-off.
    """

    location: Location
    incarnation: int = 0
    """0 for a location that nobody of ours started."""
    tls: ClientTls = field(default_factory=ClientTls)
    """For a location with `use_tls`."""

    def __hash__(self) -> int:
        return hash(self.location)
