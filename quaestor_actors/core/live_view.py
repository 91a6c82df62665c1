"""What the balancer knows about every registered location, and the answers it gives from that.

A location is offered while its health is serving and its last `ReportLoad` was answered in time with a
capacity above 0. `decide` takes in what happened and returns the next view with what to do about it;
`discover` and `discover_top` answer a client from the view alone. Views are never changed, so a reader on any
thread sees a whole one. Whatever concerns an older incarnation of a location is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import assert_never

from quaestor_actors.core.load import LoadReport
from quaestor_actors.core.location import Location, Registration
from quaestor_actors.core.member import Health
from quaestor_actors.core.ranking import Candidate, Ranking


class Standing(StrEnum):
    """Whether clients are sent to a location."""

    PENDING = "pending"
    """Its first health check or load report is under way."""
    OFFERED = "offered"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known about one registered location. Times are seconds of the caller's monotonic clock."""

    registration: Registration
    health: Health | None = None
    """None until the first verdict."""
    health_detail: str = ""
    load_failure: str | None = None
    """Why the last `ReportLoad` had no usable answer; None if it had one, or none was asked yet."""
    candidate: Candidate | None = None
    """Its last report and the hand-outs since; only while it serves and answers `ReportLoad`."""
    reported_at: float | None = None
    handed_out_when_asked: int = 0
    """The candidate's count when the load was asked last; those requests may be in the coming report."""

    @property
    def is_offered(self) -> bool:
        """Whether the location may be handed out."""
        return self.candidate is not None and self.candidate.report.request_capacity > 0

    @property
    def standing(self) -> Standing:
        """Whether clients are sent to it; `reason` says why."""
        if self.is_offered:
            return Standing.OFFERED
        awaits_load = self.health is Health.SERVING and self.candidate is None and self.load_failure is None
        if self.health is None or awaits_load:
            return Standing.PENDING
        return Standing.WITHHELD

    @property
    def reason(self) -> str:
        """Why the location has its standing, for people."""
        if self.health is None:
            return "waiting for the first health check"
        if self.health is not Health.SERVING:
            return self.health_detail
        if self.load_failure is not None:
            return self.load_failure
        if self.candidate is None:
            return "waiting for the first load report"
        return "serving" if self.is_offered else "its request capacity is 0"


