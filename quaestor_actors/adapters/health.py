"""The health of servers, as the standard protocol `grpc.health.v1` tells it, the moment it changes.

For each target there is one connection. `Health.Watch` pushes changes and breaks the moment the process dies;
a `Check` at an interval finds the process that hangs, whose stream just stays silent. A server without
`Watch` is asked by `Check` alone. After a loss the target is tried again almost at once, then less and less
often.

HTTP/2 keepalive would not do for hung servers: by default a gRPC server disconnects a client that pings more
often than every five minutes without data (`grpc.http2.min_ping_interval_without_data_ms`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import grpc

from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.health_link import HealthLink, HealthTarget, HealthTiming, ServiceHealth
from quaestor_actors.core.member import Health

__all__ = ["HealthReport", "HealthTarget", "HealthTiming", "HealthWatch", "ServiceHealth"]

FIRST_RETRY_S = 0.02
"""After a loss the first new try waits this long: a starting process is seen as soon as it listens."""

LAST_RETRY_S = 0.5
"""A target that stays away is tried this often; in between, at a 25th of the time it has been away."""

RETRIES_PER_S = 100
"""All lost targets together are tried at most this often; one try takes about 1 ms of processor time."""

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


class HealthWatch(Generic[Key]):
    """Watches any number of targets and reports every change of a verdict.

    All methods belong on the loop (`LoopThread.post`). `on_report` is called there: once when a target's
    first verdict is known, then at every change. A target that was removed is not reported any more, not even
    by what was under way.
    """

    def __init__(
        self, *, loop: LoopThread, timing: HealthTiming, on_report: Callable[[HealthReport[Key]], None]
    ) -> None:
        """Watch nothing yet."""
        self._loop = loop
        self._timing = timing
        self._on_report = on_report
        self._links: dict[Key, HealthLink] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._last: dict[Key, HealthReport[Key]] = {}

    def add(self, key: Key, target: HealthTarget) -> None:
        """Watch a target under the caller's own key; what was watched under this key before is dropped."""
        self.remove(key)
        link = HealthLink(target=target, timing=self._timing, pause=self._pause, changed=partial(self._changed, key))
        self._links[key] = link
        self._tasks[key] = self._loop.spawn(link.run())

    def remove(self, key: Key) -> None:
        """Stop watching; nothing happens if the key is unknown."""
        link = self._links.pop(key, None)
        if link is None:
            return
        link.drop()
        self._last.pop(key, None)
        self._tasks.pop(key).cancel()

    def channel(self, key: Key) -> grpc.aio.Channel | None:
        """Return the target's present connection for other calls; None while there is none.

        It is closed when the target is lost or removed, after that was reported.
        """
        link = self._links.get(key)
        return None if link is None else link.channel

    async def close(self) -> None:
        """Stop watching everything and close all connections."""
        tasks = list(self._tasks.values())
        for key in list(self._links):
            self.remove(key)
        if tasks:
            await asyncio.wait(tasks)

    def _pause(self, away_s: float) -> float:
        lost = sum(link.is_lost for link in self._links.values())
        return max(FIRST_RETRY_S, min(away_s / 25, LAST_RETRY_S), lost / RETRIES_PER_S)

    def _changed(self, key: Key) -> None:
        link = self._links.get(key)
        verdicts = () if link is None else link.verdicts
        if not verdicts:
            return
        worst = next((verdict for verdict in verdicts if verdict.health is not Health.SERVING), verdicts[0])
        report = HealthReport(key=key, health=worst.health, detail=worst.detail, services=verdicts)
        if report != self._last.get(key):
            self._last[key] = report
            self._on_report(report)
