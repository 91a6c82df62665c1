"""What the registrar has to write into the store, and to delete from it, for the store to say what serves here.

A key under somebody else's lease is left alone: whoever keeps that lease alive serves at that location as well, and
when they cease to, the key comes to be ours. Without a lease it is of the original, which says nothing about whether
anybody still serves there: it is put under our lease.
"""

from __future__ import annotations

from dataclasses import replace

from quaestor_actors.core.location_key import location_of
from quaestor_actors.core.registrar_state import Registrar, Stored, Write, WriteDone
from quaestor_actors.core.store import MAX_OPERATIONS, NO_LEASE
from quaestor_actors.core.store_work import Revoke

REWRITE_S = 1.0
"""A key that somebody deletes again and again is written at most this often."""


def next_write(state: Registrar, now: float) -> tuple[Registrar, list[Write]]:
    """Return the state, and the next part of what is to be written, if it can be now."""
    state = replace(state, rewrite_at=None)
    if state.writing or not _may_write(state) or not state.dirty or now < state.write_at:
        return state, []
    puts: list[tuple[str, str]] = []
    removals: list[tuple[str, int]] = []
    waiting: set[str] = set()
    rewrite_at: list[float] = []
    for key in sorted(state.dirty):
        stored = state.stored.get(key)
        if needs_put(state, key):
            lease, at = state.written.get(key, (NO_LEASE, 0.0))
            if lease == state.lease and now < at + REWRITE_S:
                rewrite_at.append(at + REWRITE_S)
                waiting.add(key)
            elif len(puts) < MAX_OPERATIONS:
                puts.append((key, state.own[key].location.service_name))
            else:
                waiting.add(key)
        elif stored is not None and needs_removal(state, key):
            if state.is_complete and len(removals) < MAX_OPERATIONS:
                removals.append((key, stored.lease))
            else:
                waiting.add(key)
    state = replace(state, dirty=frozenset(waiting), rewrite_at=min(rewrite_at, default=None))
    if not puts and not removals:
        return state, []
    write = Write(lease=state.lease, puts=tuple(puts), removals=tuple(removals))
    removing = {key: state.stored[key] for key, _ in removals}
    return replace(state, writing=True, removing=removing), [write]


def written(state: Registrar, done: WriteDone, now: float) -> Registrar:
    """Return the state after a write has succeeded."""
    stored = dict(state.stored)
    if done.revision > state.revision:
        # Else the store was heard of since: the keys are there, or are gone again.
        stored |= _put(state, done)
    for key in done.removed:
        # What is there instead was heard of since.
        if key in stored and stored[key] == state.removing.get(key):
            del stored[key]
    times: dict[str, tuple[int, float]] = {key: at for key, at in state.written.items() if _is_recent(at, now)}
    times |= dict.fromkeys(done.put, (done.lease, now))
    for key in done.removed:
        # Nobody else has deleted it.
        times.pop(key, None)
    return replace(state, stored=stored, written=times, writing=False, write_is_sound=True)


def _put(state: Registrar, done: WriteDone) -> dict[str, Stored]:
    put = {}
    for key in done.put:
        before = state.stored.get(key)
        if location := location_of(key):
            put[key] = Stored(
                location=location,
                incarnation=before.incarnation if before else done.revision,
                create_revision=before.create_revision if before else done.revision,
                mod_revision=done.revision,
                lease=done.lease,
            )
    return put


def needs_put(state: Registrar, key: str) -> bool:
    """Whether what serves here is not in the store under our lease, and not under somebody else's either."""
    if key not in state.own:
        return False
    stored = state.stored.get(key)
    return stored is None or (stored.lease != state.lease and stored.lease in state.mine | {NO_LEASE})


def needs_removal(state: Registrar, key: str) -> bool:
    """Whether the store has under a lease of ours what does not serve here."""
    stored = state.stored.get(key)
    return key not in state.own and stored is not None and stored.lease in state.mine


def next_revocation(state: Registrar) -> tuple[Registrar, list[Revoke]]:
    """Return the state without a predecessor's lease when nothing is under it any more, and its revocation."""
    is_busy = state.writing or state.dirty or not state.is_complete or not _may_write(state)
    if state.former == NO_LEASE or is_busy or any(each.lease == state.former for each in state.stored.values()):
        return state, []
    return replace(state, former=NO_LEASE), [Revoke(lease=state.former)]


def _may_write(state: Registrar) -> bool:
    return state.lease != NO_LEASE and state.lease_is_sound and state.is_informed and not state.must_list


def _is_recent(written: tuple[int, float], now: float) -> bool:
    return now < written[1] + REWRITE_S
