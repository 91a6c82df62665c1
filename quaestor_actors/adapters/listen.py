"""Where a server is to listen: literal addresses, checked first, because gRPC only says "failed to bind"."""

from __future__ import annotations

import errno
import socket

import psutil

from quaestor_actors.errors import ConflictError, OperationError


def addresses_to_bind(host_name: str, port: int) -> tuple[str, ...]:
    """Return every address that the name stands for, as gRPC wants it, with the port free on each just now.

    `localhost` is both loopback addresses, as far as the machine has them, whatever its hosts file says. Port
    0 takes a free one, on the first address only.

    Args:
        host_name: Name or literal address of this machine.
        port: TCP port; 0 takes any free one.

    Raises:
        ConflictError: Somebody listens on the port already; names the process where that can be found out.
        OperationError: The name is unknown or not of this machine, or the port needs more rights.
    """
    resolved = _resolve(host_name, port)
    free = [address for address in resolved if _is_bindable(*address, host_name=host_name, port=port)]
    if not free:
        raise OperationError(f"cannot listen on {host_name}:{port}: this machine has no such address")
    if port == 0:
        del free[1:]
    return tuple(f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}" for family, host in free)


def _resolve(host_name: str, port: int) -> list[tuple[int, str]]:
    if host_name.casefold() == "localhost":
        return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    try:
        found = socket.getaddrinfo(host_name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise OperationError(f"cannot listen on {host_name}:{port}: {error.strerror}") from error
    return list(dict.fromkeys((int(family), str(address[0])) for family, _, _, _, address in found))


def _is_bindable(family: int, host: str, *, host_name: str, port: int) -> bool:
    """Return False if this machine does not have the address."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As gRPC does; otherwise connections of a predecessor in TIME_WAIT would look like a taken port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((host, port))
    except OSError as error:
        match error.errno:
            case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
                return False
            case errno.EADDRINUSE:
                raise ConflictError(_taken(host_name, port)) from error
            case _:
                raise OperationError(f"cannot listen on {host_name}:{port}: {error.strerror}") from error
    return True


def _taken(host_name: str, port: int) -> str:
    sentence = f"port {port} on {host_name} is taken"
    for connection in psutil.net_connections(kind="tcp"):
        listens_there = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
        if not listens_there or connection.pid is None:
            continue
        try:
            return f"{sentence} by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
        except psutil.NoSuchProcess:
            continue
    return f"{sentence} by another process"
