"""Which members are replaced now, so that never too many of an agent are away at once."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from quaestor_actors.core.member import Member, MemberState
from quaestor_actors.core.stopping import watch_idle

__all__ = ["choose", "watch_idle"]

CHANGED = "its configuration changed"
AWAY = frozenset(MemberState) - {MemberState.SERVING, MemberState.STOPPED}
"""States in which a member that is wanted does not serve; one that somebody stopped is not missed."""


def choose(
    members: Mapping[str, Member], wanted: Mapping[str, str], max_unavailable: int, idle: AbstractSet[str]
) -> tuple[dict[str, str], list[str]]:
    """Return the members to replace now with the reasons, and those of which to be told when they are idle.

    One that does not serve yet, or badly, is replaced at once when its specification changed: nothing is lost, and
    the change may be the remedy.

    Args:
        members: all members of an agent.
        wanted: fingerprints of what each is to be started from.
        max_unavailable: how many may be away at once.
        idle: members that are idle at this moment.
    """
    replaced = {
        name: CHANGED
        for name, member in members.items()
        if member.state in {MemberState.STARTING, MemberState.DEGRADED} and _is_outdated(member, wanted)
    }
    slots = max_unavailable - sum(member.state in AWAY for name, member in members.items() if name in wanted)
    for name, member in members.items():
        reason = _reason_to_go(member, wanted, idle)
        if slots > 0 and reason is not None:
            replaced[name] = reason
            slots -= 1
    due = [n for n, m in members.items() if m.state is MemberState.SERVING and m.due and not m.idle_watched]
    return replaced, [name for name in due if slots > 0 and name not in replaced]


def _reason_to_go(member: Member, wanted: Mapping[str, str], idle: AbstractSet[str]) -> str | None:
    if member.state is not MemberState.SERVING:
        return None
    if _is_outdated(member, wanted):
        return CHANGED
    if member.due is not None and member.member_id in idle:
        return f"recycled: {member.due}"
    return None


def _is_outdated(member: Member, wanted: Mapping[str, str]) -> bool:
    return not member.foreign and member.process is not None and wanted.get(member.member_id, "") != member.fingerprint
