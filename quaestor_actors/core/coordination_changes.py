"""What a host writes into the store of its cluster: that it is there, its claims, and, if it coordinates, the places.

One change is under way at a time, and each is made on the condition that what it was decided on still holds.
"""

from __future__ import annotations

from dataclasses import replace

from quaestor_actors.core import cluster_keys as keys
from quaestor_actors.core.coordination_state import Change, Coordination, Following, Rules, Term
from quaestor_actors.core.placement import Slot, place
from quaestor_actors.core.store import MAX_OPERATIONS, Condition, Delete, HasLease, HasRevision, Operation, Put

Wish = tuple[list[Operation], list[Condition]]


def next_change(state: Coordination, now: float, rules: Rules) -> tuple[Coordination, list[Change]]:
    """Return the state, and the next thing that is to be changed, if something is and it can be now."""
    is_busy = state.changing is not None or now < state.change_at
    if state.term is None or is_busy or not state.is_current or state.following is not Following.WATCHING:
        return state, []
    if now >= state.term.ends_at - rules.margin_s or state.revision < state.must_see:
        return state, []
    wish = (
        _be_there(state, state.term, rules)
        or _release(state, state.term, rules)
        or _coordinate(state, state.term, rules)
        or _claim(state, state.term, rules)
    )
    if wish is None:
        return state, []
    operations, conditions = wish
    number = state.last_change + 1
    change = Change(number=number, operations=tuple(operations), conditions=tuple(conditions))
    return replace(state, changing=number, last_change=number), [change]


def own_claims(state: Coordination, rules: Rules) -> dict[Slot, int]:
    """Return the copies that this host has claimed under its lease, each with its fencing token."""
    if state.term is None:
        return {}
    claims = {}
    for key, entry in state.entries.items():
        slot = keys.claimed_by(rules.cluster, key)
        if slot is not None and entry.lease == state.term.lease:
            claims[slot] = entry.create_revision
    return claims


def present_hosts(state: Coordination, rules: Rules) -> frozenset[str]:
    """Return the hosts that are there."""
    found = (keys.host_of(rules.cluster, key) for key in state.entries)
    return frozenset(host for host in found if host is not None)


def coordinates(state: Coordination, rules: Rules) -> bool:
    """Return whether this host is the coordinator, by its present lease."""
    found = state.entries.get(keys.coordinator_key(rules.cluster))
    return found is not None and state.term is not None and found.lease == state.term.lease


def _be_there(state: Coordination, term: Term, rules: Rules) -> Wish | None:
    key = keys.host_key(rules.cluster, rules.host)
    known = state.entries.get(key)
    if state.is_leaving:
        return _leave(state, term, rules)
    if known is not None:
        # If it is not under our lease it is a predecessor's, or another machine's of the same name: that has to end.
        return None
    return [Put(key=key, value=rules.host, lease=term.lease)], [HasRevision(key=key, mod_revision=0)]


def _leave(state: Coordination, term: Term, rules: Rules) -> Wish | None:
    """Let the others take over what is placed here, and coordinate."""
    mine = [keys.host_key(rules.cluster, rules.host), keys.coordinator_key(rules.cluster)]
    mine = [key for key in mine if key in state.entries and state.entries[key].lease == term.lease]
    if not mine:
        return None
    return [Delete(key=key) for key in mine], [HasLease(key=key, lease=term.lease) for key in mine]


def _coordinate(state: Coordination, term: Term, rules: Rules) -> Wish | None:
    key = keys.coordinator_key(rules.cluster)
    if state.is_leaving or rules.host not in present_hosts(state, rules):
        return None
    if key not in state.entries:
        return [Put(key=key, value=rules.host, lease=term.lease)], [HasRevision(key=key, mod_revision=0)]
    return _place(state, term, rules) if coordinates(state, rules) else None


def _place(state: Coordination, term: Term, rules: Rules) -> Wish | None:
    found = {slot: entry for key, entry in state.entries.items() if (slot := keys.slot_of(rules.cluster, key))}
    present = {slot: entry.value for slot, entry in found.items()}
    wanted = place(rules.floating, present_hosts(state, rules), rules.hosts, present)
    known = {slot for agent in rules.floating for slot in agent.slots}
    operations: list[Operation] = [
        Put(key=keys.slot_key(rules.cluster, slot), value=host)
        for slot, host in sorted(wanted.items())
        if present.get(slot) != host
    ]
    operations += [Delete(key=keys.slot_key(rules.cluster, slot)) for slot in sorted(present.keys() - known)]
    if not operations:
        return None
    operations = operations[:MAX_OPERATIONS]
    coordinator = HasLease(key=keys.coordinator_key(rules.cluster), lease=term.lease)
    # A change of ours that was given up may come late, over one that was made after it.
    return operations, [coordinator, *(_unchanged(state, each.key) for each in operations)]


def _claim(state: Coordination, term: Term, rules: Rules) -> Wish | None:
    if state.is_leaving:
        return None
    for key, entry in sorted(state.entries.items()):
        slot = keys.slot_of(rules.cluster, key)
        if slot is None or entry.value != rules.host:
            continue
        claim = keys.claim_key(rules.cluster, slot)
        if claim not in state.entries:
            # Where it runs is looked at once more in the store itself: the coordinator may have changed its mind.
            return [Put(key=claim, value=rules.host, lease=term.lease)], [
                _unchanged(state, key),
                _unchanged(state, claim),
            ]
    return None


def _release(state: Coordination, term: Term, rules: Rules) -> Wish | None:
    """Give up the claims on copies that are to run elsewhere and have stopped here."""
    if state.running is None or state.heeded < state.grant:
        return None
    stopped = own_claims(state, rules).keys() - state.granted.keys() - state.running
    over = sorted(slot for slot in stopped if state.is_leaving or not is_placed_here(state, slot, rules))
    if not over:
        return None
    # There are two conditions for each.
    over = over[: MAX_OPERATIONS // 2]
    released = [keys.claim_key(rules.cluster, slot) for slot in over]
    # When they are to run here after all they are started again under these claims.
    places = [_unchanged(state, keys.slot_key(rules.cluster, slot)) for slot in over]
    return [Delete(key=key) for key in released], [*(HasLease(key=key, lease=term.lease) for key in released), *places]


def _unchanged(state: Coordination, key: str) -> Condition:
    found = state.entries.get(key)
    return HasRevision(key=key, mod_revision=0 if found is None else found.mod_revision)


def is_placed_here(state: Coordination, slot: Slot, rules: Rules) -> bool:
    """Return whether the coordinator wants a copy to run on this host."""
    found = state.entries.get(keys.slot_key(rules.cluster, slot))
    return found is not None and found.value == rules.host
