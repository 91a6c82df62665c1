"""The prober actor: watches the health of one agent's members, and tells the agent what changes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from thespian.actors import ActorAddress

from quaestor_actors.actors.agent_messages import AgentPlan
from quaestor_actors.actors.base import Identity, Ready, Stop, Stopped, TreeActor
from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.health import HealthReport, HealthWatch
from quaestor_actors.adapters.health_link import HealthTarget, HealthTiming
from quaestor_actors.adapters.idleness import IdlenessWatch, IdleTarget
from quaestor_actors.adapters.mailbox import Mailbox
from quaestor_actors.adapters.plain_probes import PlainProbes, PlainTarget
from quaestor_actors.adapters.tally import Tally
from quaestor_actors.adapters.tls import channel_credentials
from quaestor_actors.core.histogram import PROBE
from quaestor_actors.core.location import ClientTls, join_address
from quaestor_actors.core.member import Health
from quaestor_actors.core.probe import ProbeKind, ProbeSpec

Target = tuple[str, int]
"""A member's id and incarnation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigureProber:
    """From the agent: this is how to watch from now on; what was watched is dropped, and has to be named again."""

    probe: ProbeSpec
    interval_s: float
    timeout_s: float
    host_name: str
    service_names: tuple[str, ...]
    """Each must serve; none: the whole server must."""
    use_tls: bool = False
    tls: ClientTls = field(default_factory=ClientTls)
    """In effect with `use_tls`."""
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Added to the environment of a command that is run as a probe."""
    working_directory: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartProber:
    """From the agent: begin, with nothing to watch."""

    identity: Identity
    configuration: ConfigureProber
    tally_path: Path | None = None
    """Where it counts health checks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchMember:
    """From the agent: watch this incarnation on this port."""

    member_id: str
    incarnation: int
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchIdleness:
    """From the agent: say once when this incarnation has no request running."""

    member_id: str
    incarnation: int
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnwatchMember:
    """From the agent: watch this incarnation no longer, neither its health nor its idleness."""

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
class MemberIdle:
    """A member has no request running, as far as anybody can tell."""

    member_id: str
    incarnation: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthNews:
    """To the agent: every change since the last message, in order."""

    prober: int
    """Its incarnation."""
    changes: tuple[HealthChanged, ...] = ()
    idle: tuple[MemberIdle, ...] = ()


def configuration_of(plan: AgentPlan) -> ConfigureProber:
    """Return how the members of an agent are to be watched."""
    return ConfigureProber(
        probe=plan.spec.probe,
        interval_s=plan.rules.probe_interval_s,
        timeout_s=plan.rules.response_timeout_s,
        service_names=plan.spec.service_names,
        use_tls=plan.spec.use_tls,
        tls=plan.spec.tls,
        host_name=plan.spec.host_name,
        environment=plan.spec.environment,
        working_directory=plan.spec.working_directory,
    )


Heard = HealthReport[Target] | MemberIdle | BaseException