_Group = Mapping[Location, Entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveView:
    """All registered locations by (scope, service name). Treat the mappings as read-only."""

    hand_out_lifetime_s: float
    """After this time without another hand-out, a location's hand-outs no longer count as requests."""
    groups: Mapping[tuple[str, str], _Group] = field(default_factory=dict)

    def entries(self) -> Iterator[Entry]:
        """Yield every entry, group by group."""
        for group in self.groups.values():
            yield from group.values()

    def entry(self, registration: Registration) -> Entry | None:
        """Return the entry of exactly this incarnation, or None."""
        entry = self.groups.get(_group_of(registration.location), {}).get(registration.location)
        return entry if entry is not None and entry.registration == registration else None

    @property
    def is_judged(self) -> bool:
        """Whether every location is known to be usable or not, so that answers are complete."""
        return all(entry.standing is not Standing.PENDING for entry in self.entries())


# Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationsChanged:
    """The registry holds exactly these now. Of two incarnations of one location the newer counts."""

    registrations: tuple[Registration, ...]


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


Event = LocationsChanged | HealthChanged | LoadAsked | LoadReported | LoadFailed


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
    before = view.entry(event.registration)
    if before is None:
        return view, ()
    match event:
        case HealthChanged():
            after = _judge_health(before, event)
        case LoadAsked():
            after = replace(before, handed_out_when_asked=_handed_out(before))
        case LoadReported():
            after = _take_report(before, event, now=now)
        case LoadFailed():
            after = _take_failure(before, event)
        case _:
            assert_never(event)
    return _with_entry(view, after), _effects_of(before, after)


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
    entries = view.groups.get((scope, service_name), {}).values()
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
    group = view.groups.get((scope, service_name))
    if group is None:
        return (), view
    lapsed_at = now - view.hand_out_lifetime_s
    candidates = [
        _without_lapsed(entry.candidate, lapsed_at=lapsed_at) for entry in group.values() if entry.candidate is not None
    ]
    best = ranking.rank(candidates, now=now)[: max_count or None]
    handed_out = {candidate.location: _hand_out(group[candidate.location], candidate, now=now) for candidate in best}
    groups = {**view.groups, (scope, service_name): {**group, **handed_out}}
    return tuple(handed_out), LiveView(hand_out_lifetime_s=view.hand_out_lifetime_s, groups=groups)


def _relist(view: LiveView, event: LocationsChanged) -> tuple[LiveView, tuple[Effect, ...]]:
    wanted: dict[Location, Registration] = {}
    for registration in sorted(event.registrations, key=lambda each: each.incarnation):
        wanted[registration.location] = registration
    effects: list[Effect] = []
    for entry in view.entries():
        successor = wanted.get(entry.registration.location)
        if successor != entry.registration:
            effects += _drop(entry, successor)
    groups: dict[tuple[str, str], dict[Location, Entry]] = {}
    for location, registration in wanted.items():
        known = view.entry(registration)
        if known is None:
            effects.append(Connect(registration=registration))
        groups.setdefault(_group_of(location), {})[location] = known or Entry(registration=registration)
    return replace(view, groups=groups), tuple(effects)


def _drop(entry: Entry, successor: Registration | None) -> Iterator[Effect]:
    registration = entry.registration
    if entry.is_offered:
        reason = "no longer registered" if successor is None else "replaced by a newer incarnation"
        yield LocationWithheld(registration=registration, reason=reason)
    yield Disconnect(registration=registration)


def _judge_health(entry: Entry, event: HealthChanged) -> Entry:
    if event.health is Health.SERVING:
        return replace(entry, health=event.health, health_detail=event.detail)
    # Its reports end with its serving: after a break another process may answer at this address.
    return Entry(registration=entry.registration, health=event.health, health_detail=event.detail)


def _take_report(entry: Entry, event: LoadReported, *, now: float) -> Entry:
    if entry.health is not Health.SERVING:
        return entry
    known = entry.candidate
    if known is None:
        candidate = Candidate(location=entry.registration.location, report=event.report)
    elif known.report == event.report:
        # Nothing has changed at the worker, so what was handed out has not reached it yet.
        candidate = known
    else:
        # A hand-out after the question may not be in the answer.
        rest = max(known.handed_out - entry.handed_out_when_asked, 0)
        candidate = replace(known, report=event.report, handed_out=rest)
    return replace(entry, candidate=candidate, load_failure=None, reported_at=now)


def _take_failure(entry: Entry, event: LoadFailed) -> Entry:
    if entry.health is not Health.SERVING:
        return entry
    return replace(entry, candidate=None, load_failure=event.reason, handed_out_when_asked=0)


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


def _without_lapsed(candidate: Candidate, *, lapsed_at: float) -> Candidate:
    last = candidate.last_handed_out_at
    if candidate.handed_out == 0 or (last is not None and last > lapsed_at):
        return candidate
    return replace(candidate, handed_out=0)


def _hand_out(entry: Entry, candidate: Candidate, *, now: float) -> Entry:
    # A count that begins anew must not be lessened by the answer to a question from before.
    asked = entry.handed_out_when_asked if candidate.handed_out else 0
    counted = replace(candidate, handed_out=candidate.handed_out + 1, last_handed_out_at=now)
    return replace(entry, candidate=counted, handed_out_when_asked=asked)


def _handed_out(entry: Entry) -> int:
    return 0 if entry.candidate is None else entry.candidate.handed_out


def _with_entry(view: LiveView, entry: Entry) -> LiveView:
    location = entry.registration.location
    key = _group_of(location)
    group = {**view.groups.get(key, {}), location: entry}
    return replace(view, groups={**view.groups, key: group})


def _group_of(location: Location) -> tuple[str, str]:
    return location.scope, location.service_name
