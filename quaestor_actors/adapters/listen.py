"""Where a server is to listen: literal addresses, checked first, because gRPC only says "failed to bind"."""

from __future__ import annotations

import errno
import socket

from quaestor_actors.adapters.ports import addresses_of, holder_of, try_to_bind
from quaestor_actors.errors import ConflictError, OperationError


def addresses_to_bind(host_name: str, port: int, *, is_shared: bool = False) -> tuple[str, ...]:
    """Return every address that the name stands for, as gRPC wants it, with the port free on each just now.

    `localhost` is both loopback addresses, as far as the machine has them, whatever its hosts file says. Port
    0 takes a free one, on the first address only.

    Args:
        host_name: Name or literal address of this machine.
        port: TCP port; 0 takes any free one.
        is_shared: Other processes of this user that share the port, too, may listen there already.

    Raises:
        ConflictError: Somebody listens on the port already; names the process where that can be found out.
        OperationError: The name is unknown or not of this machine, or the port needs more rights.
    """
    try:
        resolved = addresses_of(host_name)
    except OSError as error:
        raise OperationError(f"cannot listen on {host_name}:{port}: {error.strerror}") from error
    free = [
        address for address in resolved if _is_bindable(*address, host_name=host_name, port=port, is_shared=is_shared)
    ]
    if not free:
        raise OperationError(f"cannot listen on {host_name}:{port}: this machine has no such address")
    if port == 0:
        del free[1:]
    return tuple(f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}" for family, host in free)


def _is_bindable(family: int, host: str, *, host_name: str, port: int, is_shared: bool) -> bool:
    """Return False if this machine does not have the address."""
    try:
        try_to_bind(family, host, port, is_shared=is_shared)
    except OSError as error:
        match error.errno:
            case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
                return False
            case errno.EADDRINUSE:
                raise ConflictError(f"port {port} on {host_name} is taken by {holder_of(port)}") from error
            case _:
                raise OperationError(f"cannot listen on {host_name}:{port}: {error.strerror}") from error
    return True
