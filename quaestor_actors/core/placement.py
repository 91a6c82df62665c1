"""Which host runs which copy of a floating agent.

A floating agent has `count` copies, numbered from 1, each of which runs on one host of several. Whoever decides changes
nothing that is right: a copy stays where it is as long as that host is there and may run it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """One copy of a floating agent."""

    agent: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Floating:
    """An agent whose copies run on any of several hosts."""

    agent: str
    count: int
    spread: bool = True
    """Whether a host runs no second copy while another one has none."""
    prefer: tuple[str, ...] = ()
    """Hosts that come before the others, the best first; a preference does not move what runs."""

    @property
    def slots(self) -> list[Slot]:
        """Its copies."""
        return [Slot(self.agent, number) for number in range(1, self.count + 1)]


def place(
    agents: Iterable[Floating], hosts: AbstractSet[str], order: Iterable[str], present: Mapping[Slot, str]
) -> dict[Slot, str]:
    """Return where each copy is to run; those for which there is no host are left out.

    Args:
        agents: All floating agents.
        hosts: Those that are there.
        order: All hosts as they are configured: the last word between two that are equally good.
        present: Where copies are placed now.
    """
    rank = {host: number for number, host in enumerate(order)}
    known = sorted(hosts & rank.keys(), key=rank.__getitem__)
    agents = list(agents)
    placed = {slot: present[slot] for agent in agents for slot in agent.slots if present.get(slot) in hosts}
    if not known:
        return placed
    for agent in agents:
        for slot in agent.slots:
            if slot not in placed:
                placed[slot] = _best(agent, known, placed)
    return placed


def _best(agent: Floating, hosts: list[str], placed: Mapping[Slot, str]) -> str:
    copies = Counter(host for slot, host in placed.items() if slot.agent == agent.agent)
    load = Counter(placed.values())
    preference = {host: number for number, host in enumerate(agent.prefer)}

    def badness(host: str) -> tuple[int, int, int, int]:
        return (
            copies[host] if agent.spread else 0,
            preference.get(host, len(preference)),
            load[host],
            hosts.index(host),
        )

    return min(hosts, key=badness)
