"""What was commanded, and whether it has come true: pure functions over what the tree shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from quaestor_actors.actors.view import AgentView, MemberView, TreeView
from quaestor_actors.cli.next_step import what_next
from quaestor_actors.cli.render import members_in_order, words
from quaestor_actors.cli.table import printable
from quaestor_actors.core.host_selector import on_host


class Goal(StrEnum):
    """What a member is to come to."""

    SERVING = "serving"
    STOPPED = "stopped"
    RESTARTED = "restarted"
    """It serves, or is drained, with another process than before."""
    DRAINED = "drained"
    """It gets no requests, and has none, as far as anybody can tell."""
    REPLACED = "replaced"
    """It is as it is configured, by another process if that is necessary."""
    GONE = "gone"
    """It is not configured, and has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One member, and what it is to come to."""

    member: str
    goal: Goal
    host: str = ""
    """On which of several hosts; empty: on this one."""
    state: str | None = None
    """How it was when that was wished; None: there was none."""
    incarnation: int = 0
    rolling_before: int | None = None
    """For a rolling restart: how many its agent had had before."""

    @property
    def who(self) -> str:
        """The member as an operator names it."""
        return on_host(self.member, self.host)


class Standing(StrEnum):
    """How it is with a wish."""

    TRUE = "true"
    OPEN = "open"
    FAILED = "failed"
    """It does not come true any more, unless somebody does something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it is with one wish, and why."""

    wish: Wish
    standing: Standing
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds up the rest."""

    who: str
    state: str
    reason: str
    next_step: str = ""


UP = frozenset({"serving", "drained"})
AT_REST = frozenset({"stopped", "failed"})
_ENDING = frozenset({"draining", "stopping"})


def wishes(
    tree: TreeView, members: Iterable[str], goal: Goal, *, host: str = "", is_rolling: bool = False
) -> tuple[Wish, ...]:
    """Return what is wished of members, who are as the tree shows them.

    Args:
        tree: what there is.
        members: by name.
        goal: what they are to come to.
        host: on which of several hosts they are.
        is_rolling: by a rolling restart, which may be aborted.
    """
    known = {member.member: member for member in tree.members}
    rolling = {agent.agent: agent.rolling_restarts for agent in tree.agents} if is_rolling else {}
    found = []
    for name in members:
        wish = Wish(member=name, goal=goal, host=host, rolling_before=rolling.get(name.rpartition("/")[0]))
        if (member := known.get(name)) is not None:
            wish = replace(wish, state=member.state, incarnation=member.incarnation)
        found.append(wish)
    return tuple(found)


def outcomes(tree: TreeView, wished: Iterable[Wish]) -> list[Outcome]:
    """Return how it is with each wish, by what there is now."""
    known = {member.member: member for member in tree.members}
    agents = {agent.agent: agent for agent in tree.agents}
    found = []
    for wish in wished:
        agent = agents.get(wish.member.rpartition("/")[0])
        outcome = _outcome(wish, known.get(wish.member), agent)
        if wish.rolling_before is not None and agent is not None and outcome.standing is Standing.OPEN:
            has_aborted = agent.aborted and agent.rolling_restarts > wish.rolling_before
            if has_aborted:
                outcome = replace(outcome, standing=Standing.FAILED, reason=agent.aborted)
        found.append(outcome)
    return found


def _outcome(wish: Wish, member: MemberView | None, agent: AgentView | None) -> Outcome:
    if member is None:
        return _absent(wish, agent)
    standing = _standing(wish, member, agent)
    return Outcome(wish=wish, standing=standing, state=member.state, reason=member.reason)


def _absent(wish: Wish, agent: AgentView | None) -> Outcome:
    """Return how it is with a wish about a member that is not there: not yet, or not any more."""
    if wish.goal in {Goal.STOPPED, Goal.GONE}:
        return Outcome(wish=wish, standing=Standing.TRUE, state="not there")
    # Of an agent that runs all members are known; before that nobody may have told of them. For a rolling restart there
    # is no limit of time, which would end the waiting for who never comes.
    is_known = agent is None or agent.phase == "running"
    if wish.rolling_before is not None and wish.state is not None and is_known:
        gone = "it was here, and has moved to another host or is no longer configured"
        return Outcome(wish=wish, standing=Standing.FAILED, state="gone", reason=gone)
    return Outcome(wish=wish, standing=Standing.OPEN, state="not there")


