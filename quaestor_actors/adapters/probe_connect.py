"""Connections for health checks: to whatever address of a name answers, and never to themselves."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from quaestor_actors.adapters.health_link import brief
from quaestor_actors.adapters.ports import addresses_of
from quaestor_actors.adapters.probe_verdict import Verdict
from quaestor_actors.core.location import join_address
from quaestor_actors.core.member import Health

LINE_LIMIT = 8_192
"""Longest line that a reader of these connections takes, in bytes; a peer may send anything."""


async def accepts_connections(host_name: str, port: int, *, timeout_s: float) -> Verdict:
    """Return whether a connection is accepted in time; it is closed at once."""
    try:
        async with asyncio.timeout(timeout_s), connection(host_name, port):
            return Verdict(health=Health.SERVING, detail="accepts connections")
    except TimeoutError:
        return silent(timeout_s)
    except OSError as error:
        return unreachable(host_name, port, error)


@asynccontextmanager
async def connection(
    host_name: str, port: int, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to the first address of a name that accepts, and disconnect at the end of the block.

    Raises:
        OSError: The name is unknown, or no address accepts; then the error is the first address's.
    """
    reader, writer = await _connect(host_name, port, tls)
    try:
        yield reader, writer
    finally:
        # Not `close`: over TLS it would go on to wait for the peer's farewell.
        writer.transport.abort()


def is_connected_to_itself(writer: asyncio.StreamWriter) -> bool:
    """Return whether a connection has itself as its peer.

    Where nobody listens on a port of the ephemeral range, a client may be given that very port as its own, and TCP's
    simultaneous open (RFC 9293, section 3.5) then connects it to itself.
    """
    return bool(writer.get_extra_info("sockname") == writer.get_extra_info("peername"))


def silent(timeout_s: float) -> Verdict:
    """Return the verdict that nothing came before the deadline."""
    return Verdict(health=Health.TIMEOUT, detail=f"no answer within {timeout_s:g} s")


def unreachable(host_name: str, port: int, error: OSError) -> Verdict:
    """Return the verdict that no connection could be made, or that it broke."""
    return Verdict(
        health=Health.UNREACHABLE, detail=f"no connection to {join_address(host_name, port)}: {_cause(error)}"
    )


async def _connect(
    host_name: str, port: int, tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    first_error: OSError | None = None
    for family, address in await _resolve(host_name):
        try:
            reader, writer = await asyncio.open_connection(
                address,
                port,
                family=family,
                limit=LINE_LIMIT,
                ssl=tls,
                server_hostname=None if tls is None else host_name,
            )
        except OSError as error:
            first_error = first_error or error
            continue
        if not is_connected_to_itself(writer):
            return reader, writer
        writer.transport.abort()
        first_error = first_error or _of_number(errno.ECONNREFUSED)
    raise first_error or _of_number(errno.EADDRNOTAVAIL)


async def _resolve(host_name: str) -> list[tuple[int, str]]:
    if host_name.casefold() == "localhost":
        return addresses_of(host_name)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host_name, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        # What cannot be encoded for the domain name system, it cannot know.
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from error
    return list(dict.fromkeys((int(family), str(address[0])) for family, _, _, _, address in found))


def _of_number(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _cause(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return brief(f"the certificate is not accepted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return brief(f"TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}")
    if isinstance(error, socket.gaierror) or error.errno is None:
        return brief(error.strerror or str(error))
    # The text that asyncio puts around the number repeats the address.
    return os.strerror(error.errno)
