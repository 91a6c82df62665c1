"""The arguments that one etcd is started with when this project knows its cluster; etcd's own names for them.

Source: etcd 3.5, "Configuration options" and "Clustering Guide" (static). The bootstrap arguments count only until a
member has data: later it knows its cluster from there.
"""

from __future__ import annotations

from dataclasses import dataclass

from quaestor_actors.core.location import join_address


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdListener:
    """One of the two doors of an etcd: that of its clients, or that of its peers."""

    host: str
    """As others know it."""
    address: str
    """What it listens on: etcd takes IP addresses there, and no names."""
    port: int
    use_tls: bool = False

    @property
    def listen_url(self) -> str:
        """Where it listens."""
        return f"{self._scheme}://{join_address(self.address, self.port)}"

    @property
    def advertised_url(self) -> str:
        """Where others find it."""
        return self.url_on(self.host)

    def url_on(self, host: str) -> str:
        """Return where the same door is on another host."""
        return f"{self._scheme}://{join_address(host, self.port)}"

    @property
    def _scheme(self) -> str:
        return "https" if self.use_tls else "http"


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdMember:
    """One etcd of a cluster of them, in which all have the same ports."""

    clients: EtcdListener
    peers: EtcdListener
    hosts: tuple[str, ...]
    """Of all members, as the peers' door knows them: this one's, too."""
    data_directory: str
    token: str
    """Tells this cluster of etcds from any other that once was at the same addresses."""


def etcd_arguments(member: EtcdMember) -> tuple[str, ...]:
    """Return the arguments that make an etcd this member."""
    clients, peers = member.clients, member.peers
    cluster = (f"{_name(host, clients.port)}={peers.url_on(host)}" for host in member.hosts)
    flags = {
        "--name": _name(peers.host, clients.port),
        "--data-dir": member.data_directory,
        "--listen-client-urls": clients.listen_url,
        "--advertise-client-urls": clients.advertised_url,
        "--listen-peer-urls": peers.listen_url,
        "--initial-advertise-peer-urls": peers.advertised_url,
        "--initial-cluster": ",".join(cluster),
        "--initial-cluster-token": member.token,
        "--initial-cluster-state": "new",
    }
    # In one word each: a value may begin with a dash.
    return tuple(f"{flag}={value}" for flag, value in flags.items())


def _name(host: str, port: int) -> str:
    """Return how a member is called: by its clients' address, which is what people look for in lists of members."""
    return join_address(host, port)
