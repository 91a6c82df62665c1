"""The health of servers, as the standard protocol `grpc.health.v1` tells it, the moment it changes.

Targets at the same server share connections. `Health.Watch` pushes changes and breaks the moment the process dies;
a `Check` at an interval finds the process that hangs, whose stream just stays silent. A server without
`Watch` is asked by `Check` alone. After a loss the server is tried again almost at once, then less and less
often.

HTTP/2 keepalive would not do for hung servers: by default a gRPC server disconnects a client that pings more
often than every five minutes without data (`grpc.http2.min_ping_interval_without_data_ms`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

import grpc

from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.health_link import (
    Credentials,
    HealthLink,
    HealthTarget,
    HealthTiming,
    Server,
    ServiceHealth,
)
from quaestor_actors.adapters.openings import Openings
from quaestor_actors.core.member import Health

__all__ = ["Credentials", "HealthReport", "HealthTarget", "HealthTiming", "HealthWatch", "ServiceHealth"]

FIRST_RETRY_S = 0.02
"""After a loss the first new try waits this long: a starting process is seen as soon as it listens."""

LAST_RETRY_S = 0.5
"""A server that stays away is tried this often; in between, at a 25th of the time it has been away."""

RETRIES_PER_S = 100
"""All lost servers together are tried at most this often; one try takes about 1 ms of processor time."""

OPENING_SERVICES = 128
"""So many services are asked for the first time at once. With thousands, answers would come too late to be believed."""

SHARING_SERVICES = 32
"""Over one connection. Each may take three streams, with its load, and some servers (Kestrel) allow 100 by default."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport(Generic[Key]):
    """The verdict on one target."""

    key: Key
    health: Health
    """Serving if all of its services serve, else the first other verdict."""
    detail: str
    """For people; belongs to `health`."""
    services: tuple[ServiceHealth, ...]


@dataclass(slots=True, kw_only=True, eq=False)
class _Party(Generic[Key]):
    """A connection, and who shares it."""

    link: HealthLink
    task: asyncio.Task[None]
    keys: dict[str, dict[Key, None]] = field(default_factory=dict)
    """By the names of their services, in the order in which they came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seat(Generic[Key]):
    """A target's place in a party."""

    party: _Party[Key]
    server: Server
    names: tuple[str, ...]


class HealthWatch(Generic[Key]):
    """Watches any number of targets and reports every change of a verdict.

    All methods belong on the loop (`LoopThread.post`). `on_report` is called there: once when a target's
    first verdict is known, then at every change. A target that was removed is not reported any more, not even
    by what was under way.
    """

    def __init__(
        self,
        *,
        loop: LoopThread,
        timing: HealthTiming,
        on_report: Callable[[HealthReport[Key]], None],
        on_check: Callable[[float], None] | None = None,
    ) -> None:
        """Watch nothing yet; `on_check` is told how long each `Check` took, also one without an answer."""
        self._loop = loop
        self._timing = timing
        self._on_report = on_report
        self._on_check = on_check
        self._openings = Openings(OPENING_SERVICES)
        self._seats: dict[Key, _Seat[Key]] = {}
        self._inviting: dict[Server, _Party[Key]] = {}
        """Whose connections newcomers may share."""
        self._lost: set[_Party[Key]] = set()
        self._last: dict[Key, HealthReport[Key]] = {}

    def add(self, key: Key, target: HealthTarget) -> None:
        """Watch a target under the caller's own key; what was watched under this key before is dropped."""
        self.remove(key)
        names = target.service_names or ("",)
        party = self._party_for(target.server, len(names))
        self._seats[key] = _Seat(party=party, server=target.server, names=names)
        for name in names:
            party.keys.setdefault(name, {})[key] = None
            party.link.follow(name)
        # Another target may have the same services, in another scope.
        if all(map(party.link.verdict, names)):
            self._loop.call_later(0, partial(self._judge, key))

    def remove(self, key: Key) -> None:
        """Stop watching; nothing happens if the key is unknown."""
        seat = self._seats.pop(key, None)
        if seat is None:
            return
        self._last.pop(key, None)
        party = seat.party
        for name in seat.names:
            keys = party.keys[name]
            del keys[key]
            if not keys:
                del party.keys[name]
                party.link.forget(name)
        # Whoever comes back after it has left may be another process, which must not be taken for the one that ends.
        self._invite_no_more(seat.server, party)
        if not party.keys:
            self._lost.discard(party)
            party.link.drop()
            party.task.cancel()

    def channel(self, key: Key) -> grpc.aio.Channel | None:
        """Return the target's present connection for other calls; None while there is none.

        It is closed when the target is lost, after that was reported, or some time after it was removed.
        """
        seat = self._seats.get(key)
        return None if seat is None else seat.party.link.channel

    async def close(self) -> None:
        """Stop watching everything and close all connections."""
        tasks = {seat.party.task for seat in self._seats.values()}
        for key in list(self._seats):
            self.remove(key)
        if tasks:
            await asyncio.wait(tasks)

    def _party_for(self, server: Server, size: int) -> _Party[Key]:
        party = self._inviting.get(server)
        if party is not None and party.link.is_well and len(party.keys) + size <= SHARING_SERVICES:
            return party
        link = HealthLink(
            server=server,
            timing=self._timing,
            openings=self._openings,
            pause=self._pause,
            on_check=self._on_check,
            changed=lambda names: self._changed(newest, names),
        )
        newest = self._inviting[server] = _Party[Key](link=link, task=self._loop.spawn(link.run()))
        return newest

    def _invite_no_more(self, server: Server, party: _Party[Key]) -> None:
        if self._inviting.get(server) is party:
            del self._inviting[server]

    def _pause(self, away_s: float) -> float:
        return max(FIRST_RETRY_S, min(away_s / 25, LAST_RETRY_S), len(self._lost) / RETRIES_PER_S)

    def _changed(self, party: _Party[Key], names: Collection[str]) -> None:
        if not party.keys:
            return
        (self._lost.add if party.link.is_lost else self._lost.discard)(party)
        # Each once; and whoever is told may remove it.
        for key in dict.fromkeys(key for name in names for key in party.keys.get(name, ())):
            self._judge(key)

    def _judge(self, key: Key) -> None:
        seat = self._seats.get(key)
        if seat is None:
            return
        verdicts = tuple(verdict for name in seat.names if (verdict := seat.party.link.verdict(name)) is not None)
        if len(verdicts) < len(seat.names):
            return
        worst = next((verdict for verdict in verdicts if verdict.health is not Health.SERVING), verdicts[0])
        report = HealthReport(key=key, health=worst.health, detail=worst.detail, services=verdicts)
        if report != self._last.get(key):
            self._last[key] = report
            self._on_report(report)