def _standing(wish: Wish, member: MemberView, agent: AgentView | None) -> Standing:
    has_new_process = member.incarnation > wish.incarnation
    has_changed = has_new_process or member.state != wish.state
    match wish.goal:
        case Goal.GONE:
            return Standing.OPEN
        case Goal.STOPPED:
            return Standing.TRUE if member.state in AT_REST else Standing.OPEN
        case Goal.DRAINED:
            is_out = member.drained is not None and member.state != "serving" and not member.awaits_idle
            return Standing.TRUE if is_out else Standing.OPEN
        case Goal.SERVING:
            is_there = member.state == "serving"
        case Goal.RESTARTED:
            is_there = member.state in UP and has_new_process
        case Goal.REPLACED:
            is_pending = agent is None or member.member in agent.to_replace
            # Who was stopped by hand stays so.
            is_there = not is_pending and (member.state in UP or member.state == wish.state == "stopped")
        case _:
            assert_never(wish.goal)
    if is_there:
        return Standing.TRUE
    return Standing.FAILED if member.state in AT_REST and has_changed else Standing.OPEN


def holders(tree: TreeView, found: Sequence[Outcome], now: float, *, host: str = "") -> list[Holder]:
    """Return who holds up what is still open: those whose turn it is before those who serve until it is theirs.

    Args:
        tree: what there is now.
        found: how it is with every wish.
        now: seconds since the epoch.
        host: which of several hosts this is about.
    """
    agents = {agent.agent: agent for agent in tree.agents}
    still_open = {each.wish.member: each for each in found if each.standing is Standing.OPEN}
    concerned = {name.rpartition("/")[0] for name in still_open}
    members = members_in_order(tree)
    there = [member for member in members if member.member in still_open]
    # Whoever else of the agent is away may be why nobody else goes.
    others = [
        member
        for member in members
        if member.member.rpartition("/")[0] in concerned
        and member.member not in still_open
        and member.state not in UP | AT_REST
    ]
    ordered = sorted([*there, *others], key=lambda one: (one.state == "serving", one.member not in still_open))
    told = [_holder(member, agents.get(member.member.rpartition("/")[0]), now, host) for member in ordered]
    absent = [on_host(name, host) for name in still_open if all(name != member.member for member in members)]
    return [*told, *(Holder(who=name, state="not there", reason="nobody has told of it yet") for name in absent)]


def _holder(member: MemberView, agent: AgentView | None, now: float, host: str = "") -> Holder:
    is_content = member.state in UP and not member.awaits_idle
    next_step = "" if agent is None or is_content else what_next(member, agent, now, host=host)
    return Holder(who=on_host(member.member, host), state=member.state, reason=member.reason, next_step=next_step)


def ending(members: Iterable[MemberView], agents: Mapping[str, AgentView], now: float) -> list[Holder]:
    """Return who holds up the stop of a whole cluster; who is left running does not."""
    going = [member for member in members if member.state in _ENDING]
    going.sort(key=lambda one: one.deadline or now, reverse=True)
    return [_holder(member, agents.get(member.member.rpartition("/")[0]), now) for member in going]


def told_of(found: Sequence[Holder]) -> str:
    """Return in a line who holds it up, as it stays until something changes."""
    first = found[0]
    others = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return printable(f"waiting for {first.who}{others}: {words(first.state)}: {first.reason}")


def counted(found: Sequence[Outcome]) -> str:
    """Return how many of several wishes have come true: `2/5`; nothing for a single one."""
    true = sum(each.standing is Standing.TRUE for each in found)
    return f"{true}/{len(found)}" if len(found) > 1 else ""


def report(found: Iterable[Outcome], headline: str) -> str:
    """Return, line by line, what has not come true, and why."""
    lines = [headline]
    for each in found:
        if each.standing is not Standing.TRUE:
            reason = f": {each.reason}" if each.reason else ""
            lines.append(printable(f"  {each.wish.who}: {words(each.state)}{reason}"))
    return "\n".join(lines)
