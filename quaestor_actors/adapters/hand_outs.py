"""Frontends on one port tell each other what they hand out, so that two of them do not send their clients to one place.

Each has a datagram socket in a directory that only its user can enter, by its number. What is sent to one that is just
being restarted is lost, and that does no harm: the workers' reports soon say the same.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from quaestor_actors.core.location import Location

_PER_DATAGRAM = 100
"""Locations; what is larger than a socket's buffer could not be sent."""

_MAX_SIZE = 65_536
_MAX_READS = 64
"""Datagrams read before others on the loop have their turn."""

Listener = Callable[[Sequence[Location]], None]


class HandOutExchange:
    """One frontend's end of it. All methods belong on the loop."""

    def __init__(self, directory: Path, *, number: int, count: int) -> None:
        """Prepare; `start` makes the socket.

        Args:
            directory: Where the sockets are; mode 0700.
            number: Of this frontend, from 1.
            count: Of all frontends.
        """
        self._directory = directory
        self._number = number
        self._others = [other for other in range(1, count + 1) if other != number]
        self._socket: socket.socket | None = None
        self._folder = -1

    def start(self, listener: Listener) -> None:
        """From now on, call the listener with what another one handed out."""
        # By way of a descriptor, since the name of a socket must be short, and a directory's need not be.
        self._folder = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        (self._directory / _name(self._number)).unlink(missing_ok=True)
        self._socket.bind(self._path(self._number))
        asyncio.get_running_loop().add_reader(self._socket, self._hear, listener)

    def tell(self, locations: Sequence[Location]) -> None:
        """Tell the others that these were handed out just now; all of one scope and service."""
        if self._socket is None:
            return
        for start in range(0, len(locations), _PER_DATAGRAM):
            datagram = _encode(locations[start : start + _PER_DATAGRAM])
            for other in self._others:
                try:
                    self._socket.sendto(datagram, self._path(other))
                except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
                    # It is being restarted, or has too much to do to listen.
                    continue

    def close(self) -> None:
        """Hear and tell nothing any more. The socket's file stays, for the successor to replace."""
        if self._socket is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._socket = None
        os.close(self._folder)

    def _path(self, number: int) -> str:
        return f"/proc/self/fd/{self._folder}/{_name(number)}"

    def _hear(self, listener: Listener) -> None:
        for _ in range(_MAX_READS):
            if self._socket is None:
                return
            try:
                datagram = self._socket.recv(_MAX_SIZE)
            except BlockingIOError:
                return
            listener(_decode(datagram))


def _name(number: int) -> str:
    return f"frontend-{number}.sock"


def _encode(locations: Sequence[Location]) -> bytes:
    first = locations[0]
    places = [(each.host_name, each.port, each.use_tls) for each in locations]
    return json.dumps((first.scope, first.service_name, places), separators=(",", ":")).encode()


def _decode(datagram: bytes) -> tuple[Location, ...]:
    scope, service_name, places = json.loads(datagram)
    return tuple(
        Location(scope=scope, service_name=service_name, host_name=host_name, port=port, use_tls=use_tls)
        for host_name, port, use_tls in places
    )
