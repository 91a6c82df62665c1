"""What the balancer knows about every registered location, and the answers it gives from that.

A location is offered while its health is serving and its last `ReportLoad` was answered in time with a
capacity above 0. `decide` takes in what happened and returns the next view with what to do about it;
`discover` and `discover_top` answer a client from the view alone. Views are never changed, so a reader on any
thread sees a whole one. Whatever concerns an older incarnation of a location is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import assert_never

from quaestor_actors.core.live_entry import Entry, Standing
from quaestor_actors.core.load import LoadReport
from quaestor_actors.core.location import Location, Registration
from quaestor_actors.core.member import Health
from quaestor_actors.core.ranking import Candidate, KeyedRanking, Ranking
from quaestor_actors.core.service_locations import ServiceLocations
from quaestor_actors.core.standing_order import Change, OrderMemory

_NONE = ServiceLocations()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveView:
    """All registered locations by (scope, service name). Treat the mapping as read-only."""

    hand_out_lifetime_s: float = 1.0
    """So long after the last one, hand-outs no longer count as requests: their clients would have come by now."""
    load_report_max_age_s: float = 60.0
    """A report older than this no longer counts: how busy the location is, is unknown then."""
    services: Mapping[tuple[str, str], ServiceLocations] = field(default_factory=dict)

    def entries(self) -> Iterator[Entry]:
        """Yield every entry, service by service."""
        for service in self.services.values():
            yield from service.entries()

    def entry(self, registration: Registration) -> Entry | None:
        """Return the entry of exactly this incarnation, or None."""
        entry = self.services.get(_service_of(registration.location), _NONE).get(registration.location)
        return entry if entry is not None and entry.registration == registration else None

    def registration_at(self, location: Location) -> Registration | None:
        """Return who is registered at exactly this location, or None."""
        entry = self.services.get(_service_of(location), _NONE).get(location)
        return None if entry is None else entry.registration


# Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationsChanged:
    """The registry holds exactly these now. Of two incarnations of one location the newer counts."""

    registrations: tuple[Registration, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationsUpdated:
    """The registry holds these as well now, in place of others at the same locations, and those no longer."""

    added: tuple[Registration, ...] = ()
    removed: tuple[Location, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthChanged:
    """A location's health check has a new verdict."""

    registration: Registration
    health: Health
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadAsked:
    """`ReportLoad` is being sent; requests handed out from now on cannot be in its answer."""

    registration: Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReported:
    """`ReportLoad` was answered."""

    registration: Registration
    report: LoadReport


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFailed:
    """`ReportLoad` failed or was not answered in time."""

    registration: Registration
    reason: str


Event = LocationsChanged | LocationsUpdated | HealthChanged | LoadAsked | LoadReported | LoadFailed


# Effects


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """Begin to watch the location's health."""

    registration: Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect:
    """Drop everything that belongs to this incarnation of the location."""

    registration: Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAskingLoad:
    """Ask for the load now, and then again and again."""

    registration: Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAskingLoad:
    """The load is of no interest until the location serves again."""

    registration: Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationOffered:
    """Clients are sent to the location from now on."""

    registration: Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationWithheld:
    """Clients are no longer sent to the location, or will not be for now."""

    registration: Registration
    reason: str


Effect = Connect | Disconnect | StartAskingLoad | StopAskingLoad | LocationOffered | LocationWithheld


def decide(view: LiveView, event: Event, *, now: float) -> tuple[LiveView, tuple[Effect, ...]]:
    """Return the view after the event, and what to do in this order."""
    if isinstance(event, LocationsChanged):
        return _relist(view, event)
    if isinstance(event, LocationsUpdated):
        return _update(view, event)
    before = view.entry(event.registration)
    if before is None:
        return view, ()
    match event:
        case HealthChanged():
            after = before.judged(event.health, event.detail)
        case LoadAsked():
            after = before.asked()
        case LoadReported():
            after = before.reported(event.report, now=now)
        case LoadFailed():
            after = before.failed(event.reason)
        case _:
            assert_never(event)
    # A report that says nothing new, as most do, changes no order, unless the one before it has come to be too old.
    is_renewal = before.candidate is after.candidate and not before.is_stale(view.load_report_max_age_s, now=now)
    location = event.registration.location
    key = _service_of(location)
    service = view.services[key].with_entries((after,), reranked=() if is_renewal else (location,))
    return _with_service(view, key, service), _effects_of(before, after)


def discover(
    view: LiveView,
    *,
    scope: str,
    service_name: str,
    max_count: int,
    shuffle: Callable[[list[Location]], None],
) -> tuple[Location, ...]:
    """Return offered locations of exactly this scope and service, in random order.

    Args:
        view: What is known now.
        scope: Partition of the registry.
        service_name: Name of the service.
        max_count: How many at most; 0 means all.
        shuffle: Puts a list in random order, in place.
    """
    entries = view.services.get((scope, service_name), _NONE).entries()
    locations = [entry.registration.location for entry in entries if entry.is_offered]
    shuffle(locations)
    return tuple(locations[: max_count or None])


def discover_top(
    view: LiveView, *, scope: str, service_name: str, max_count: int, ranking: Ranking, now: float
) -> tuple[tuple[Location, ...], LiveView]:
    """Return offered locations of exactly this scope and service, best first, and the view that remembers it.

    Each returned location counts as one request more until its load report says otherwise, so two clients
    that ask at the same moment are sent to different locations.

    Args:
        view: What is known now.
        scope: Partition of the registry.
        service_name: Name of the service.
        max_count: How many at most; 0 means all.
        ranking: Decides what best means.
        now: Seconds of the monotonic clock.
    """
    service = view.services.get((scope, service_name))
    if service is None:
        return (), view
    memory = service.memory
    look = partial(_look, view, service, now=now)
    # All of them in order are had sooner by sorting than from an order in which all have to be moved then.
    if max_count and isinstance(ranking, KeyedRanking):
        memory, order = memory.refreshed(ranking, service, look, now=now)
        best: Sequence[Candidate] = order.best(max_count, now=now)
    else:
        candidates = [change.candidate for change in map(look, service) if change.candidate is not None]
        best = ranking.rank(candidates, now=now)[: max_count or None]
    found = tuple(each.location for each in best)
    return found, _with_hand_outs(view, (scope, service_name), service, found, now=now, memory=memory)


