"""Another number of members for an agent that runs, without another configuration."""

from __future__ import annotations

from dataclasses import dataclass, replace

from quaestor_actors.core.crossing import Crossing
from quaestor_actors.core.spec import KEY_VALUE_STORE, AgentSpec, ClusterSpec

MOST_MEMBERS = 10_000
"""Of one agent, on one host."""
_NAMED_PORTS = 8
"""So many fit a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unscalable(Crossing):
    """Why an agent cannot have that many members."""

    reason: str
    is_unknown: bool = False
    """There is no such agent."""


def scaled(spec: ClusterSpec, agent_type: str, count: int) -> ClusterSpec | Unscalable:
    """Return the specification with so many members of one agent, or why there is none."""
    found = next((agent for agent in spec.agents if agent.agent_type == agent_type), None)
    if found is None:
        return Unscalable(reason=f"there is no agent {agent_type!r}", is_unknown=True)
    if (reason := _why_not(found, count)) is not None:
        return Unscalable(reason=reason)
    agents = tuple(replace(each, process_count=count) if each is found else each for each in spec.agents)
    configured = {agent_type: found.process_count, **dict(spec.scaled)}
    if configured[agent_type] == count:
        del configured[agent_type]
    return replace(spec, agents=agents, scaled=tuple(sorted(configured.items())))


def _why_not(agent: AgentSpec, count: int) -> str | None:
    name = agent.agent_type
    if agent.is_builtin_balancer:
        return f"{name} is the balancer within the cluster; its processes are the frontends of its configuration"
    if name == KEY_VALUE_STORE:
        return f"{name} keeps data: which hosts have a part of it is a matter of the configuration"
    if agent.numbers is not None:
        return f"the members of {name} are shared out among the hosts: how many there are is the count of floating"
    if not 0 <= count <= MOST_MEMBERS:
        return f"{name} can have 0 to {MOST_MEMBERS} members on a host, not {count}"
    if agent.ports and count > len(agent.ports):
        is_short = len(agent.ports) <= _NAMED_PORTS
        ports = ", ".join(map(str, agent.ports)) if is_short else f"{agent.ports[0]} to {agent.ports[-1]}"
        return (
            f"{name} has {len(agent.ports)} ports ({ports}), one for each member, so it cannot have {count}: add ports "
            "in the configuration, or remove them all, so that each member gets a free one"
        )
    return None
