"""A restart of members one after the other: how far it is, and whether it goes on.

Who goes next is for `rolling` to say, by the same limit as for a changed configuration. A replacement that ends, or is
ended, before it has served stops the rest: what was wrong with it would be wrong with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from quaestor_actors.core.member import UP, Member, MemberState

HAS_SERVED = UP | {MemberState.DEGRADED, MemberState.DRAINING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A rolling restart, of an agent that has had one."""

    left: tuple[str, ...] = ()
    """Members whose turn is still to come."""
    under_way: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Members that are being restarted, and the incarnation that each had."""
    aborted: str = ""
    """Why it did not come to its end."""
    number: int = 0
    """Counts the rolling restarts of the agent; 0: there was none."""

    @property
    def is_active(self) -> bool:
        """Return whether anything of it is still to be done."""
        return bool(self.left or self.under_way)


def begun(rollout: Rollout, members: Mapping[str, Member], names: list[str]) -> Rollout:
    """Return the rollout after the turn of these members has come."""
    if not names:
        return rollout
    under_way = {**rollout.under_way, **{name: members[name].incarnation for name in names}}
    left = tuple(name for name in rollout.left if name not in names)
    return replace(rollout, left=left, under_way=MappingProxyType(under_way))


def without(rollout: Rollout, name: str) -> Rollout:
    """Return the rollout without the turn of a member that somebody has stopped since."""
    return replace(rollout, left=tuple(other for other in rollout.left if other != name))


def advanced(rollout: Rollout, members: Mapping[str, Member]) -> Rollout:
    """Return the rollout without those members that serve again, or that somebody took out of it."""
    if not rollout.is_active:
        return rollout
    left = tuple(name for name in rollout.left if name in members and members[name].configured)
    going_on: dict[str, int] = {}
    for name, before in rollout.under_way.items():
        member = members.get(name)
        if member is None or (member.incarnation == before and not member.wanted):
            continue
        if member.incarnation == before or member.state is MemberState.STARTING:
            going_on[name] = before
        elif member.state not in HAS_SERVED:
            return aborted(replace(rollout, left=left), f"{name} did not serve after its restart: {member.reason}")
    return replace(rollout, left=left, under_way=MappingProxyType(going_on))


def unless_stuck(rollout: Rollout, failed: Sequence[str], max_unavailable: int) -> Rollout:
    """Return the rollout, aborted if nobody's turn can come, as too many have failed and do not come back."""
    if not rollout.left or rollout.under_way or len(failed) < max_unavailable:
        return rollout
    return aborted(rollout, f"{', '.join(failed)} failed, and no more than {max_unavailable} may be away")


def aborted(rollout: Rollout, reason: str) -> Rollout:
    """Return a rollout that does not go on."""
    spared = f"{', '.join(rollout.left)} not restarted" if rollout.left else "it was the last one"
    return Rollout(aborted=f"{reason}; {spared}", number=rollout.number)
