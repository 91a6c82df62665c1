"""How a member is taken out of service: deregister, drain, signal, kill."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from quaestor_actors.core.member import (
    UP,
    Deregister,
    Effect,
    Health,
    Kill,
    Member,
    MemberState,
    Register,
    Rules,
    Step,
    StopProbe,
    Terminate,
    WatchIdle,
)

KILL_AGAIN_S = 1.0
"""A process that has not gone this long after SIGKILL is killed again; nothing else can be done about it."""


def enter(
    member: Member, state: MemberState, reason: str, now: float, deadline: float | None, **changes: Any
) -> Member:
    """Return the member in another state, with other fields changed at the same time."""
    return replace(member, state=state, reason=reason, since=now, deadline=deadline, **changes)


def register(member: Member) -> tuple[Effect, ...]:
    """Make the member discoverable, if it has a port."""
    if member.port is None:
        return ()
    return (Register(member_id=member.member_id, incarnation=member.incarnation, port=member.port),)


def deregister(member: Member) -> tuple[Effect, ...]:
    """Make the member undiscoverable."""
    if member.port is None:
        return ()
    return (Deregister(member_id=member.member_id, incarnation=member.incarnation, port=member.port),)


def withdraw(member: Member) -> tuple[Effect, ...]:
    """Undo what made the member visible; safe to do twice."""
    return (*deregister(member), StopProbe(member_id=member.member_id, incarnation=member.incarnation))


def watch_idle(member: Member) -> WatchIdle:
    """Ask to be told when the member is idle."""
    return WatchIdle(member_id=member.member_id, incarnation=member.incarnation)


def kill(member: Member, now: float) -> Step:
    """End the process group without asking."""
    if member.process is None:
        return replace(member, deadline=now + KILL_AGAIN_S), ()
    killed = replace(member, state=MemberState.STOPPING, deadline=now + KILL_AGAIN_S)
    return killed, (Kill(member_id=member.member_id, process=member.process),)


def terminate(member: Member, now: float, rules: Rules) -> Step:
    """Ask the process group to end, and set the deadline after which it is killed."""
    if rules.shutdown_deadline_s <= 0:
        return kill(member, now)
    if member.process is None:
        # It is being started; what was started is ended as soon as it is known.
        return replace(member, state=MemberState.STOPPING, deadline=now + rules.shutdown_deadline_s), ()
    asked = replace(member, state=MemberState.STOPPING, deadline=now + rules.shutdown_deadline_s)
    return asked, (Terminate(member_id=member.member_id, process=member.process),)


def stop(member: Member, reason: str, now: float, rules: Rules, *, force: bool = False) -> Step:
    """Take a member of ours out of service.

    Requests under way are waited for only where there may be some: in a process that has served and still answers.
    """
    effects = withdraw(member)
    answers = member.health not in {Health.TIMEOUT, Health.UNREACHABLE}
    has_requests = member.state in UP | {MemberState.DEGRADED} and answers
    stopping = enter(member, MemberState.STOPPING, reason, now, None)
    if force:
        stopping, caused = kill(stopping, now)
    elif has_requests and rules.drain_s > 0:
        stopping = enter(member, MemberState.DRAINING, reason, now, now + rules.drain_s)
        caused = (watch_idle(member),)
    else:
        stopping, caused = terminate(stopping, now, rules)
    return stopping, (*effects, *caused)
