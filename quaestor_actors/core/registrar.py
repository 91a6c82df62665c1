"""Makes a shared store say what serves on this machine, and its followers know what serves anywhere.

Three things go on beside each other, each with at most one operation under way: a lease is kept alive, the store is
followed (listed once, then watched from the last revision), and what differs from what should be is written. Whatever
the store does (loses the lease, the data, its quorum or itself) the three lead back to the same state: the decision is
made from what is and what should be, never from what was done.

`decide` takes in what happened; whoever calls it performs the effects and tells it again at `next_deadline`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import assert_never

from quaestor_actors.core.location import Location, Registration
from quaestor_actors.core.location_key import key_of, location_of
from quaestor_actors.core.registrar_state import (
    Effect,
    Event,
    Following,
    OwnChanged,
    OwnComplete,
    Registrar,
    Rules,
    Trouble,
    Warn,
    WriteDone,
    WriteFailed,
)
from quaestor_actors.core.registrar_view import (
    OUTAGE_S,
    is_outage,
    told,
    with_batch,
    with_listing,
    with_longer_holds,
    without_expired_holds,
)
from quaestor_actors.core.registrar_writes import next_revocation, next_write, written
from quaestor_actors.core.store import NO_LEASE
from quaestor_actors.core.store_work import (
    ClockAdvanced,
    FollowingFailed,
    GrantLease,
    KeepAlive,
    LeaseFailed,
    LeaseGone,
    LeaseHeld,
    ListAll,
    Listed,
    Watch,
    Watched,
)

FIRST_RETRY_S = 0.05
LAST_RETRY_S = 0.5
"""The store is tried again after a fifth of the time for which it has been away, within these limits."""

REFUSED_RETRY_S = 5.0
"""A store that refuses us is tried again this late: checking a password takes it a tenth of a second."""

Touched = set[Location] | None
"""Locations whose registration may have changed; None: any may."""


def create(
    *,
    now: float,
    fallback: Iterable[Registration] = (),
    lease: int = NO_LEASE,
    former: int = NO_LEASE,
    carried: Mapping[str, tuple[int, int]] | None = None,
) -> Registrar:
    """Return the state at the beginning.

    Args:
        now: monotonic seconds.
        fallback: what followers are told as long as the store was never heard.
        lease: a predecessor's, to be gone on with if it is still alive.
        former: a predecessor's, to be replaced by another one.
        carried: a predecessor's, so that followers are told of the same incarnations.
    """
    return Registrar(
        fallback=tuple(fallback),
        carried=dict(carried or {}),
        lease=lease,
        former=former,
        mine=frozenset({lease, former} - {NO_LEASE}),
        lease_at=now,
        follow_at=now,
        begun_at=now,
    )


def decide(state: Registrar, event: Event, now: float, rules: Rules) -> tuple[Registrar, list[Effect]]:
    """Return the next state, and what is to be done."""
    state, touched, effects = _taken_in(state, event, now, rules)
    state = _settled(state, now, rules)
    state, over = without_expired_holds(state, now)
    touched = None if touched is None else touched | over
    state, lease_effects = _tend_lease(state, now, rules)
    state, follow_effects = _follow(state, now)
    state, writes = next_write(state, now)
    state, revocations = next_revocation(state)
    effects += [*lease_effects, *follow_effects, *writes, *revocations]
    if _may_tell(state, now, rules):
        state, news = told(state, touched, rules)
        effects += news
    return state, effects


def next_deadline(state: Registrar, now: float, rules: Rules) -> float | None:
    """Return when time alone will change something, after the decision of this time."""
    times = [held.until for held in state.held.values()]
    if not state.lease_busy:
        times.append(state.lease_at)
    if state.following is Following.NOTHING:
        times.append(state.follow_at)
    if state.view is None and state.is_complete:
        times.append(state.begun_at + rules.first_view_wait_s)
    if state.rewrite_at is not None:
        times.append(state.rewrite_at)
    if state.trouble is not None:
        times.append(state.trouble.since + OUTAGE_S)
    if state.dirty:
        times.append(state.write_at)
    # What is due has been done, or waits for something else.
    return min((at for at in times if at > now), default=None)


# What happened


def _taken_in(state: Registrar, event: Event, now: float, rules: Rules) -> tuple[Registrar, Touched, list[Effect]]:
    match event:
        case OwnChanged():
            return *_own_changed(state, event), []
        case OwnComplete():
            return replace(state, is_complete=True), None, []
        case Listed() | Watched() | FollowingFailed():
            if event.number != state.follow_number:
                return state, set(), []
            return _followed(state, event, now, rules)
        case LeaseHeld() | LeaseGone() | LeaseFailed():
            return _with_lease(state, event, now, rules), set(), []
        case WriteDone():
            # What was the original's, and is not of this machine any more, is gone from the view now.
            return written(state, event, now), {found for key in event.put if (found := location_of(key))}, []
        case WriteFailed():
            return _write_failed(state, event, now, rules), set(), []
        case ClockAdvanced():
            return state, set(), []
        case _:
            assert_never(event)


def _own_changed(state: Registrar, event: OwnChanged) -> tuple[Registrar, Touched]:
    own = dict(state.own)
    for location in event.removed:
        own.pop(key_of(location), None)
    own.update({key_of(added.location): added for added in event.added})
    touched = {*event.removed, *(added.location for added in event.added)}
    dirty = state.dirty | {key_of(location) for location in touched}
    # Whoever was awaited back there: it is ours now, and gone when we say so.
    held = {location: each for location, each in state.held.items() if key_of(location) not in own}
    return replace(state, own=own, dirty=dirty, held=held), touched


def _with_lease(state: Registrar, event: LeaseHeld | LeaseGone | LeaseFailed, now: float, rules: Rules) -> Registrar:
    # Nothing else is under way with leases.
    state = replace(state, lease_busy=False)
    match event:
        case LeaseHeld():
            return _lease_held(state, event, now, rules)
        case LeaseGone():
            return _lease_gone(state, event.lease, now, rules)
        case LeaseFailed():
            state = _troubled(state, event.reason, now)
            return replace(state, lease_is_sound=False, lease_at=now + _pause(state, now, refused=event.refused))
        case _:
            assert_never(event)


def _lease_held(state: Registrar, event: LeaseHeld, now: float, rules: Rules) -> Registrar:
    is_new = state.lease == NO_LEASE and event.lease not in state.mine
    if not is_new and event.lease != state.lease:
        # It was kept alive, and then a write has found it gone.
        return replace(state, lease_at=now)
    return replace(
        state,
        lease=event.lease,
        mine=state.mine | {event.lease},
        lease_is_sound=True,
        lease_at=now + rules.refresh_s,
    )


def _lease_gone(state: Registrar, lease: int, now: float, rules: Rules) -> Registrar:
    if lease != state.lease:
        return state
    # Whatever ended it may have changed more than that, unseen, and may have ended the leases of others, too.
    if state.following in {Following.BEGINNING, Following.WATCHING}:
        state = _given_up(state, now)
    return replace(
        state,
        lease=NO_LEASE,
        lease_is_sound=False,
        lease_at=now if state.lease_is_sound else state.lease_at,
        must_list=True,
        hold_until=now + rules.hold_s,
    )


def _write_failed(state: Registrar, event: WriteFailed, now: float, rules: Rules) -> Registrar:
    state = _troubled(state, event.reason, now)
    state = replace(
        state,
        writing=False,
        write_is_sound=False,
        write_at=now + _pause(state, now, refused=event.refused),
        dirty=state.dirty | frozenset(event.keys),
    )
    return _lease_gone(state, event.gone, now, rules) if event.gone != NO_LEASE else state


def _followed(
    state: Registrar, event: Listed | Watched | FollowingFailed, now: float, rules: Rules
) -> tuple[Registrar, Touched, list[Effect]]:
    warnings: list[Warn]
    match event:
        case Listed():
            state, warnings = with_listing(state, event.listing, now, rules)
            return replace(state, following=Following.NOTHING, follow_at=now), None, [*warnings]
        case Watched() if state.following is Following.BEGINNING and event.batch.revision < state.revision:
            # The store has lost data; what is there now must be looked at.
            return replace(_given_up(state, now + FIRST_RETRY_S), must_list=True), set(), []
        case Watched():
            if state.following is Following.BEGINNING:
                state = with_longer_holds(state, now, rules)
            state, touched, warnings = with_batch(state, event.batch, now, rules)
            return replace(state, following=Following.WATCHING), touched, [*warnings]
        case FollowingFailed(compacted=True):
            return replace(_given_up(state, now + FIRST_RETRY_S), must_list=True), set(), []
        case FollowingFailed():
            state = _given_up(_troubled(state, event.reason, now), now + _pause(state, now, refused=event.refused))
            # Lost data may look as if nothing had happened; only the loss of a lease is certain to show.
            return replace(state, must_list=state.must_list or state.lease == NO_LEASE), set(), []
        case _:
            assert_never(event)


def _given_up(state: Registrar, follow_at: float) -> Registrar:
    """Return the state without a list or watch; what may still come of it is dropped."""
    number = state.follow_number + 1
    return replace(state, following=Following.NOTHING, follow_at=follow_at, follow_number=number)


# What follows


def _tend_lease(state: Registrar, now: float, rules: Rules) -> tuple[Registrar, list[Effect]]:
    if state.lease_busy or now < state.lease_at:
        return state, []
    effect = GrantLease(ttl_s=rules.ttl_s) if state.lease == NO_LEASE else KeepAlive(lease=state.lease)
    return replace(state, lease_busy=True), [effect]


def _follow(state: Registrar, now: float) -> tuple[Registrar, list[Effect]]:
    if state.following is not Following.NOTHING or now < state.follow_at:
        return state, []
    number = state.follow_number + 1
    if state.must_list:
        return replace(state, following=Following.LISTING, follow_number=number), [ListAll(number=number)]
    watch = Watch(number=number, from_revision=state.revision + 1)
    return replace(state, following=Following.BEGINNING, follow_number=number), [watch]


def _may_tell(state: Registrar, now: float, rules: Rules) -> bool:
    if state.view is not None:
        return True
    return state.is_complete and (state.is_informed or now >= state.begun_at + rules.first_view_wait_s)


def _troubled(state: Registrar, reason: str, now: float) -> Registrar:
    since = now if state.trouble is None else state.trouble.since
    return replace(state, trouble=Trouble(since=since, reason=reason))


def _settled(state: Registrar, now: float, rules: Rules) -> Registrar:
    follows = state.following is Following.WATCHING
    # A write that is tried again has not succeeded yet.
    writes = state.write_is_sound or not (state.dirty or state.writing)
    if state.trouble is None or not state.lease_is_sound or not follows or not writes:
        return state
    hold_until = now + rules.hold_s if is_outage(state, now) else state.hold_until
    return replace(state, trouble=None, hold_until=hold_until, write_is_sound=True)


def _pause(state: Registrar, now: float, *, refused: bool) -> float:
    if refused:
        return REFUSED_RETRY_S
    away_s = 0.0 if state.trouble is None else now - state.trouble.since
    return min(max(FIRST_RETRY_S, away_s / 5), LAST_RETRY_S)
