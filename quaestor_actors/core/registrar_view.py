"""What the registrar takes in from the store, and what its followers come to see.

What serves on this machine counts as its owners tell it, whatever the store says; of the store counts what others have
registered. What vanishes right after an outage is held for a while: others have had the outage, too, and register
again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from quaestor_actors.core.location import ClientTls, Location, Registration
from quaestor_actors.core.location_key import key_of, location_of
from quaestor_actors.core.registrar_state import Following, Held, Registrar, Rules, Standing, Stored, Tell, Warn
from quaestor_actors.core.store import KeyValue, Listing, WatchBatch

OUTAGE_S = 1.0
"""What lasts shorter than this is no outage: nobody's lease has ended, and people need not be told."""

_NO_TLS = ClientTls()


def is_outage(state: Registrar, now: float) -> bool:
    """Whether the store has not been usable for a while."""
    return state.trouble is not None and now >= state.trouble.since + OUTAGE_S


def standing_of(state: Registrar, now: float) -> Standing:
    """Return how it stands with the store."""
    if state.is_informed:
        return Standing.DEGRADED if is_outage(state, now) else Standing.FOLLOWING
    return Standing.CONNECTING if state.view is None else Standing.FALLBACK


def with_listing(state: Registrar, listing: Listing, now: float, rules: Rules) -> tuple[Registrar, list[Warn]]:
    """Return the state with exactly the listed locations."""
    lost_data = listing.revision < state.revision
    holds = lost_data or _holds(state, now)
    stored: dict[str, Stored] = {}
    garbage: list[str] = []
    for entry in listing.entries:
        location = location_of(entry.key)
        if location is None:
            garbage.append(entry.key)
        else:
            stored[entry.key] = _stored(state, entry, location, carries_on=holds)
    held = {location: each for location, each in state.held.items() if key_of(location) not in stored}
    if holds:
        held |= {
            gone.location: Held(registration=_remote(gone, rules), until=now + rules.hold_s)
            for key, gone in state.stored.items()
            if key not in stored and _is_others(state, key, gone)
        }
    state, warnings = _warned(state, garbage)
    # Any of them may have changed; what needs nothing is sorted out before it is written.
    ours = {key for key, each in stored.items() if each.lease in state.mine}
    dirty = frozenset(state.own) | ours
    carried = {key: _carried(each) for key, each in stored.items() if each.incarnation != each.create_revision}
    state = replace(
        state,
        carried=carried,
        stored=stored,
        held=held,
        revision=listing.revision,
        is_informed=True,
        must_list=False,
        dirty=dirty,
    )
    return state, warnings


def with_batch(
    state: Registrar, batch: WatchBatch, now: float, rules: Rules
) -> tuple[Registrar, set[Location], list[Warn]]:
    """Return the state after some changes, the locations that they concern, and warnings."""
    holds = _holds(state, now)
    stored, held = dict(state.stored), dict(state.held)
    touched: set[Location] = set()
    garbage: list[str] = []
    for event in batch.events:
        location = location_of(event.key)
        if location is None:
            garbage.append(event.key)
            continue
        before = stored.get(event.key)
        if before is not None and event.mod_revision <= before.mod_revision:
            # An echo, older than what we have written since.
            continue
        touched.add(location)
        if isinstance(event, KeyValue):
            stored[event.key] = _stored(state, event, location, carries_on=location in held)
            held.pop(location, None)
        elif before is not None:
            del stored[event.key]
            if holds and _is_others(state, event.key, before):
                held[location] = Held(registration=_remote(before, rules), until=now + rules.hold_s)
    state, warnings = _warned(state, garbage)
    dirty = state.dirty | {key_of(location) for location in touched}
    state = replace(state, carried=_with_carried(state, stored, batch))
    # Not the batch's revision: a watch that catches up may be behind it, and would be resumed too late.
    revision = max((event.mod_revision for event in batch.events), default=0)
    revision = max(state.revision, revision)
    return replace(state, stored=stored, held=held, dirty=dirty, revision=revision), touched, warnings


def with_longer_holds(state: Registrar, now: float, rules: Rules) -> Registrar:
    """Return the state when the store is heard again: if that took long, what was held before is held anew."""
    if not state.held or not is_outage(state, now):
        return state
    until = now + rules.hold_s
    return replace(state, held={location: replace(each, until=until) for location, each in state.held.items()})


