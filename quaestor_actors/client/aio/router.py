"""Leads calls to connections, for asyncio: as `quaestor_actors.client.router`, with coroutines."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc

from quaestor_actors.client.aio.balancers import Balancers
from quaestor_actors.client.attempts import Attempts
from quaestor_actors.client.choice import Preference
from quaestor_actors.client.connections import Connection, Connections


class Router:
    """Knows where the next try of a call goes. All methods belong on the loop."""

    def __init__(
        self, *, service: str, balancers: Balancers, connections: Connections[grpc.aio.Channel], stick_s: float
    ) -> None:
        """Ask these balancers for this service."""
        self._service = service
        self._balancers = balancers
        self._connections = connections
        self._preference = Preference(stick_s)
        self._judging: set[asyncio.Task[None]] = set()

    async def take(self, attempts: Attempts) -> Connection[grpc.aio.Channel]:
        """Return a connection for the next try of a call; it must be given back.

        Raises:
            ClientError: No location is known.
        """
        now = time.monotonic()
        for channel in self._connections.take_unused(now):
            await channel.close()
        location = self._preference.get(now)
        if location is None or location in attempts.failed:
            location = await self._balancers.pick(
                self._service, avoid=attempts.failed, timeout_s=attempts.remaining_s(now)
            )
            self._preference.choose(location, now)
        return self._connections.take(location)

    def give_back(self, connection: Connection[grpc.aio.Channel]) -> None:
        """Take note that a call has ended."""
        self._connections.give_back(connection, time.monotonic())

    def give_back_at_end(self, connection: Connection[grpc.aio.Channel], call: Any) -> None:
        """Give the connection back when the call ends, and retire it if that is because nobody was there."""

        def ended(ended_call: Any) -> None:
            self.give_back(connection)
            if not ended_call.cancelled():
                judging = asyncio.create_task(self._judge(connection, ended_call))
                self._judging.add(judging)
                judging.add_done_callback(self._judging.discard)

        call.add_done_callback(ended)

    def retire(self, connection: Connection[grpc.aio.Channel]) -> None:
        """Take note that nobody was there."""
        self._preference.drop(connection.location)
        self._connections.retire(connection)

    async def close(self, grace_s: float | None) -> None:
        """Close all connections; calls under way are cancelled after `grace_s` seconds, None is at once."""
        await asyncio.gather(*(channel.close(grace_s) for channel in self._connections.take_all()))

    async def _judge(self, connection: Connection[grpc.aio.Channel], ended_call: Any) -> None:
        if await ended_call.code() is grpc.StatusCode.UNAVAILABLE:
            self.retire(connection)
