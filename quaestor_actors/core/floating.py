"""What a host's agents make of what the host may run: which members they have here, and whether they have heeded it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

from quaestor_actors.core.agent import Reconfigured
from quaestor_actors.core.placement import Floating, Slot
from quaestor_actors.core.rules import fingerprints
from quaestor_actors.core.spec import AgentSpec, ClusterSpec


def floating_of(spec: ClusterSpec) -> tuple[Floating, ...]:
    """Return what floats, by the configuration."""
    return tuple(agent.floating for agent in spec.agents if agent.floating is not None)


def granted_to(spec: ClusterSpec, slots: Mapping[Slot, int]) -> ClusterSpec:
    """Return the specification with those members of floating agents that may run here, and their fencing tokens."""
    return replace(spec, agents=tuple(_granted(agent, slots) for agent in spec.agents))


def _granted(agent: AgentSpec, slots: Mapping[Slot, int]) -> AgentSpec:
    if agent.floating is None:
        return agent
    mine = sorted(slot for slot in slots if slot.agent == agent.agent_type and slot.number <= agent.process_count)
    return replace(agent, numbers=tuple(slot.number for slot in mine), tokens=tuple(slots[slot] for slot in mine))


def reconfigured(agent: AgentSpec) -> Reconfigured:
    """Return what an agent's group learns of its specification."""
    wanted = fingerprints(agent)
    if agent.floating is None:
        return Reconfigured(wanted=wanted)
    return Reconfigured(wanted=wanted, added="placed on this host", gone="not to run on this host any more")


def slots_of(members: Iterable[str], agents: AbstractSet[str]) -> frozenset[Slot]:
    """Return the copies that members are, by their names; those of other agents are none."""
    named = (member.rpartition("/") for member in members)
    return frozenset(Slot(agent, int(number)) for agent, _, number in named if agent in agents)


def heeded_by_all(grant: int, agents: Iterable[str], heeded: Mapping[str, int]) -> int:
    """Return the number of the last grant that all agents have heeded.

    Args:
        grant: the last one that was given.
        agents: who has to heed it.
        heeded: the last one that each has heeded; who is not there has heeded none.
    """
    return min((heeded.get(agent, 0) for agent in agents), default=grant)
