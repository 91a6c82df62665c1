"""The open channels to locations: which may be used, which are to be closed.

It opens channels, and leaves closing to its callers, because that is a coroutine for the asynchronous ones.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from quaestor_actors.client.service_location import ServiceLocation

C = TypeVar("C")

LOCATION_OPTIONS = (
    # A new channel to a location that failed starts afresh, without the old one's reconnect pause.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


@dataclass(slots=True, eq=False)
class Connection(Generic[C]):
    """A channel to a location, and how many calls use it. Only `Connections` changes it."""

    location: ServiceLocation
    channel: C
    calls: int = 0
    idle_since: float = 0.0
    is_retired: bool = False


class Connections(Generic[C]):
    """Keeps channels open while they are of use. Thread-safe."""

    def __init__(self, connect: Callable[[ServiceLocation], C], *, idle_s: float) -> None:
        """Prepare.

        Args:
            connect: Makes a channel; must not block.
            idle_s: A channel that no call used for this long is to be closed.
        """
        self._connect = connect
        self._idle_s = idle_s
        # A call that is garbage-collected gives its connection back, also on a thread that is in here already.
        self._lock = threading.RLock()
        self._current: dict[ServiceLocation, Connection[C]] = {}
        self._retired: list[Connection[C]] = []
        self._is_closed = False

    def take(self, location: ServiceLocation) -> Connection[C]:
        """Return a connection for one call, which must be given back.

        Raises:
            ValueError: The connections are closed, as gRPC says it of a channel.
        """
        with self._lock:
            if self._is_closed:
                raise ValueError("Cannot invoke RPC on closed channel!")
            connection = self._current.get(location)
            if connection is None:
                connection = Connection(location, self._connect(location))
                self._current[location] = connection
            connection.calls += 1
            return connection

    def give_back(self, connection: Connection[C], now: float) -> None:
        """Take note that a call has ended."""
        with self._lock:
            connection.calls -= 1
            connection.idle_since = now

    def retire(self, connection: Connection[C]) -> None:
        """Start no more calls on a connection that failed; those under way go on."""
        with self._lock:
            if connection.is_retired or self._is_closed:
                return
            connection.is_retired = True
            self._current.pop(connection.location)
            self._retired.append(connection)

    def take_unused(self, now: float) -> list[C]:
        """Remove and return the channels that are to be closed: failed or idle for long, and without calls."""
        with self._lock:
            idle = [one for one in self._current.values() if not one.calls and now - one.idle_since > self._idle_s]
            for connection in idle:
                self._current.pop(connection.location)
            ended = [one for one in self._retired if not one.calls]
            for connection in ended:
                self._retired.remove(connection)
            return [connection.channel for connection in (*idle, *ended)]

    def take_all(self) -> list[C]:
        """Remove and return all channels, and open no more."""
        with self._lock:
            self._is_closed = True
            channels = [connection.channel for connection in (*self._current.values(), *self._retired)]
            self._current.clear()
            self._retired.clear()
            return channels