def handed_out_elsewhere(view: LiveView, locations: Sequence[Location], *, now: float) -> LiveView:
    """Return the view after another balancer process handed these out.

    Args:
        view: What is known now.
        locations: All of one scope and service; ones that are not offered here are no error.
        now: Seconds of the monotonic clock.
    """
    if not locations:
        return view
    key = _service_of(locations[0])
    service = view.services.get(key, _NONE)
    known = ((location, service.get(location)) for location in locations)
    offered = tuple(location for location, entry in known if entry is not None and entry.is_offered)
    return _with_hand_outs(view, key, service, offered, now=now) if offered else view


def _look(view: LiveView, service: ServiceLocations, location: Location, *, now: float) -> Change:
    """Return what a ranking is to know of the location at this time, and until when."""
    entry = service.get(location)
    if entry is None:
        return Change(location, None)
    return entry.as_of(now, hand_out_lifetime_s=view.hand_out_lifetime_s, report_max_age_s=view.load_report_max_age_s)


def _relist(view: LiveView, event: LocationsChanged) -> tuple[LiveView, tuple[Effect, ...]]:
    wanted: dict[Location, Registration] = {}
    for registration in sorted(event.registrations, key=lambda each: each.incarnation):
        wanted[registration.location] = registration
    effects: list[Effect] = []
    for entry in view.entries():
        successor = wanted.get(entry.registration.location)
        if successor != entry.registration:
            effects += _drop(entry, successor)
    entries: dict[tuple[str, str], dict[Location, Entry]] = {}
    for location, registration in wanted.items():
        known = view.entry(registration)
        if known is None:
            effects.append(Connect(registration=registration))
        entries.setdefault(_service_of(location), {})[location] = known or Entry(registration=registration)
    services = {key: view.services.get(key, _NONE).relisted(wanted_here) for key, wanted_here in entries.items()}
    return replace(view, services=services), tuple(effects)


def _update(view: LiveView, event: LocationsUpdated) -> tuple[LiveView, tuple[Effect, ...]]:
    effects: list[Effect] = []
    services = dict(view.services)
    for key, locations in _by_service(event.removed).items():
        service = services.get(key, _NONE)
        gone = [entry for location in locations if (entry := service.get(location)) is not None]
        effects += [effect for entry in gone for effect in _drop(entry, None)]
        services[key] = service.without([entry.registration.location for entry in gone])
    new = {added.location: added for added in event.added if view.registration_at(added.location) != added}
    for key, locations in _by_service(new).items():
        service = services.get(key, _NONE)
        replaced = [entry for location in locations if (entry := service.get(location)) is not None]
        effects += [effect for entry in replaced for effect in _drop(entry, new[entry.registration.location])]
        effects += [Connect(registration=new[location]) for location in locations]
        entries = [Entry(registration=new[location]) for location in locations]
        services[key] = service.with_entries(entries, reranked=locations)
    kept = {key: service for key, service in services.items() if any(service)}
    return replace(view, services=kept), tuple(effects)


def _by_service(locations: Iterable[Location]) -> dict[tuple[str, str], list[Location]]:
    found: dict[tuple[str, str], list[Location]] = {}
    for location in locations:
        found.setdefault(_service_of(location), []).append(location)
    return found


def _drop(entry: Entry, successor: Registration | None) -> Iterator[Effect]:
    registration = entry.registration
    if entry.is_offered:
        reason = "no longer registered" if successor is None else "replaced by a newer incarnation"
        yield LocationWithheld(registration=registration, reason=reason)
    yield Disconnect(registration=registration)


def _effects_of(before: Entry, after: Entry) -> tuple[Effect, ...]:
    registration = after.registration
    effects: list[Effect] = []
    was_serving, serves = before.health is Health.SERVING, after.health is Health.SERVING
    if was_serving and not serves:
        effects.append(StopAskingLoad(registration=registration))
    if serves and not was_serving:
        effects.append(StartAskingLoad(registration=registration))
    if after.is_offered and not before.is_offered:
        effects.append(LocationOffered(registration=registration))
    if after.standing is Standing.WITHHELD and before.standing is not Standing.WITHHELD:
        effects.append(LocationWithheld(registration=registration, reason=after.reason))
    return tuple(effects)


def _with_hand_outs(
    view: LiveView,
    key: tuple[str, str],
    service: ServiceLocations,
    locations: Sequence[Location],
    *,
    now: float,
    memory: OrderMemory | None = None,
) -> LiveView:
    lifetime_s = view.hand_out_lifetime_s
    handed_out = [service[each].handed_out(hand_out_lifetime_s=lifetime_s, now=now) for each in locations]
    return _with_service(view, key, service.with_entries(handed_out, reranked=locations, memory=memory))


def _with_service(view: LiveView, key: tuple[str, str], service: ServiceLocations) -> LiveView:
    # Not replace(), which takes three times as long; this is done for each request and each report.
    return LiveView(
        hand_out_lifetime_s=view.hand_out_lifetime_s,
        load_report_max_age_s=view.load_report_max_age_s,
        services={**view.services, key: service},
    )


def _service_of(location: Location) -> tuple[str, str]:
    return location.scope, location.service_name
