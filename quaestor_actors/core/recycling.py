"""When a member that serves is to be replaced nevertheless: by age, by memory, once it is idle."""

from __future__ import annotations

from dataclasses import replace

from quaestor_actors.core import stopping
from quaestor_actors.core.member import UP, BecameIdle, Member, MemberState, MemoryMeasured, Rules, Step
from quaestor_actors.core.restart import own_draw, vary

RECYCLING_SPREAD = 0.1
"""Part of the recycling interval by which chance varies it, as the original does."""

_BYTES_PER_MEGABYTE = 1_000_000
_SECONDS_PER_HOUR = 3600


def next_look(member: Member, rules: Rules) -> float | None:
    """Return when something changes by time alone for a member that serves: failures forgiven, or old enough."""
    stable_at = member.since + rules.backoff.stable_s if member.failures else None
    # A time that has passed already, while the member did not serve, is looked at at once.
    times = [stable_at, member.recycle_at if member.due is None else None]
    return min((at for at in times if at is not None), default=None)


def recycle_at(member: Member, now: float, rules: Rules, draw: float) -> float | None:
    """Return when a process that serves from now on is old enough to be replaced; None: never."""
    if rules.recycling_interval_s <= 0 or member.foreign:
        return None
    return now + rules.recycling_interval_s * vary(RECYCLING_SPREAD, own_draw(draw, member.member_id))


def forgiven(member: Member, now: float, rules: Rules) -> Member:
    """Return the member without its failures, if it has served for a stable time by now."""
    is_stable = member.state in UP and now >= member.since + rules.backoff.stable_s
    return replace(member, failures=0) if member.failures and is_stable else member


def looked_at(member: Member, now: float, rules: Rules) -> Member:
    """Return a member that serves after a time passed that `next_look` named."""
    if member.recycle_at is not None and now >= member.recycle_at and member.due is None:
        hours = rules.recycling_interval_s / _SECONDS_PER_HOUR
        member = replace(member, due=f"it is older than {hours:.3g} h")
    return replace(member, deadline=next_look(member, rules))


def became_idle(member: Member, fact: BecameIdle, now: float, rules: Rules) -> Step:
    """Go on with the stop of a member whose requests have finished, or say so of one that is drained."""
    if fact.incarnation != member.incarnation:
        return member, ()
    if member.state is MemberState.DRAINING:
        return stopping.terminate(member, now, rules)
    if member.state is MemberState.DRAINED:
        return replace(member, idle_watched=False, reason=f"{member.drained}; {fact.detail}"), ()
    return replace(member, idle_watched=False), ()


def memory_measured(member: Member, fact: MemoryMeasured, rules: Rules) -> Member:
    """Mark a member that has grown too large."""
    is_current = fact.incarnation == member.incarnation and not member.foreign
    if not is_current or not 0 < rules.recycling_bytes < fact.resident_bytes:
        return member
    used, limit = (count / _BYTES_PER_MEGABYTE for count in (fact.resident_bytes, rules.recycling_bytes))
    return replace(member, due=f"it uses {used:.0f} MB of memory, limit {limit:.0f}")


def rules_changed(member: Member, rules: Rules, draw: float) -> Member:
    """Apply a new recycling interval to a member that serves, or will again."""
    if member.state not in UP | {MemberState.DEGRADED}:
        return member
    changed = replace(member, due=None, recycle_at=recycle_at(member, member.since, rules, draw))
    if changed.state is MemberState.DEGRADED:
        return changed
    return replace(changed, deadline=next_look(changed, rules))
