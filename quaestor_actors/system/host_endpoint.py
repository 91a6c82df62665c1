"""Where the actors of this machine listen, for whom, and with which cookie: alone, or as one of several hosts."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network
from pathlib import Path

from quaestor_actors.adapters import ports
from quaestor_actors.adapters.runtime_directory import SystemRecord
from quaestor_actors.core.spec import ClusterSpec, HostSpec
from quaestor_actors.errors import ConflictError, OperationError
from quaestor_actors.system.charges import comes_free
from quaestor_actors.system.cookie import COOKIE_VARIABLE, load_cookie, load_or_create_cookie
from quaestor_actors.system.transport import LOOPBACK, Interface

CLOCK_SKEW_S = 10.0
"""How far the clocks of two hosts may be apart.

Clocks that are kept by NTP are within milliseconds. What is recorded on the wire is worth something only against an
endpoint on the same address and port that has started since, and less than this long after it was recorded.
"""

COOKIE_NAME = "cookie"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEndpoint:
    """How this machine takes part."""

    name: str = ""
    """Of the host; empty where there are no others."""
    configured_as: str = ""
    """The same, and also where there are no others; empty: the configuration names no hosts."""
    interface: Interface = field(default_factory=Interface)
    admin_port: int | None = None
    """None: any that is free."""
    peers: tuple[str, ...] = ()
    """The administrators of the other hosts, each as `host:port`."""
    cookie_file: str | None = None
    """None: the environment has the cookie, or, where there are no others, this machine makes its own."""

    def cookie(self, directory: Path) -> bytes:
        """Return the cookie; one that others must have is never made here.

        Args:
            directory: the cluster's runtime directory.

        Raises:
            OperationError: it cannot be used, or there is none.
        """
        if not self.peers:
            return load_or_create_cookie(directory / COOKIE_NAME)
        if self.cookie_file is None and COOKIE_VARIABLE not in os.environ:
            raise OperationError(
                "several hosts need a cookie that is the same on all of them: name its file in cookieFile, or set "
                f"{COOKIE_VARIABLE}"
            )
        return load_cookie(Path(self.cookie_file or directory / COOKIE_NAME))

    def check_port(self, patience_s: float) -> None:
        """Check that the actor system can listen where the other hosts look for it.

        Args:
            patience_s: how long a predecessor may still have the port.

        Raises:
            ConflictError: somebody else has the port.
            OperationError: the address is none of this machine.
        """
        if self.admin_port is None:
            return
        address = self.interface.address
        try:
            ports.try_to_bind(socket.AF_INET, address, 0)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            raise OperationError(
                f"{address}, the address of {self.name}, is no address of this machine: mend hosts, or say with "
                "--host which of them this is"
            ) from error
        if not comes_free(address, self.admin_port, patience_s):
            holder = ports.holder_of(self.admin_port, address=address)
            raise ConflictError(
                f"the port {self.admin_port} of the actors of {self.name} is taken by {holder}: end that process, or "
                "set another adminPort in hosts"
            )

    def record(self, admin_port: int, root_address: str, *, configuration: str | None) -> SystemRecord:
        """Return how commands on this machine reach the actor system, and which file it is configured by."""
        return SystemRecord(
            admin_port=admin_port,
            root_address=root_address,
            configuration=configuration,
            address=self.interface.address,
            cookie_file=self.cookie_file,
            host=self.name,
            configured_as=self.configured_as,
        )

    def port(self) -> int:
        """Return the port for the administrator of the next actor system."""
        return self.admin_port or ports.free_port(self.interface.address)


def endpoint_of(spec: ClusterSpec) -> HostEndpoint:
    """Return how the machine that runs this specification takes part in its cluster, in the present environment.

    Raises:
        OperationError: it is one of several hosts, and it is not said which.
    """
    if not spec.has_other_hosts:
        return HostEndpoint(configured_as=spec.host)
    own = next((host for host in spec.hosts if host.name == spec.host), None)
    if own is None:
        raise OperationError(f"{spec.host!r} is none of the hosts of {spec.name}: name in `host` which of them this is")
    return HostEndpoint(
        name=own.name,
        configured_as=own.name,
        interface=Interface(address=own.address, networks=_networks(spec, own), clock_skew_s=CLOCK_SKEW_S),
        admin_port=own.admin_port,
        peers=tuple(f"{host.address}:{host.admin_port}" for host in spec.hosts if host is not own),
        cookie_file=None if COOKIE_VARIABLE in os.environ else spec.cookie_file,
    )


def _networks(spec: ClusterSpec, own: HostSpec) -> tuple[IPv4Network | IPv6Network, ...]:
    texts = [*(host.address for host in spec.hosts), *spec.allowed_networks]
    if IPv4Address(own.address).is_loopback:
        # Whatever its address there, a machine talks to itself from the first one.
        texts.append(LOOPBACK)
    return tuple(dict.fromkeys(ip_network(text) for text in texts))
