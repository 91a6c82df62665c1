"""Leads calls to connections: the balancer's word, open channels, and what was learned from failures."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import Any

import grpc

from quaestor_actors.client.attempts import Attempts
from quaestor_actors.client.balancers import Balancers
from quaestor_actors.client.choice import Preference
from quaestor_actors.client.connections import Connection, Connections


class Router:
    """Knows where the next try of a call goes. Thread-safe."""

    def __init__(
        self, *, service: str, balancers: Balancers, connections: Connections[grpc.Channel], stick_s: float
    ) -> None:
        """Ask these balancers for this service."""
        self._service = service
        self._balancers = balancers
        self._connections = connections
        self._preference = Preference(stick_s)

    def take(self, attempts: Attempts) -> Connection[grpc.Channel]:
        """Return a connection for the next try of a call; it must be given back.

        Raises:
            ClientError: No location is known.
        """
        now = time.monotonic()
        self._close_unused(now)
        location = self._preference.get(now)
        if location is None or location in attempts.failed:
            location = self._balancers.pick(self._service, avoid=attempts.failed, timeout_s=attempts.remaining_s(now))
            self._preference.choose(location, now)
        return self._connections.take(location)

    def give_back(self, connection: Connection[grpc.Channel]) -> None:
        """Take note that a call has ended. May be called from gRPC's threads, so it closes nothing."""
        self._connections.give_back(connection, time.monotonic())

    def start(
        self, attempts: Attempts, start: Callable[[grpc.Channel, float | None], Any]
    ) -> tuple[Any, Connection[grpc.Channel]]:
        """Start one try of a call; its connection is given back by itself when it ends.

        Args:
            attempts: Of the call.
            start: Starts it, given a channel and the seconds that are left of its time, and returns it.

        Raises:
            ClientError: No location is known.
        """
        connection = self.take(attempts)
        try:
            call = start(connection.channel, attempts.remaining_s(time.monotonic()))
        except BaseException:
            self.give_back(connection)
            raise

        # A call that its caller forgets is cancelled by its end as an object, which a reference would put off.
        remembered = weakref.ref(call)

        def ended() -> None:
            ended_call = remembered()
            if ended_call is not None and ended_call.code() is grpc.StatusCode.UNAVAILABLE:
                self.retire(connection)
            self.give_back(connection)

        if not call.add_callback(ended):
            ended()
        return call, connection

    def retire(self, connection: Connection[grpc.Channel]) -> None:
        """Take note that nobody was there."""
        self._preference.drop(connection.location)
        self._connections.retire(connection)

    def close(self) -> None:
        """Close all connections; calls under way are cancelled."""
        for channel in self._connections.take_all():
            channel.close()

    def _close_unused(self, now: float) -> None:
        for channel in self._connections.take_unused(now):
            channel.close()
