"""The members of one agent under the strategy one_for_one: each lives its own life, the group ends as one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import assert_never

from quaestor_actors.core import lifecycle
from quaestor_actors.core.lifecycle import Member, MemberState, Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All members of an agent, by id, in the order of the specification."""

    members: Mapping[str, Member]
    stopping: bool = False


@dataclass(frozen=True, slots=True)
class StartAll:
    """The agent is to run: every member starts, or continues if it was adopted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAll:
    """The agent is to end with all its members."""

    reason: str
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberFact:
    """Something happened to one member."""

    member_id: str
    fact: lifecycle.Fact


@dataclass(frozen=True, slots=True)
class ClockAdvanced:
    """A deadline may have passed for any member."""


Event = StartAll | StopAll | MemberFact | ClockAdvanced
Step = tuple[Group, tuple[lifecycle.Effect, ...]]


def create(agent_type: str, count: int) -> Group:
    """Return a group of members `TYPE/1` ... `TYPE/count`, none of them started."""
    names = [f"{agent_type}/{number}" for number in range(1, count + 1)]
    return Group(members=MappingProxyType({name: Member(member_id=name) for name in names}))


def decide(group: Group, event: Event, now: float, rules: Rules) -> Step:
    """Return the group after the event and what must be done because of it, in order."""
    match event:
        case StartAll():
            pending = [m.member_id for m in group.members.values() if m.state is MemberState.PENDING]
            return _each(group, pending, lifecycle.StartRequested(reason="cluster start"), now, rules)
        case StopAll():
            stop = lifecycle.StopRequested(reason=event.reason, force=event.force)
            return _each(replace(group, stopping=True), list(group.members), stop, now, rules)
        case MemberFact():
            if event.member_id not in group.members:
                return group, ()
            return _each(group, [event.member_id], event.fact, now, rules)
        case ClockAdvanced():
            due = [m.member_id for m in group.members.values() if m.deadline is not None and m.deadline <= now]
            return _each(group, due, lifecycle.DeadlinePassed(), now, rules)
        case _:
            assert_never(event)


def _each(group: Group, names: list[str], fact: lifecycle.Fact, now: float, rules: Rules) -> Step:
    changed = dict(group.members)
    effects: list[lifecycle.Effect] = []
    for name in names:
        changed[name], caused = lifecycle.decide(changed[name], fact, now, rules)
        effects.extend(caused)
    return replace(group, members=MappingProxyType(changed)), tuple(effects)


def resume(group: Group, alive: Mapping[str, bool], now: float, rules: Rules) -> Step:
    """Take over a group whose supervisor died; `alive` says of each member whether its process still runs."""
    changed = dict(group.members)
    effects: list[lifecycle.Effect] = []
    for name, member in group.members.items():
        changed[name], caused = lifecycle.resume(member, alive=alive.get(name, False), now=now, rules=rules)
        effects.extend(caused)
    return replace(group, members=MappingProxyType(changed)), tuple(effects)


def next_deadline(group: Group) -> float | None:
    """Return when the group must look at the clock again; None if nothing waits for time."""
    return min((m.deadline for m in group.members.values() if m.deadline is not None), default=None)


def all_stopped(group: Group) -> bool:
    """Return whether no member has, or waits for, a process."""
    at_rest = {MemberState.PENDING, MemberState.STOPPED, MemberState.FAILED}
    return all(member.state in at_rest for member in group.members.values())
