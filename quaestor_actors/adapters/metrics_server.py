"""A small HTTP server for one page, which is made anew for each request.

Whoever asks may be slow, or send anything: a request has one deadline, a size and a number of others beside it, and all
of them are on a thread of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.ports import holder_of, is_taken
from quaestor_actors.errors import ConflictError, OperationError

PATH = "/metrics"
REQUEST_DEADLINE_S = 5.0
"""From the connection to the last byte of the answer."""
CONNECTIONS = 16
"""At once; more are closed unheard. Those who scrape are few."""
LONGEST_REQUEST = 16_384
"""Bytes, with all headers."""

Page = Callable[[], Awaitable[str]]
"""Raises TimeoutError if it cannot be made in time."""


class MetricsServer:
    """Answers `GET /metrics`. Its methods belong on the loop, but for the constructor."""

    def __init__(self, *, host: str, port: int, content_type: str, page: Page) -> None:
        """Take where to listen, and who makes the page."""
        self._host = host
        self._port = port
        self._content_type = content_type
        self._page = page
        self._server: asyncio.Server | None = None
        self._open = 0

    async def start(self) -> None:
        """Listen.

        Raises:
            ConflictError: the port is taken; the message says by whom.
            OperationError: the host or the port cannot be used.
        """
        where = f"{self._host}:{self._port}"
        if is_taken(self._host, self._port):
            raise ConflictError(taken(self._host, self._port))
        try:
            self._server = await asyncio.start_server(
                self._connected, self._host, self._port, limit=LONGEST_REQUEST, reuse_address=True
            )
        except OSError as error:
            raise OperationError(
                f"the metrics cannot be had at {where}: {error.strerror}; set another host or port of metrics"
            ) from error

    async def close(self) -> None:
        """Listen no more; requests under way are left to the end of the loop."""
        if self._server is not None:
            self._server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= CONNECTIONS:
                async with asyncio.timeout(REQUEST_DEADLINE_S):
                    await self._serve(reader, writer)
        except (TimeoutError, OSError):
            # Too slow, or gone: there is nobody to tell.
            writer.transport.abort()
        finally:
            self._open -= 1
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return
        except asyncio.LimitOverrunError:
            writer.write(_answer("431 Request Header Fields Too Large", "the request is too long\n"))
        else:
            writer.write(await self._answer_to(head))
        await writer.drain()
        writer.write_eof()
        # Closing with bytes unread would reset the connection, and the answer with it.
        with contextlib.suppress(ConnectionError):
            while await reader.read(LONGEST_REQUEST):
                pass

    async def _answer_to(self, head: bytes) -> bytes:
        match head.split(b"\r\n", 1)[0].split(b" "):
            case [b"GET" | b"HEAD" as method, target, version] if version.startswith(b"HTTP/1."):
                if target.split(b"?", 1)[0] != PATH.encode():
                    return _answer("404 Not Found", f"the metrics are at {PATH}\n")
                try:
                    page = await self._page()
                except TimeoutError:
                    return _answer("503 Service Unavailable", "the cluster does not answer at the moment\n")
                return _answer("200 OK", page, content_type=self._content_type, with_body=method == b"GET")
            case [_, _, version] if version.startswith(b"HTTP/1."):
                return _answer("405 Method Not Allowed", "only GET\n", more="Allow: GET, HEAD\r\n")
            case _:
                return _answer("400 Bad Request", "this is no HTTP\n")


def _answer(
    status: str, body: str, *, content_type: str = "text/plain; charset=utf-8", more: str = "", with_body: bool = True
) -> bytes:
    content = body.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(content)}\r\n"
        f"{more}Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + (content if with_body else b"")


def taken(host: str, port: int) -> str:
    """Return the sentence about a port of the metrics that somebody else has."""
    return (
        f"the metrics' port {port} on {host} is taken by {holder_of(port)}: end that process, or set another port of "
        "metrics in the configuration"
    )


def start_server(loop: LoopThread, server: MetricsServer) -> None:
    """Have a server listen; from any other thread.

    Raises:
        ConflictError: the port is taken.
        OperationError: the host or the port cannot be used.
    """
    loop.call(server.start()).result(REQUEST_DEADLINE_S)


def stop_server(loop: LoopThread, server: MetricsServer) -> None:
    """Have a server give its port back; from any other thread."""
    loop.call(server.close()).result(REQUEST_DEADLINE_S)
