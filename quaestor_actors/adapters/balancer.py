"""The balancer without its actor: one thread that watches all locations and answers clients.

The decisions are `core.live_view`'s and `core.ranking`'s; this module lets them see the world and does what
they say. Everything below the public methods runs on the one loop, so a request sees one whole view and two
requests never race.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import assert_never

from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.frontend import Frontend, FrontendState
from quaestor_actors.adapters.hand_outs import HandOutExchange
from quaestor_actors.adapters.health import Credentials, HealthReport, HealthTarget, HealthTiming, HealthWatch
from quaestor_actors.adapters.loads import LoadWatch
from quaestor_actors.adapters.ranking_plugin import ranking_of
from quaestor_actors.adapters.tally import Tally
from quaestor_actors.adapters.tls import channel_credentials
from quaestor_actors.core.counted import discover_file
from quaestor_actors.core.live_entry import Entry, Standing
from quaestor_actors.core.live_view import (
    Connect,
    Disconnect,
    Effect,
    Event,
    HealthChanged,
    LiveView,
    LoadAsked,
    LoadFailed,
    LoadReported,
    LocationOffered,
    LocationsChanged,
    LocationsUpdated,
    LocationWithheld,
    StartAskingLoad,
    StopAskingLoad,
    decide,
    discover,
    discover_top,
    handed_out_elsewhere,
)
from quaestor_actors.core.load import LoadReport
from quaestor_actors.core.location import ClientTls, Location, Registration
from quaestor_actors.core.ranking import Ranking
from quaestor_actors.core.spec import BalancerSpec

HEARTBEAT_INTERVAL_S = 300.0
"""Of the health checks. Questions for the load come more often and find a hung location first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancerServing:
    """The first view is complete: the balancer says SERVING as soon as this was heard."""