def without_expired_holds(state: Registrar, now: float) -> tuple[Registrar, set[Location]]:
    """Return the state without what was held long enough, and what that was.

    It is not long enough while the store is not heard: nobody can have registered again.
    """
    if state.following is not Following.WATCHING:
        return state, set()
    over = {location for location, each in state.held.items() if now >= each.until}
    if not over:
        return state, over
    return replace(state, held={key: each for key, each in state.held.items() if key not in over}), over


def told(state: Registrar, touched: Iterable[Location] | None, rules: Rules) -> tuple[Registrar, list[Tell]]:
    """Return the state after followers were told what has changed, and what they are told.

    Args:
        state: with a view, or with one to be made now.
        touched: the only locations that may have changed; None: any.
        rules: how the locations of others are connected to.
    """
    if state.view is None or touched is None:
        return _told_all(state, rules)
    view = dict(state.view)
    added, removed = [], []
    for location in touched:
        after = _registration_at(state, location, rules)
        if after == view.get(location):
            continue
        if after is None:
            del view[location]
            removed.append(location)
        else:
            view[location] = after
            added.append(after)
    if not added and not removed:
        return state, []
    return replace(state, view=view), [Tell(whole=False, added=tuple(added), removed=tuple(removed))]


def _told_all(state: Registrar, rules: Rules) -> tuple[Registrar, list[Tell]]:
    view = {each.location: each for each in state.fallback} if not state.is_informed else {}
    view |= {location: each.registration for location, each in state.held.items()}
    others = (each for each in state.stored.values() if each.lease not in state.mine)
    view |= {each.location: _remote(each, rules) for each in others}
    view |= {each.location: each for each in state.own.values()}
    before = state.view
    state = replace(state, view=view)
    if before is None:
        return state, [Tell(whole=True, added=tuple(view.values()))]
    added = tuple(each for location, each in view.items() if before.get(location) != each)
    removed = tuple(location for location in before if location not in view)
    return state, [Tell(whole=False, added=added, removed=removed)] if added or removed else []


def _registration_at(state: Registrar, location: Location, rules: Rules) -> Registration | None:
    key = key_of(location)
    own, stored = state.own.get(key), state.stored.get(key)
    if own is not None:
        return own
    if stored is not None and stored.lease not in state.mine:
        return _remote(stored, rules)
    if (held := state.held.get(location)) is not None:
        return held.registration
    if state.is_informed:
        return None
    return next((each for each in state.fallback if each.location == location), None)


def _holds(state: Registrar, now: float) -> bool:
    return now < state.hold_until or is_outage(state, now)


def _is_others(state: Registrar, key: str, stored: Stored) -> bool:
    return key not in state.own and stored.lease not in state.mine


def _remote(stored: Stored, rules: Rules) -> Registration:
    tls = rules.tls.get(stored.location.service_name, _NO_TLS) if stored.location.use_tls else _NO_TLS
    return Registration(location=stored.location, incarnation=stored.incarnation, tls=tls)


def _stored(state: Registrar, entry: KeyValue, location: Location, *, carries_on: bool) -> Stored:
    before, held = state.stored.get(entry.key), state.held.get(location)
    created, incarnation = state.carried.get(entry.key, (entry.create_revision, entry.create_revision))
    if created != entry.create_revision:
        incarnation = entry.create_revision
    if before is not None and (carries_on or before.create_revision == entry.create_revision):
        incarnation = before.incarnation
    elif held is not None:
        incarnation = held.registration.incarnation
    return Stored(
        location=location,
        incarnation=incarnation,
        create_revision=entry.create_revision,
        mod_revision=entry.mod_revision,
        lease=entry.lease,
    )


def _carried(stored: Stored) -> tuple[int, int]:
    return stored.create_revision, stored.incarnation


def _with_carried(state: Registrar, stored: Mapping[str, Stored], batch: WatchBatch) -> Mapping[str, tuple[int, int]]:
    changed = {event.key: stored.get(event.key) for event in batch.events}
    new = {key: _carried(each) for key, each in changed.items() if each and each.incarnation != each.create_revision}
    if not new and not state.carried.keys() & changed.keys():
        return state.carried
    return {key: pair for key, pair in state.carried.items() if key not in changed} | new


def _warned(state: Registrar, garbage: list[str]) -> tuple[Registrar, list[Warn]]:
    if not garbage or state.garbage:
        return state, []
    text = f"skipping what is no location in the store, e.g. the key {garbage[0]!r}; this is said only once"
    return replace(state, garbage=True), [Warn(text=text)]
