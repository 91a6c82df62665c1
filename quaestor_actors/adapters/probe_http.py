"""The health check by HTTP: GET, and whether the status of the answer is from 200 to 399 (RFC 9110, section 15).

An HTTP client library would follow redirects, keep connections and read bodies, none of which is wanted here: the
status line says it all.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import suppress
from urllib.parse import quote

from quaestor_actors.adapters.health_link import brief
from quaestor_actors.adapters.probe_connect import LINE_LIMIT, connection, silent, unreachable
from quaestor_actors.adapters.probe_verdict import Verdict
from quaestor_actors.core.location import join_address
from quaestor_actors.core.member import Health

FAREWELL_BYTES = 65_536
FAREWELL_S = 0.2
"""So much of an answer's rest is taken and thrown away, and so long: a server whose answer is cut off logs errors."""

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: .*)?\r?\n", re.DOTALL)

# What has a meaning in a request target stays; all else, line breaks first of all, is percent-encoded.
_TARGET_LETTERS = "/?:@!$&'()*+,;=~%[]"


async def answers_get(
    host_name: str, port: int, path: str, *, timeout_s: float, tls: ssl.SSLContext | None = None
) -> Verdict:
    """Ask for `path` once, and judge the status.

    Args:
        host_name: Of the server.
        port: Of the server.
        path: Begins with a slash; may have a query.
        timeout_s: From now to the end of the status line.
        tls: What to trust; None: plain text.
    """
    try:
        async with asyncio.timeout(timeout_s) as deadline, connection(host_name, port, tls=tls) as (reader, writer):
            writer.write(_request(host_name, port, path))
            line = await _first_line(reader)
            deadline.reschedule(None)
            if line.endswith(b"\n"):
                await _take_rest(reader)
    except TimeoutError:
        return silent(timeout_s)
    except OSError as error:
        return unreachable(host_name, port, error)
    if line:
        return _judge(path, line)
    detail = f"{join_address(host_name, port)} closed the connection without an answer"
    return Verdict(health=Health.UNREACHABLE, detail=detail)


def _request(host_name: str, port: int, path: str) -> bytes:
    # The one encoding that the name was looked up in.
    host = host_name if host_name.isascii() else host_name.encode("idna").decode("ascii")
    lines = (
        f"GET {quote(path, safe=_TARGET_LETTERS)} HTTP/1.1",
        f"Host: {join_address(host, port)}",
        "User-Agent: quaestor-probe",
        "Accept: */*",
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


async def _first_line(reader: asyncio.StreamReader) -> bytes:
    """Return the first line with its end, or what there is instead of one."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError:
        return await reader.read(LINE_LIMIT)


async def _take_rest(reader: asyncio.StreamReader) -> None:
    # The status is known: neither the end of the answer nor its absence can change the verdict.
    with suppress(TimeoutError, OSError, asyncio.IncompleteReadError):
        async with asyncio.timeout(FAREWELL_S):
            await reader.readexactly(FAREWELL_BYTES)


def _judge(path: str, line: bytes) -> Verdict:
    found = _STATUS_LINE.fullmatch(line)
    if found is None:
        said = brief(line.decode("latin-1").strip())
        return Verdict(health=Health.NOT_SERVING, detail=f'the answer is not HTTP: "{said}"')
    status = int(found[1])
    health = Health.SERVING if 200 <= status < 400 else Health.NOT_SERVING  # noqa: PLR2004 - RFC 9110's classes
    return Verdict(health=health, detail=brief(f"GET {path} is answered with status {status}"))
