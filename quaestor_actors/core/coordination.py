"""Who coordinates a cluster of several hosts, which of them are there, and what floats on this one: a pure machine.

Each host holds one lease. Under it are the key that says it is there, its claims on copies of floating agents, and, on
one host, the key of the coordinator. The coordinator writes where copies are to run, each time on the condition that it
still coordinates; a host runs a copy only while its claim on it is in the store under its own lease. So a copy that
moves is stopped where it was, then released, then claimed and started where it is to be; and when a host is lost its
lease ends, and with that everything that was its own, at once.

A host that cannot keep its lease alive ends what floats on it before the lease can end for others: by its own clock,
counted from before it last asked, less `Rules.margin_s`.

Leases and fencing: https://etcd.io/docs/v3.5/learning/why/#using-etcd-for-distributed-coordination
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from quaestor_actors.core import cluster_keys as keys
from quaestor_actors.core.coordination_changes import is_placed_here, next_change, own_claims
from quaestor_actors.core.coordination_state import (
    Changed,
    ChangeFailed,
    Coordination,
    Effect,
    Event,
    Following,
    Grant,
    Kill,
    Leaving,
    Rules,
    RunningChanged,
    Term,
)
from quaestor_actors.core.placement import Slot
from quaestor_actors.core.store import Deleted, KeyValue
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
    Revoke,
    Watch,
    Watched,
)

RETRY_S = 0.05
"""How soon something that failed is tried again at first: an endpoint that is lost is left for the next one."""

LAST_RETRY_S = 0.5

Step = tuple[Coordination, list[Effect]]


def create(*, now: float, term: Term | None = None, granted: dict[Slot, int] | None = None) -> Coordination:
    """Return the state at the beginning.

    Args:
        now: seconds.
        term: a predecessor's on this host since it was booted, to be gone on with.
        granted: what the predecessor was entitled to run; if the term is over, it is killed.
    """
    return Coordination(
        term=term,
        granted=dict(granted or {}),
        # A predecessor has not granted a thousand times a second.
        grant=int(now * 1000),
        lease_at=now,
        follow_at=now,
        change_at=now,
    )


def decide(state: Coordination, event: Event, now: float, rules: Rules) -> Step:
    """Return the next state, and what is to be done."""
    state = _taken_in(state, event, now, rules)
    state, effects = _entitled(state, now, rules)
    state, lease_effects = _tend_lease(state, now, rules)
    state, follow_effects = _follow(state, now)
    state, changes = next_change(state, now, rules)
    return state, [*effects, *lease_effects, *follow_effects, *changes]


def next_deadline(state: Coordination, now: float, rules: Rules) -> float | None:
    """Return when time alone will change something, after the decision of this time."""
    times = []
    if state.lease_asked_at is None:
        times.append(state.lease_at)
    if state.following is Following.NOTHING:
        times.append(state.follow_at)
    if state.changing is None:
        times.append(state.change_at)
    if state.term is not None:
        times.append(state.term.ends_at - rules.margin_s)
    return min((at for at in times if at > now), default=None)


def is_entitled(state: Coordination, now: float, rules: Rules) -> bool:
    """Return whether this host may still run what it has claimed."""
    return state.term is not None and now < state.term.ends_at - rules.margin_s


def coordinator_of(state: Coordination, rules: Rules) -> str | None:
    """Return the host that coordinates, as far as is known."""
    found = state.entries.get(keys.coordinator_key(rules.cluster))
    return None if found is None else found.value


# What happened


def _taken_in(state: Coordination, event: Event, now: float, rules: Rules) -> Coordination:
    match event:
        case ClockAdvanced():
            return state
        case LeaseHeld():
            return _lease_held(state, event, now, rules)
        case LeaseGone():
            return _lease_gone(state, event, now)
        case LeaseFailed():
            return replace(state, lease_asked_at=None, lease_at=now + RETRY_S, trouble=event.reason)
        case Listed() | Watched() | FollowingFailed():
            return _followed(state, event, now) if event.number == state.follow_number else state
        case Changed() | ChangeFailed():
            return _changed(state, event, now) if event.number == state.changing else state
        case RunningChanged():
            return replace(state, running=event.running, heeded=event.grant)
        case Leaving():
            return replace(state, is_leaving=True)
        case _:
            assert_never(event)


def _followed(state: Coordination, event: Listed | Watched | FollowingFailed, now: float) -> Coordination:
    match event:
        case Listed():
            entries = {entry.key: entry for entry in event.listing.entries}
            state = replace(state, entries=entries, revision=event.listing.revision, is_current=True, must_see=0)
            return replace(state, following=Following.NOTHING, follow_at=now)
        case Watched():
            return _watched(state, event, now)
        case FollowingFailed():
            return _unfollowed(state, event.reason, now)
        case _:
            assert_never(event)


def _changed(state: Coordination, event: Changed | ChangeFailed, now: float) -> Coordination:
    state = replace(state, changing=None)
    match event:
        case Changed(succeeded=True):
            return replace(state, must_see=event.revision)
        case Changed():
            # Something has changed that is still on its way here.
            return replace(state, change_at=now + RETRY_S)
        case ChangeFailed():
            # It may have been made: nothing is decided on before the store has been read again.
            return _unfollowed(replace(state, change_at=now + LAST_RETRY_S), event.reason, now)
        case _:
            assert_never(event)


def _lease_held(state: Coordination, event: LeaseHeld, now: float, rules: Rules) -> Coordination:
    asked_at = now if state.lease_asked_at is None else state.lease_asked_at
    # The configuration may have changed since the lease was granted.
    term = Term(lease=event.lease, ends_at=asked_at + min(event.ttl_s, rules.ttl_s))
    return replace(state, term=term, lease_asked_at=None, lease_at=now + rules.refresh_s, trouble=None)


def _lease_gone(state: Coordination, event: LeaseGone, now: float) -> Coordination:
    state = replace(state, lease_asked_at=None, lease_at=now)
    if state.term is None or state.term.lease != event.lease:
        return state
    # Whatever ended it may have changed more than that, unseen.
    return _given_up(replace(state, term=None), now)


def _watched(state: Coordination, event: Watched, now: float) -> Coordination:
    if event.batch.revision < state.revision and not event.batch.events:
        return _unfollowed(state, "the store has lost data", now)
    entries = dict(state.entries)
    for change in event.batch.events:
        match change:
            case KeyValue():
                entries[change.key] = change
            case Deleted():
                entries.pop(change.key, None)
            case _:
                assert_never(change)
    revision = max((change.mod_revision for change in event.batch.events), default=state.revision)
    return replace(state, entries=entries, revision=revision, following=Following.WATCHING)


def _unfollowed(state: Coordination, reason: str, now: float) -> Coordination:
    return _given_up(replace(state, trouble=reason), now + RETRY_S)


def _given_up(state: Coordination, follow_at: float) -> Coordination:
    """Return the state without a list or watch; everything is listed again."""
    number = state.follow_number + 1
    return replace(state, following=Following.NOTHING, follow_number=number, follow_at=follow_at, is_current=False)


# What follows


def _entitled(state: Coordination, now: float, rules: Rules) -> Step:
    """Grant what this host may run by now, and end at once what it may not any more though it was not released."""
    if not is_entitled(state, now, rules):
        over = frozenset(state.granted) | (state.running or frozenset())
        reason = "the host's lease is lost" if state.term is None else "the host's lease could not be kept alive"
        return _granted(state, {}, over, reason)
    claims, running = own_claims(state, rules), state.running or frozenset()
    if not state.is_current:
        # What was claimed is claimed as long as the lease lasts, whatever is written elsewhere.
        unknown = running - claims.keys() - state.granted.keys()
        return _granted(state, {} if state.is_leaving else dict(state.granted), unknown, "no claim of it is known")
    lost = (running | frozenset(state.granted)) - claims.keys()
    may_run = {} if state.is_leaving else {slot: claims[slot] for slot in claims if is_placed_here(state, slot, rules)}
    return _granted(state, may_run, lost, "the host's claim is lost")


def _granted(state: Coordination, slots: dict[Slot, int], over: frozenset[Slot], reason: str) -> Step:
    kills: list[Effect] = [Kill(slots=over, reason=f"{reason}: others may run it")] if over else []
    if slots == state.granted and state.has_granted:
        return state, kills
    number = state.grant + 1
    # First of all nobody starts again what is killed.
    grant = Grant(number=number, slots=slots)
    return replace(state, granted=slots, grant=number, has_granted=True), [grant, *kills]


def _tend_lease(state: Coordination, now: float, rules: Rules) -> Step:
    if state.lease_asked_at is not None:
        return state, []
    if state.is_leaving and state.term is None:
        return state, []
    if state.is_leaving and state.term is not None and _has_left(state, rules):
        return replace(state, term=None), [Revoke(lease=state.term.lease)]
    if now < state.lease_at:
        return state, []
    asked = replace(state, lease_asked_at=now)
    if state.term is None:
        return asked, [GrantLease(ttl_s=rules.ttl_s)]
    return asked, [KeepAlive(lease=state.term.lease)]


def _has_left(state: Coordination, rules: Rules) -> bool:
    """Return whether nothing is left here that floats, as far as everybody has said."""
    has_stopped = state.running == frozenset() and state.heeded >= state.grant
    return has_stopped and state.is_current and state.changing is None and not own_claims(state, rules)


def _follow(state: Coordination, now: float) -> Step:
    if state.following is not Following.NOTHING or now < state.follow_at:
        return state, []
    number = state.follow_number + 1
    if state.is_current:
        following = replace(state, following=Following.WATCHING, follow_number=number)
        return following, [Watch(number=number, from_revision=state.revision + 1)]
    if state.changing is not None:
        # Nobody could tell whether the list is from before the change.
        return state, []
    return replace(state, following=Following.LISTING, follow_number=number), [ListAll(number=number)]