Notice = LocationOffered | LocationWithheld | BalancerServing
"""What the owner is told: where clients are sent, and where not and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationStatus:
    """One registered location as the balancer sees it."""

    registration: Registration
    standing: Standing
    reason: str
    report: LoadReport | None
    load: float | None
    """What it is ranked by, hand-outs included: 0 idle, 1 full; None if it is not offered."""
    handed_out: int
    """Hand-outs that its report does not show yet."""
    report_age_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancerStatus:
    """The balancer at one moment; plain data that can go to another process."""

    host_name: str
    port: int
    state: FrontendState
    requests_answered: int
    locations: tuple[LocationStatus, ...]
    """Sorted by location."""


class Balancer:
    """Watches the registered locations and tells clients the best ones.

    The methods may be called from any one thread but the balancer's own. Nothing is created before `start`,
    so an instance may be made in a process that forks. After `on_crash` the owner is expected to end its
    process.
    """

    def __init__(
        self,
        spec: BalancerSpec,
        *,
        number: int = 1,
        directory: Path | None = None,
        on_notice: Callable[[Notice], None],
        on_crash: Callable[[BaseException], None],
        ranking: Ranking | None = None,
    ) -> None:
        """Prepare the balancer.

        Args:
            spec: Where to listen and how to judge.
            number: Of the `spec.frontends` that share the port, from 1.
            directory: Private to the user; where several of them find each other, and requests are counted.
            on_notice: Called on the balancer's thread with what is worth an event; must not block.
            on_crash: Called on the balancer's thread with an error that nobody expected.
            ranking: What "best" means; the default is the one that the specification names.
        """
        self._spec = spec
        self._loop = LoopThread(name="balancer", on_crash=on_crash)
        exchange = None
        if directory is not None and spec.frontends > 1:
            exchange = HandOutExchange(directory, number=number, count=spec.frontends)
        self._engine = _Engine(
            spec=spec,
            loop=self._loop,
            exchange=exchange,
            on_notice=on_notice,
            ranking=ranking or ranking_of(spec, seed=number - 1),
            tally=Tally(None if directory is None else directory / discover_file(number)),
        )
        self._port = spec.port

    def start(self) -> int:
        """Start the thread, listen, and return the port. The balancer says NOT_SERVING until its first view.

        Raises:
            ConflictError: The port is taken; the message names it and its holder.
            ConfigError: The certificate is unusable.
            OperationError: The host name or the port cannot be used.
        """
        self._loop.start()
        try:
            self._port = self._loop.call(self._engine.start()).result()
        except BaseException:
            self._loop.stop()
            raise
        return self._port

    def set_registrations(self, registrations: Iterable[Registration]) -> None:
        """Replace the registered locations by exactly these; returns before they are looked at.

        A location with another incarnation than before is a new one: its old connection is dropped at once.
        """
        event = LocationsChanged(registrations=tuple(registrations))
        self._loop.post(lambda: self._engine.take_registrations(event))

    def change_registrations(self, *, added: Iterable[Registration], removed: Iterable[Location]) -> None:
        """Add locations, or replace those at the same places, and remove others; returns before they are looked at."""
        event = LocationsUpdated(added=tuple(added), removed=tuple(removed))
        self._loop.post(lambda: self._engine.take_registrations(event))

    def drain(self, grace_s: float) -> None:
        """Say NOT_SERVING, finish the answers in flight for at most `grace_s` seconds, and stop listening."""
        self._loop.call(self._engine.frontend.drain(grace_s)).result()

    def stop(self) -> None:
        """Stop listening and watching at once, and end the thread. A second call does nothing."""
        if self._loop.is_running:
            self._loop.call(self._engine.close()).result()
            self._loop.stop()

    def status(self) -> BalancerStatus:
        """Return what the balancer sees now, without disturbing it. Only after `start`."""
        now = self._loop.time()
        entries = sorted(self._engine.view.entries(), key=lambda entry: entry.registration.location)
        return BalancerStatus(
            host_name=self._spec.host_name,
            port=self._port,
            state=self._engine.frontend.state,
            requests_answered=self._engine.frontend.requests_answered,
            locations=tuple(_location_status(entry, now=now) for entry in entries),
        )


class _Engine:
    """All that runs on the loop: what happens is put into the view, what the view wants is done.

    It is the frontend's `Discovery` and the `LoadListener` of who follows the loads.
    """

    def __init__(
        self,
        *,
        spec: BalancerSpec,
        loop: LoopThread,
        exchange: HandOutExchange | None,
        on_notice: Callable[[Notice], None],
        ranking: Ranking,
        tally: Tally,
    ) -> None:
        self.view = LiveView(load_report_max_age_s=spec.load_report_max_age_s)
        self.frontend = Frontend(spec=spec, discovery=self, tally=tally)
        self._loop = loop
        self._exchange = exchange
        self._on_notice = on_notice
        self._ranking = ranking
        self._random = random.Random()  # noqa: S311 - spreads load, keeps no secret
        self._has_registrations = False
        self._pending: set[Registration] = set()
        self._loads = LoadWatch(loop=loop, response_timeout_s=spec.response_timeout_s, listener=self)
        timing = HealthTiming(response_timeout_s=spec.response_timeout_s, heartbeat_interval_s=HEARTBEAT_INTERVAL_S)
        self._ca_certificate_file = spec.ca_certificate_file
        self._credentials: dict[ClientTls, Credentials] = {}
        self._health: HealthWatch[Registration] = HealthWatch(loop=loop, timing=timing, on_report=self._health_reported)

    @property
    def is_informed(self) -> bool:
        """Whether the registry has been heard."""
        return self._has_registrations

    def discover(self, *, scope: str, service_name: str, max_count: int) -> tuple[Location, ...]:
        """Answer `DiscoverServices`."""
        return discover(
            self.view,
            scope=scope,
            service_name=service_name,
            max_count=max_count,
            shuffle=self._random.shuffle,
        )

    def discover_top(self, *, scope: str, service_name: str, max_count: int) -> tuple[Location, ...]:
        """Answer `DiscoverTopServices`."""
        self._loads.note_demand()
        locations, self.view = discover_top(
            self.view,
            scope=scope,
            service_name=service_name,
            max_count=max_count,
            ranking=self._ranking,
            now=self._loop.time(),
        )
        for location in locations:
            self._note_hand_out(location)
        if self._exchange is not None:
            self._exchange.tell(locations)
        return locations

    def take_registrations(self, event: LocationsChanged | LocationsUpdated) -> None:
        """Take the registry's news."""
        self._has_registrations = True
        self._apply(event)

    def load_asked(self, registration: Registration) -> None:
        """Take note that a load is being asked for."""
        self._apply(LoadAsked(registration=registration))

    def load_reported(self, registration: Registration, report: LoadReport) -> None:
        """Take a load report."""
        self._apply(LoadReported(registration=registration, report=report))

    def load_pushed(self, registration: Registration, report: LoadReport) -> None:
        """Take a load report that nobody asked for."""
        # As if it had been asked for just now: where nothing else tells, it includes all that was handed out until now.
        self.load_asked(registration)
        self.load_reported(registration, report)

    def load_failed(self, registration: Registration, reason: str) -> None:
        """Take note that a load report did not come."""
        self._apply(LoadFailed(registration=registration, reason=reason))

    async def start(self) -> int:
        """Listen, to other frontends first; return the port."""
        if self._exchange is not None:
            self._exchange.start(self._handed_out_elsewhere)
        return await self.frontend.start()

    async def close(self) -> None:
        """End everything at once."""
        await self.frontend.drain(0)
        if self._exchange is not None:
            self._exchange.close()
        self._loads.close()
        await self._health.close()

    def _handed_out_elsewhere(self, locations: Sequence[Location]) -> None:
        self._loads.note_demand()
        self.view = handed_out_elsewhere(self.view, locations, now=self._loop.time())
        for location in locations:
            self._note_hand_out(location)

    def _note_hand_out(self, location: Location) -> None:
        registration = self.view.registration_at(location)
        if registration is not None:
            self._loads.note_hand_out(registration)

    def _health_reported(self, report: HealthReport[Registration]) -> None:
        self._apply(HealthChanged(registration=report.key, health=report.health, detail=report.detail))

    def _apply(self, event: Event) -> None:
        self.view, effects = decide(self.view, event, now=self._loop.time())
        for effect in effects:
            self._perform(effect)
        if self.frontend.state is FrontendState.WAITING and self._has_registrations:
            self._await_first_view(event)

    def _await_first_view(self, event: Event) -> None:
        """Begin to serve once every location is known to be usable or not."""
        if isinstance(event, LocationsChanged | LocationsUpdated):
            self._pending = {entry.registration for entry in self.view.entries() if entry.standing is Standing.PENDING}
        elif (entry := self.view.entry(event.registration)) is None or entry.standing is not Standing.PENDING:
            self._pending.discard(event.registration)
        if not self._pending:
            self._on_notice(BalancerServing())
            self.frontend.set_serving()

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Connect(registration=registration):
                self._health.add(registration, self._target(registration))
            case Disconnect(registration=registration):
                self._loads.stop(registration)
                self._health.remove(registration)
            case StartAskingLoad(registration=registration):
                channel = self._health.channel(registration)
                # There is one: its health was heard over it just now.
                assert channel is not None  # noqa: S101
                self._loads.start(registration, channel)
            case StopAskingLoad(registration=registration):
                self._loads.stop(registration)
            case LocationOffered() | LocationWithheld():
                self._on_notice(effect)
            case _:
                assert_never(effect)

    def _target(self, registration: Registration) -> HealthTarget:
        location = registration.location
        return HealthTarget(
            address=location.address,
            service_names=(location.service_name,),
            credentials=self._credentials_for(registration.tls) if location.use_tls else None,
        )

    def _credentials_for(self, tls: ClientTls) -> Credentials:
        """Return the same object for the same files, so that locations of one server can have one connection."""
        if tls not in self._credentials:
            files = asdict(tls)
            files["ca_certificate_file"] = files["ca_certificate_file"] or self._ca_certificate_file
            self._credentials[tls] = partial(channel_credentials, **files)
        return self._credentials[tls]


def _location_status(entry: Entry, *, now: float) -> LocationStatus:
    candidate = entry.candidate
    return LocationStatus(
        registration=entry.registration,
        standing=entry.standing,
        reason=entry.reason,
        report=None if candidate is None else candidate.report,
        load=candidate.load if candidate is not None and entry.is_offered else None,
        handed_out=0 if candidate is None else candidate.handed_out,
        report_age_s=None if entry.reported_at is None else now - entry.reported_at,
    )
