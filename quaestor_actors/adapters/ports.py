"""TCP ports of this machine: which addresses a name stands for, whether a port is free there, and who holds it."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

_EVERY_ADDRESS = frozenset({("0.0.0.0",), ("::",)})  # noqa: S104 - compared with, not bound


def addresses_of(host_name: str) -> list[tuple[int, str]]:
    """Return family and literal address of everything that a name stands for.

    `localhost` is both loopback addresses, whatever the hosts file says.

    Raises:
        OSError: the name is unknown.
    """
    if host_name.casefold() == "localhost":
        return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    found = socket.getaddrinfo(host_name, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((int(family), str(address[0])) for family, _, _, _, address in found))


def try_to_bind(family: int, address: str, port: int, *, is_shared: bool = False) -> None:
    """Bind a port for a moment, as a server would; or as one of several servers on one port.

    Raises:
        OSError: it cannot be bound; EADDRINUSE if somebody listens there.
    """
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do; otherwise connections of a predecessor in TIME_WAIT would look like a taken port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind((address, port))


def is_taken(host_name: str, port: int) -> bool:
    """Return whether somebody listens on a port of a local host name, so that a new server could not."""
    try:
        addresses = addresses_of(host_name)
    except OSError:
        return False
    for family, address in addresses:
        try:
            try_to_bind(family, address, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
    return False


def free_port(host_name: str) -> int:
    """Return a port that is free on a local host name at this moment."""
    family, address = addresses_of(host_name)[0]
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.bind((address, 0))
        port: int = server.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who listens on a port."""

    pid: int | None
    """None: a process of another user, which nobody else may know."""
    text: str
    """For people."""

    def __str__(self) -> str:
        """For people."""
        return self.text


def holder_of(port: int, *, address: str | None = None) -> Holder:
    """Say which process listens on a local port, as far as this user may know.

    Args:
        port: the port.
        address: a literal one of this machine, where others may be somebody else's; None: any.
    """
    # Only somebody in trouble needs it, so nobody else pays for its import.
    import psutil  # noqa: PLC0415

    for connection in psutil.net_connections("tcp"):
        listens_there = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
        if not listens_there or connection.pid is None:
            continue
        if address is not None and connection.laddr[:1] not in {(address,), *_EVERY_ADDRESS}:
            continue
        try:
            name = psutil.Process(connection.pid).name()
        except psutil.NoSuchProcess:
            continue
        return Holder(pid=connection.pid, text=f"pid {connection.pid} ({name})")
    return Holder(pid=None, text="a process of another user")
