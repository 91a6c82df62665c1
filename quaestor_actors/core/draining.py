"""How a member is taken out of the answers while it stays up."""

from __future__ import annotations

from dataclasses import replace

from quaestor_actors.core import recycling, stopping
from quaestor_actors.core.member import DrainRequested, Member, MemberState, Rules, Step


def requested(member: Member, fact: DrainRequested, now: float, rules: Rules) -> Step:
    """Keep a member out of the answers from now on, whether it is up now or not."""
    if member.drained is not None:
        return member, ()
    drained = replace(member, drained=fact.reason)
    return enter(drained, fact.reason, now, rules) if member.state is MemberState.SERVING else (drained, ())


def enter(member: Member, reason: str, now: float, rules: Rules) -> Step:
    """Return the member out of the answers; whoever drained it wants to know when its requests have finished."""
    drained = stopping.enter(member, MemberState.DRAINED, reason, now, None, idle_watched=True)
    drained = replace(drained, deadline=recycling.next_look(drained, rules))
    return drained, (*stopping.deregister(drained), stopping.watch_idle(drained))
