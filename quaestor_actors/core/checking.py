"""What a member's health checks lead to."""

from __future__ import annotations

from dataclasses import replace

from quaestor_actors.core import draining, recycling, stopping
from quaestor_actors.core.ending import ended, take_down
from quaestor_actors.core.member import (
    CHECKED,
    Health,
    HealthReported,
    Member,
    MemberState,
    Rules,
    StartProbe,
    Step,
    StopProbe,
)
from quaestor_actors.core.stopping import enter


def reported(member: Member, fact: HealthReported, now: float, rules: Rules, draw: float) -> Step:
    """Take in the verdict of one check."""
    if fact.incarnation != member.incarnation:
        return member, ()
    if member.state not in CHECKED or (member.process is None and not member.foreign):
        return member, ()
    was_asked = member.check_pending
    was_unreachable = member.health is fact.health is Health.UNREACHABLE
    had_failed = member.health in {Health.NOT_SERVING, Health.TIMEOUT}
    member = replace(member, health=fact.health, check=fact.detail, check_pending=False)
    if fact.health is Health.SERVING:
        return _well(member, fact.detail, now, rules, draw)
    if member.state is MemberState.STARTING:
        if member.foreign:
            return ended(member, f"{member.reason}, which does not serve: {fact.detail}", now, rules, draw)
        return member, ()
    if member.state is MemberState.DEGRADED and not was_asked and (was_unreachable or had_failed):
        # The same check says it in other words.
        return replace(member, reason=fact.detail), ()
    if fact.health is not Health.UNREACHABLE:
        return _check_failed(member, now, rules, draw)
    # The connection may come back while the process lives; that it has not, is judged at the deadline.
    return _degraded(member, now, rules.response_timeout_s)


def _well(member: Member, detail: str, now: float, rules: Rules, draw: float) -> Step:
    match member.state:
        case MemberState.STARTING:
            # While it serves, the reason goes on to say why its process was started.
            reason = f"{member.reason}; it serves, and is taken over" if member.foreign else member.reason
            return serves(member, reason, now, rules, draw)
        case MemberState.DEGRADED:
            return serves(member, detail, now, rules, draw)
        case _:
            return replace(member, failed_checks=0), ()


def serves(member: Member, reason: str, now: float, rules: Rules, draw: float) -> Step:
    """Return the member in service: discoverable, unless it is drained; its failed starts forgiven."""
    serving = replace(enter(member, MemberState.SERVING, reason, now, None), failed_starts=0, failed_checks=0)
    if serving.recycle_at is None:
        serving = replace(serving, recycle_at=recycling.recycle_at(serving, now, rules, draw))
    if serving.drained is not None:
        why = serving.drained if member.state is MemberState.DEGRADED else f"{serving.drained}; {reason}"
        return draining.enter(serving, why, now, rules)
    return replace(serving, deadline=recycling.next_look(serving, rules)), stopping.register(serving)


def _degraded(member: Member, now: float, patience_s: float) -> Step:
    return enter(member, MemberState.DEGRADED, member.check, now, now + patience_s), stopping.deregister(member)


def _check_failed(member: Member, now: float, rules: Rules, draw: float) -> Step:
    member = replace(member, failed_checks=member.failed_checks + 1)
    if member.failed_checks < rules.failure_threshold:
        return _degraded(member, now, rules.probe_interval_s)
    times = "" if rules.failure_threshold == 1 else f" {member.failed_checks} times in a row"
    return _unhealthy(member, f"unhealthy{times}: {member.check}", now, rules, draw)


def _unhealthy(member: Member, reason: str, now: float, rules: Rules, draw: float) -> Step:
    if member.foreign:
        return ended(member, f"{reason}; its process is not this cluster's and goes on", now, rules, draw)
    return take_down(member, reason, now, rules)


def still_degraded(member: Member, now: float, rules: Rules, draw: float) -> Step:
    """Judge a member that could not be reached for as long as it may be, or have another one checked again."""
    if member.health is Health.UNREACHABLE and not member.check_pending:
        member = replace(member, failed_checks=member.failed_checks + 1)
        if member.failed_checks >= rules.failure_threshold:
            return _unhealthy(member, f"unhealthy: {member.reason}", now, rules, draw)
    # To watch anew is to check anew: the verdict is told again, also when it is the same as before.
    again = replace(member, check_pending=True, deadline=now + rules.probe_interval_s)
    stop = StopProbe(member_id=member.member_id, incarnation=member.incarnation)
    return again, (stop, StartProbe(member_id=member.member_id, incarnation=member.incarnation))
