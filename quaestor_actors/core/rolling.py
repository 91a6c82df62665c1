"""Which members are replaced now, so that never too many of an agent are away at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet

from quaestor_actors.core.member import LIVE, UP, Member, MemberState
from quaestor_actors.core.stopping import watch_idle

__all__ = ["choose", "outdated", "watch_idle"]

CHANGED = "its configuration changed"
BY_HAND = "restarted by hand, one after the other"
AWAY = frozenset(MemberState) - UP - {MemberState.STOPPED}
"""States in which a member that is wanted does not serve; one that somebody stopped or drained is not missed."""
FREE = frozenset({MemberState.STARTING, MemberState.DRAINED, MemberState.DEGRADED})
"""States of a member whose end takes nothing away from anybody."""


def choose(
    members: Mapping[str, Member],
    wanted: Mapping[str, str],
    max_unavailable: int,
    idle: AbstractSet[str],
    by_hand: Collection[str] = (),
) -> tuple[dict[str, str], list[str]]:
    """Return the members to replace now with the reasons, and those of which to be told when they are idle.

    One that does not serve yet, or badly, is replaced at once when its specification changed, or by hand: nothing is
    lost, and that may be the remedy.

    Args:
        members: all members of an agent.
        wanted: fingerprints of what each is to be started from.
        max_unavailable: how many may be away at once.
        idle: members that are idle at this moment.
        by_hand: members that somebody wants restarted one after the other.
    """
    replaced: dict[str, str] = {}
    for name, member in members.items():
        why = _wish(member, wanted, by_hand)
        if member.state in FREE and why is not None:
            replaced[name] = why
    slots = max_unavailable - sum(member.state in AWAY for name, member in members.items() if name in wanted)
    for name, member in members.items():
        if member.state not in UP or name in replaced or slots <= 0:
            continue
        why = _wish(member, wanted, by_hand)
        if why is None and member.due is not None and name in idle:
            why = f"recycled: {member.due}"
        if why is not None:
            replaced[name] = why
            slots -= 1
    due = [n for n, m in members.items() if m.state in UP and m.due and not m.idle_watched]
    return replaced, [name for name in due if slots > 0 and name not in replaced]


def outdated(members: Mapping[str, Member], wanted: Mapping[str, str]) -> list[str]:
    """Return the members whose process was started from another specification than the one that is in force."""
    return [name for name, member in members.items() if member.state in LIVE and _is_outdated(member, wanted)]


def _wish(member: Member, wanted: Mapping[str, str], by_hand: Collection[str]) -> str | None:
    if _is_outdated(member, wanted):
        return CHANGED
    return BY_HAND if member.member_id in by_hand else None


def _is_outdated(member: Member, wanted: Mapping[str, str]) -> bool:
    return not member.foreign and member.process is not None and wanted.get(member.member_id, "") != member.fingerprint
