"""The prober actor: watches the health of one agent's members over gRPC, and tells the agent what changes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from thespian.actors import ActorAddress

from quaestor_actors.actors.base import Identity, Ready, Stop, Stopped, TreeActor
from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.health import HealthReport, HealthWatch
from quaestor_actors.adapters.health_link import HealthTarget, HealthTiming
from quaestor_actors.adapters.mailbox import Mailbox
from quaestor_actors.adapters.tls import channel_credentials
from quaestor_actors.core.lifecycle import Health

Target = tuple[str, int]
"""A member's id and incarnation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartProber:
    """From the agent: begin, with nothing to watch."""

    identity: Identity
    interval_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchMember:
    """From the agent: watch this incarnation at this address."""

    member_id: str
    incarnation: int
    address: str
    service_names: tuple[str, ...]
    """Each must serve; none: the whole server must."""
    use_tls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UnwatchMember:
    """From the agent: watch this incarnation no longer."""

    member_id: str
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthChanged:
    """What the last check of one member said."""

    member_id: str
    incarnation: int
    health: Health
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthNews:
    """To the agent: every change since the last message, in order."""

    changes: tuple[HealthChanged, ...]


class ProberActor(TreeActor):
    """Shell around `adapters.health`: one background thread watches all of the agent's members."""

    def __init__(self) -> None:
        """Begin with nothing; StartProber brings the timing."""
        super().__init__()
        self._heard: Mailbox[HealthReport[Target] | BaseException] = Mailbox()
        self._loop = LoopThread(name="prober", on_crash=self._heard.post)
        self._health: HealthWatch[Target] | None = None
        self._targets: dict[str, Target] = {}

    def receive(self, message: Any, sender: ActorAddress) -> None:
        """Handle the agent's wishes."""
        match message:
            case StartProber():
                self._start(message, sender)
            case WatchMember():
                self._watch_member(message)
            case UnwatchMember():
                if self._targets.get(message.member_id, ("", 0))[1] == message.incarnation:
                    self._drop(self._targets.pop(message.member_id))
            case Stop():
                self._loop.stop()
                self.send(self.parent, Stopped(identity=self.identity))
                self.end()
            case _:
                self.log.warning("unexpected message %s", type(message).__name__)

    def _start(self, message: StartProber, sender: ActorAddress) -> None:
        self.begin(message.identity, sender)
        self.watch(self._heard.fd, self._pass_on)
        self._loop.start()
        self._health = HealthWatch(
            loop=self._loop,
            timing=HealthTiming(response_timeout_s=message.timeout_s, heartbeat_interval_s=message.interval_s),
            on_report=self._heard.post,
        )
        self.send(sender, Ready(identity=self.identity, pid=os.getpid()))

    def _watch_member(self, message: WatchMember) -> None:
        target = (message.member_id, message.incarnation)
        if (before := self._targets.get(message.member_id)) is not None:
            if before == target:
                return
            self._drop(before)
        self._targets[message.member_id] = target
        health = self._require_health()
        where = HealthTarget(
            address=message.address,
            service_names=message.service_names,
            credentials=channel_credentials() if message.use_tls else None,
        )
        self._loop.post(lambda: health.add(target, where))

    def _drop(self, target: Target) -> None:
        health = self._require_health()
        self._loop.post(lambda: health.remove(target))

    def _require_health(self) -> HealthWatch[Target]:
        if self._health is None:
            raise RuntimeError("a prober is told what to watch only after StartProber")
        return self._health

    def _pass_on(self) -> None:
        changes: list[HealthChanged] = []
        for heard in self._heard.drain():
            if isinstance(heard, BaseException):
                raise heard
            member_id, incarnation = heard.key
            if self._targets.get(member_id) == heard.key:
                changes.append(
                    HealthChanged(
                        member_id=member_id, incarnation=incarnation, health=heard.health, detail=heard.detail
                    )
                )
        if changes:
            self.send(self.parent, HealthNews(changes=tuple(changes)))
