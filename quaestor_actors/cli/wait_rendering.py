"""Who is waited for, and how it is told: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from quaestor_actors.actors.view import HostView, TreeView
from quaestor_actors.cli.render import members_in_order, words
from quaestor_actors.cli.table import printable
from quaestor_actors.core import host_selector, selector


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at a cluster shows."""

    holding: tuple[Missing, ...]
    unknown: tuple[str, ...] = ()
    """Selectors that name nobody who is there, or will be."""


def missing(tree: TreeView, selectors: Sequence[str], goal: Goal) -> Look:
    """Return who has not reached the goal; without selectors, of all members."""
    ordered = members_in_order(tree)
    wanted = selectors or [agent.agent for agent in tree.agents]
    chosen = selector.choose(wanted, [member.member for member in ordered])
    holding = [
        Missing(who=member.member, state=member.state, reason=member.reason)
        for member in ordered
        if member.member in chosen.members and member.state not in _REACHED[goal]
    ]
    agents = {agent.agent for agent in tree.agents}
    # An agent's members are known some moments after the agent, all at once.
    agents -= {member.member.rpartition("/")[0] for member in ordered}
    early = [each for each in chosen.unknown if {each.removesuffix("/*"), each.rpartition("/")[0]} & agents]
    holding += [Missing(who=each, state="unknown", reason="its supervisor has not told anything yet") for each in early]
    return Look(holding=tuple(holding), unknown=tuple(each for each in chosen.unknown if each not in early))


def missing_on_hosts(hosts: Sequence[HostView], selectors: Sequence[str], goal: Goal) -> Look:
    """Return who has not reached the goal on any of several hosts; one that does not answer has not."""
    names = [host.name for host in hosts]
    meant = {text: host_selector.split(text, names) for text in selectors}
    holding: list[Missing] = []
    unknown = dict.fromkeys(selectors)
    for host in hosts:
        wanted = {text: name for text, (name, where) in meant.items() if where in {None, host.name}}
        if selectors and not wanted:
            continue
        if host.is_current and host.tree is not None:
            found = missing(host.tree, list(dict.fromkeys(wanted.values())), goal)
            holding += [replace(each, who=f"{each.who}@{host.name}") for each in found.holding]
            known = [text for text, name in wanted.items() if name not in found.unknown]
        else:
            known = [text for text, name in wanted.items() if _may_have(host, name)]
            if known or not selectors:
                holding.append(Missing(who=f"host {host.name}", state=host.state, reason=host.reason))
        for text in known:
            unknown.pop(text, None)
    return Look(holding=tuple(holding), unknown=tuple(unknown))


def _may_have(host: HostView, name: str) -> bool:
    """Return whether a host that does not answer may have such a member."""
    if host.tree is None:
        return True
    return bool(selector.choose([name], [member.member for member in host.tree.members]).members)


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
