"""Which processes a new supervisor takes over: those that its predecessor wrote down, and those it finds unwritten.

The notes may be late or lost, whatever the reason: every process of ours says in its environment whose it is, so none
is ever started a second time because a file was torn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from types import MappingProxyType

from quaestor_actors.core.agent import Group
from quaestor_actors.core.member import LIVE, Member, MemberState, Rules
from quaestor_actors.core.process_id import ProcessId


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundProcess:
    """A live process that says it is a member of this agent."""

    member_id: str
    incarnation: int
    port: int | None
    process: ProcessId


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What is taken over, and what must go."""

    group: Group
    strays: tuple[FoundProcess, ...]
    """Processes beside the one that their member goes on with."""


def settle(
    known: Group,
    wanted: Mapping[str, str],
    *,
    alive: Iterable[str],
    found: Iterable[FoundProcess],
    now: float,
    rules: Rules,
) -> Settlement:
    """Return the group to resume from.

    Args:
        known: what the predecessor wrote down; empty if nothing.
        wanted: the members that are configured now, by fingerprint.
        alive: members whose recorded process still runs.
        found: all processes that say they are this agent's.
        now: monotonic seconds.
        rules: by which the members are kept.
    """
    living = frozenset(alive)
    by_member: dict[str, list[FoundProcess]] = {}
    for each in sorted(found, key=attrgetter("incarnation")):
        by_member.setdefault(each.member_id, []).append(each)
    members = dict(known.members)
    strays: list[FoundProcess] = []
    for name, candidates in by_member.items():
        member = members.get(name)
        if member is None or name not in living:
            newest = candidates[-1]
            if member is None or not _is_left_behind(member, newest):
                members[name] = _found(member, newest, wanted.get(name, ""), now, rules)
        kept = members[name].process
        strays += [each for each in candidates if each.process != kept]
    group = replace(known, members=MappingProxyType(members), wanted=MappingProxyType(dict(wanted)))
    return Settlement(group=group, strays=tuple(strays))


def _is_left_behind(member: Member, found: FoundProcess) -> bool:
    """Return whether a process only looks like the member: the one of its number is noted, and has ended.

    What a member starts inherits its environment, and may outlive it in a session of its own.
    """
    is_noted = member.state not in LIVE or member.process is not None
    return is_noted and found.incarnation <= member.incarnation


def _found(member: Member | None, found: FoundProcess, fingerprint: str, now: float, rules: Rules) -> Member:
    in_doubt = member is not None and member.incarnation == found.incarnation and member.state in LIVE
    if member is not None and in_doubt:
        # The predecessor ended between starting it and writing that down.
        return replace(member, process=found.process, port=found.port)
    return Member(
        member_id=found.member_id,
        state=MemberState.STARTING,
        reason="found running, and not written down",
        since=now,
        incarnation=max(found.incarnation, member.incarnation if member else 0),
        process=found.process,
        port=found.port,
        fingerprint=fingerprint,
        drained=member.drained if member else None,
        deadline=now + rules.startup_deadline_s,
    )
