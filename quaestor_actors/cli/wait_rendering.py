"""Who is waited for, and how it is told: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from quaestor_actors.actors.view import AgentView, MemberView, TreeView
from quaestor_actors.cli.next_step import what_next
from quaestor_actors.cli.render import members_in_order, words
from quaestor_actors.cli.table import printable
from quaestor_actors.core import selector


class Goal(StrEnum):
    """What is waited for."""

    SERVING = "serving"
    STOPPED = "stopped"


_REACHED = {Goal.SERVING: frozenset({"serving"}), Goal.STOPPED: frozenset({"stopped", "failed"})}


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Somebody who holds it up."""

    who: str
    state: str
    reason: str
    next_step: str = ""
    """What happens to it if nobody does anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at a cluster shows."""

    holding: tuple[Missing, ...]
    unknown: tuple[str, ...] = ()
    """Selectors that name nobody who is there, or will be."""


def missing(tree: TreeView, selectors: Sequence[str], goal: Goal, *, now: float) -> Look:
    """Return who has not reached the goal; without selectors, of all members.

    Args:
        tree: what there is.
        selectors: who is waited for.
        goal: what they are to come to.
        now: seconds since the epoch.
    """
    known = {agent.agent: agent for agent in tree.agents}
    ordered = members_in_order(tree)
    wanted = selectors or [agent.agent for agent in tree.agents]
    chosen = selector.choose(wanted, [member.member for member in ordered])
    holding = [
        _missing(member, known.get(member.member.rpartition("/")[0]), now)
        for member in ordered
        if member.member in chosen.members and member.state not in _REACHED[goal]
    ]
    agents = {agent.agent for agent in tree.agents}
    # An agent's members are known some moments after the agent, all at once.
    agents -= {member.member.rpartition("/")[0] for member in ordered}
    early = [each for each in chosen.unknown if {each.removesuffix("/*"), each.rpartition("/")[0]} & agents]
    holding += [Missing(who=each, state="unknown", reason="its supervisor has not told anything yet") for each in early]
    return Look(holding=tuple(holding), unknown=tuple(each for each in chosen.unknown if each not in early))


def _missing(member: MemberView, agent: AgentView | None, now: float) -> Missing:
    next_step = "" if agent is None else what_next(member, agent, now)
    return Missing(who=member.member, state=member.state, reason=member.reason, next_step=next_step)


def told(holding: Sequence[Missing]) -> str:
    """Return in a line who holds it up."""
    first = holding[0]
    others = f" and {len(holding) - 1} more" if len(holding) > 1 else ""
    return printable(f"waiting for {first.who}{others}: {words(first.state)}: {first.reason}")


def report(holding: Sequence[Missing], goal: Goal, timeout_s: float) -> str:
    """Return, line by line, who has not reached the goal when the time is over, and why."""
    have = "do not serve" if goal is Goal.SERVING else "have not stopped"
    lines = [f"quaestor: after {timeout_s:g} s these {have}:"]
    lines += [printable(f"  {each.who}: {words(each.state)}: {each.reason}") for each in holding]
    return "\n".join(lines)
