"""Which addresses a server listens on: all that its host name stands for, or none."""

from __future__ import annotations

import errno
import socket

import grpc
import grpc.aio

from quaestor_actors.adapters.ports import addresses_of, try_to_bind
from quaestor_actors.errors import ConflictError, OperationError


def listen(server: grpc.Server | grpc.aio.Server, *, host_name: str, port: int) -> int:
    """Have a server listen on every address of a host name, and return the port.

    gRPC itself is content with one address of several. A stranger who holds 127.0.0.1 but not ::1 would then get
    half of the requests, and nobody would notice; so each address is bound by itself, and must be free.

    Args:
        server: Not started yet.
        host_name: Name or literal address of this machine; `localhost` is both loopback addresses, as far as the
            machine has them.
        port: 0 takes a free one, on the first address only.

    Raises:
        ConflictError: the port is taken.
        OperationError: the name is unknown or not of this machine, or the port needs more rights.
    """
    place = f"{host_name}:{port}"
    try:
        free = [address for address in addresses_of(host_name) if _is_bindable(*address, port=port)]
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConflictError(f"cannot listen on {place}: the port is taken") from error
        raise OperationError(f"cannot listen on {place}: {error.strerror}") from error
    if not free:
        raise OperationError(f"cannot listen on {place}: this machine has no such address")
    bound = port
    for family, host in free if port else free[:1]:
        try:
            bound = server.add_insecure_port(f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}")
        except RuntimeError as error:
            raise ConflictError(f"cannot listen on {place}: is the port taken?") from error
    return bound


def _is_bindable(family: int, host: str, *, port: int) -> bool:
    """Return False if this machine does not have the address; OSError if it cannot be bound for another reason.

    gRPC would tell no more than that it failed, and write lines of its own to stderr.
    """
    try:
        try_to_bind(family, host, port)
    except OSError as error:
        if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
            return False
        raise
    return True
