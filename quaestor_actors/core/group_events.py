"""The events of an agent: what one decision has changed in it."""

from __future__ import annotations

from quaestor_actors.core.agent import Group, Phase
from quaestor_actors.core.event import Event, EventKind
from quaestor_actors.core.member import Member
from quaestor_actors.core.rollout import Rollout


def of_group(before: Group, after: Group, *, agent: str, at: float) -> list[Event]:
    """Return what a decision has changed in an agent: its members in their order, then the agent itself."""
    events = [
        _of_member(before.members.get(name), member, at)
        for name, member in after.members.items()
        if _has_changed(before.members.get(name), member)
    ]
    events += [
        Event(at=at, kind=EventKind.MEMBER, subject=name, before=member.state.value, after="gone", reason=member.reason)
        for name, member in before.members.items()
        if name not in after.members
    ]
    if before.rollout != after.rollout and (news := _of_rollout(before.rollout, after.rollout)):
        events.append(
            Event(at=at, kind=EventKind.AGENT, subject=agent, before=None, after="rolling restart", reason=news)
        )
    if before.phase is not after.phase:
        reason = after.reason or ("every condition is met" if after.phase is Phase.RUNNING else "as commanded")
        events.append(
            Event(
                at=at,
                kind=EventKind.AGENT,
                subject=agent,
                before=before.phase.value,
                after=after.phase.value,
                reason=reason,
            )
        )
    return events


def _of_rollout(before: Rollout, after: Rollout) -> str:
    if after.aborted:
        return f"aborted: {after.aborted}"
    if before.is_active and not after.is_active:
        return "every member serves again"
    if after.is_active and not before.is_active:
        return f"of {', '.join((*after.under_way, *after.left))}"
    return ""


def _has_changed(before: Member | None, after: Member) -> bool:
    if before is after:
        return False
    return before is None or (before.state, before.incarnation) != (after.state, after.incarnation)


def _of_member(before: Member | None, after: Member, at: float) -> Event:
    return Event(
        at=at,
        kind=EventKind.MEMBER,
        subject=after.member_id,
        before=None if before is None else before.state.value,
        after=after.state.value,
        reason=after.reason,
        pid=after.process.pid if after.process else None,
        incarnation=after.incarnation,
        restarts=after.restarts,
    )