class ProberActor(TreeActor):
    """Shell around the probes of `adapters`: one background thread watches all of the agent's members."""

    _configuration: ConfigureProber
    _probes: HealthWatch[Target] | PlainProbes[Target]
    _idleness: IdlenessWatch[Target]

    def __init__(self) -> None:
        """Begin with nothing; StartProber brings the configuration."""
        super().__init__()
        self._heard: Mailbox[Heard] = self.outside.make(Mailbox)
        self._loop = self.outside.make(LoopThread, name="prober", on_crash=self._heard.post)
        self._targets: dict[str, Target] = {}

    def receive(self, message: Any, sender: ActorAddress) -> None:
        """Handle the agent's wishes."""
        match message:
            case StartProber():
                self._start(message, sender)
            case ConfigureProber():
                self._reconfigure(message)
            case WatchMember():
                self._watch_member(message)
            case WatchIdleness():
                self._watch_idleness(message)
            case UnwatchMember():
                self._unwatch_member(message)
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
        self._tally = Tally(message.tally_path)
        self._idleness = self.outside.make(IdlenessWatch, loop=self._loop, on_idle=self._became_idle)
        self._configure(message.configuration)
        self.send(sender, Ready(identity=self.identity, pid=os.getpid()))

    def _configure(self, configuration: ConfigureProber) -> None:
        self._configuration = configuration
        if configuration.probe.kind is not ProbeKind.GRPC:
            self._probes = self.outside.make(
                PlainProbes, loop=self._loop, on_report=self._heard.post, on_check=self._checked
            )
            return
        timing = HealthTiming(
            response_timeout_s=configuration.timeout_s,
            heartbeat_interval_s=configuration.interval_s,
            check_interval_s=min(1.0, configuration.interval_s),
        )
        self._probes = self.outside.make(
            HealthWatch, loop=self._loop, timing=timing, on_report=self._heard.post, on_check=self._checked
        )

    def _checked(self, duration_s: float) -> None:
        """Take note of a check, on the thread."""
        self._tally.observe(PROBE, duration_s)

    def _reconfigure(self, configuration: ConfigureProber) -> None:
        former = self._probes

        def close() -> None:
            self._loop.spawn(former.close())

        self._loop.post(close)
        self._targets.clear()
        self._configure(configuration)

    def _watch_member(self, message: WatchMember) -> None:
        target = (message.member_id, message.incarnation)
        if (before := self._targets.get(message.member_id)) is not None:
            if before == target:
                return
            self._drop(before)
        self._targets[message.member_id] = target
        self._loop.post(self._adding(target, message.port))

    def _adding(self, target: Target, port: int) -> Callable[[], None]:
        to, probes = self._configuration, self._probes
        if isinstance(probes, HealthWatch):
            health_target = HealthTarget(
                address=join_address(to.host_name, port),
                service_names=to.service_names,
                credentials=partial(channel_credentials, **asdict(to.tls)) if to.use_tls else None,
            )
            return lambda: probes.add(target, health_target)
        plain_target = PlainTarget(
            spec=to.probe,
            host_name=to.host_name,
            port=port,
            interval_s=to.interval_s,
            timeout_s=to.timeout_s,
            environment=dict(to.environment),
            working_directory=to.working_directory,
            use_tls=to.use_tls,
            tls=to.tls,
        )
        return lambda: probes.add(target, plain_target)

    def _unwatch_member(self, message: UnwatchMember) -> None:
        target = (message.member_id, message.incarnation)
        self._loop.post(lambda: self._idleness.remove(target))
        if self._targets.get(message.member_id) == target:
            del self._targets[message.member_id]
            self._drop(target)

    def _drop(self, target: Target) -> None:
        probes = self._probes
        self._loop.post(lambda: probes.remove(target))

    def _watch_idleness(self, message: WatchIdleness) -> None:
        to = self._configuration
        where = IdleTarget(
            address=join_address(to.host_name, message.port),
            service_names=to.service_names,
            credentials=partial(channel_credentials, **asdict(to.tls)) if to.use_tls else None,
        )
        target = (message.member_id, message.incarnation)
        self._loop.post(lambda: self._idleness.add(target, where))

    def _became_idle(self, target: Target, detail: str) -> None:
        self._heard.post(MemberIdle(member_id=target[0], incarnation=target[1], detail=detail))

    def _pass_on(self) -> None:
        changes: list[HealthChanged] = []
        idle: list[MemberIdle] = []
        for heard in self._heard.drain():
            if isinstance(heard, BaseException):
                raise heard
            if isinstance(heard, MemberIdle):
                idle.append(heard)
                continue
            member_id, incarnation = heard.key
            if self._targets.get(member_id) == heard.key:
                changes.append(
                    HealthChanged(
                        member_id=member_id, incarnation=incarnation, health=heard.health, detail=heard.detail
                    )
                )
        if changes or idle:
            news = HealthNews(prober=self.identity.incarnation, changes=tuple(changes), idle=tuple(idle))
            self.send(self.parent, news)
