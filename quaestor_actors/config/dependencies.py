"""Checks which agents wait for which: that they exist, can ever be ready, and do not wait for each other."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from quaestor_actors.config.yaml_values import shown
from quaestor_actors.core.restart import RestartType
from quaestor_actors.core.spec import KEY_VALUE_STORE, LOAD_BALANCER, Condition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from quaestor_actors.config.agents import AgentSection
    from quaestor_actors.config.report import Report
    from quaestor_actors.config.sections import Entry

Dependencies = tuple[tuple[str, Condition], ...]

_SHOWN: Final = 8
"""How many agents of a circle are named."""


def check_dependencies(
    agents: Iterable[AgentSection], report: Report, *, hosts: tuple[str, ...] = ()
) -> dict[str, Dependencies]:
    """Return for each agent type what it depends on, by proper names, and report what can never be satisfied.

    An agent can wait for those of its own host alone, and for the etcd of any.

    Agent types compare case-insensitively, as no two of a cluster differ by case alone. The built-in balancer starts
    with the cluster itself and waits for nobody.
    """
    waiting = [agent for agent in agents if not agent.is_builtin_balancer]
    by_name: dict[str, AgentSection] = {}
    for agent in agents:
        by_name.setdefault(agent.agent_type.lower(), agent)
    found = {agent.agent_type: _sound(agent, by_name, report) for agent in waiting}
    for agent in waiting:
        _check_hosts(agent, by_name, hosts, report)
    # Of two agents of one type, which is a fault of its own, the links are the later one's.
    owners = {agent.agent_type: agent for agent in waiting}
    for circle in _circles({name: [target for target, _ in targets] for name, targets in found.items()}):
        link = _link(owners[circle[0]], circle[1])
        report.fault(link.key, f"{_arrows(circle)} wait for each other; remove one of these links")
    return found


def _link(agent: AgentSection, target: str) -> Entry:
    return agent.section.entries["dependsOn"].part(target)


def _sound(agent: AgentSection, by_name: Mapping[str, AgentSection], report: Report) -> Dependencies:
    """Return the dependencies of an agent on others that exist."""
    sound = []
    for written, condition in agent.section.keys.depends_on.items():
        target = by_name.get(written.lower()) if written else None
        if target is None:
            # An agent whose type is missing or wrong may be the one that is meant.
            if "" not in by_name:
                report.fault(_link(agent, written).key, _unknown(written, by_name))
        elif target is agent:
            report.fault(_link(agent, written).key, "an agent cannot wait for itself; remove it")
        else:
            sound.append((target.agent_type, condition))
            if condition is Condition.COMPLETED and (problem := _never_completes(target)):
                report.fault(_link(agent, written).value, problem)
    return tuple(sound)


def _check_hosts(
    agent: AgentSection, by_name: Mapping[str, AgentSection], hosts: tuple[str, ...], report: Report
) -> None:
    """Report dependencies on agents that need not run where this one does."""
    for written in agent.section.keys.depends_on:
        target = by_name.get(written.lower()) if written else None
        if target is None or target is agent or target.agent_type == KEY_VALUE_STORE:
            continue
        place, name = _link(agent, written).key, target.agent_type
        if target.floating is not None:
            report.fault(place, f"{name} floats, and need not be on the same host; wait for an agent that does not")
        elif target.hosts and (beyond := sorted(set(agent.hosts or hosts) - set(target.hosts))):
            few = ", ".join(beyond[:_SHOWN]) + (", ..." if len(beyond) > _SHOWN else "")
            message = f"{name} does not run on {few}, where {agent.agent_type} does; let it run there, or remove this"
            report.fault(place, message)


def _unknown(written: str, by_name: Mapping[str, AgentSection]) -> str:
    close = get_close_matches(written.lower()[:100], by_name, n=1)
    known = [agent.agent_type for agent in by_name.values()]
    few = ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
    hint = f"did you mean {by_name[close[0]].agent_type}?" if close else f"known are {few}"
    return f"there is no agent {shown(written) or 'without a name'} ({hint})"


def _never_completes(target: AgentSection) -> str:
    """Return why an agent never completes, or empty text."""
    if target.is_builtin_balancer:
        return f"the built-in {LOAD_BALANCER} never completes; wait for serving or started"
    if target.section.keys.restart is not RestartType.PERMANENT or "restart" in target.section.broken:
        return ""
    name = target.agent_type
    return f"{name} has restart permanent and never completes; make that transient or temporary, or wait for serving"


def _circles(targets: Mapping[str, list[str]]) -> Iterator[tuple[str, ...]]:
    """Find circles by walking the links depth first; each ends with the agent that it began with."""
    done: set[str] = set()
    for start in targets:
        path = {} if start in done else {start: iter(targets[start])}
        while path:
            name, ahead = next(reversed(path.items()))
            target = next(ahead, None)
            if target is None:
                path.popitem()
                done.add(name)
            elif target in path:
                names = list(path)
                yield (*names[names.index(target) :], target)
            elif target in targets and target not in done:
                path[target] = iter(targets[target])


def _arrows(circle: tuple[str, ...]) -> str:
    if len(circle) > _SHOWN:
        circle = (*circle[: _SHOWN - 2], "...", circle[-1])
    return " -> ".join(circle)
