"""Finds ports that two parties want at the same time."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from quaestor_actors.config.agents import AgentSection
    from quaestor_actors.config.report import Place, Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Somebody listens on a port."""

    owner: str
    host_name: str
    port: int
    place: Place | None
    """None: in another file."""
    hosts: frozenset[str] = frozenset()
    """On which of the cluster's hosts; none: on each of them."""


def claims_of(agents: Iterable[AgentSection], *, host_name: str | None = None) -> list[Claim]:
    """Return the ports that agents claim, in file order; on this host rather than what they say, if one is given."""
    return [
        Claim(
            owner=agent.agent_type or "another agent",
            host_name=host_name or agent.section.keys.host_name,
            port=port,
            place=agent.section.entries["ports"].item(at),
            hosts=frozenset(agent.hosts),
        )
        for agent in agents
        for at, port in enumerate(agent.section.keys.ports)
    ]


def check_claims(claims: Iterable[Claim], *, report: Report, same_interface: Callable[[str, str], bool]) -> None:
    """Report every claim on a port that an earlier one has on the same interface."""
    earlier: dict[int, list[Claim]] = {}
    for claim in claims:
        taken = [
            other
            for other in earlier.get(claim.port, [])
            if _share_a_host(other, claim) and same_interface(other.host_name, claim.host_name)
        ]
        if taken and claim.place is not None:
            where = f", in line {taken[0].place.line}" if taken[0].place is not None else ""
            report.fault(claim.place, f"port {claim.port} is taken by {taken[0].owner}{where}")
        earlier.setdefault(claim.port, []).append(claim)


def _share_a_host(one: Claim, other: Claim) -> bool:
    return not one.hosts or not other.hosts or bool(one.hosts & other.hosts)


def on_this_machine(one: str, other: str) -> bool:
    """Tell whether two of this machine's names may mean one interface: all do but two different addresses."""
    try:
        first, second = (
            ipaddress.ip_address("127.0.0.1" if name.lower() == "localhost" else name) for name in (one, other)
        )
    except ValueError:
        return True
    return first == second or first.is_unspecified or second.is_unspecified


def on_same_host(one: str, other: str) -> bool:
    """Tell whether two names of hosts anywhere are the same, as far as their text says."""
    return host_key(one) == host_key(other)


def host_key(name: str) -> str:
    """Return what two names of the same host have in common, as far as their text says."""
    return "127.0.0.1" if name.lower() == "localhost" else name.lower()
