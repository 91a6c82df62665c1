"""Which hosts of a cluster are there, as one of them knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from quaestor_actors.core import crossing

HOST = "Quaestor Host"
"""Capability of an actor system: the name of its host."""

ROOT = "Quaestor Root"
"""Capability of an actor system: the address of its root actor, as soon as that works."""

FAREWELL = "Quaestor Farewell"
"""Among the last capabilities of an actor system that has left in order."""


class HostState(StrEnum):
    """How a host stands with the one that says this."""

    HERE = "here"
    """It is that one."""
    AWAITED = "awaited"
    """It was not heard since this host began to listen."""
    JOINED = "joined"
    LOST = "lost"
    """It was heard, and is silent now, or it has left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host of the cluster."""

    name: str
    administrator: str
    """`host:port` of its actor system, as it is configured."""
    state: HostState
    since: float
    """Seconds of the caller's monotonic clock."""
    reason: str = ""
    """What there is to say about it, for people."""
    root: Any = None
    """The address of its root actor; None: it is not known, or not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """All hosts by name, in the order of the configuration."""

    hosts: Mapping[str, Host] = field(default_factory=lambda: MappingProxyType({}))

    def reachable(self) -> dict[str, Any]:
        """Return the root actors of the other hosts that are there."""
        return {
            host.name: host.root
            for host in self.hosts.values()
            if host.state is HostState.JOINED and host.root is not None
        }

    def at(self, administrator: str) -> Host | None:
        """Return the host whose actor system is there."""
        return next((host for host in self.hosts.values() if host.administrator == administrator), None)


def create(administrators: Mapping[str, str], *, own: str, now: float) -> Membership:
    """Return the hosts of a configuration, none of which but this one was heard yet.

    Args:
        administrators: `host:port` of the actor system of each, by name.
        own: which one is this.
        now: monotonic seconds.
    """
    hosts = {
        name: Host(
            name=name,
            administrator=administrator,
            state=HostState.HERE if name == own else HostState.AWAITED,
            since=now,
            reason="" if name == own else "not heard yet",
        )
        for name, administrator in administrators.items()
    }
    return Membership(hosts=MappingProxyType(hosts))


def heard(
    membership: Membership, administrator: str, capabilities: Mapping[str, Any], now: float
) -> tuple[Membership, Host | None]:
    """Take in that a host is there, and what it says of itself.

    Args:
        membership: as it was.
        administrator: where its actor system is.
        capabilities: of that.
        now: monotonic seconds.

    Returns:
        The hosts, and the one that was not there before; None if that is no news.
    """
    before = membership.at(administrator)
    if before is None or before.state is HostState.HERE:
        return membership, None
    was_there = before.state is HostState.JOINED
    trouble = crossing.trouble_with(capabilities.get(crossing.CAPABILITY))
    after = replace(
        before,
        state=HostState.JOINED,
        since=before.since if was_there else now,
        reason=trouble or _contradiction(before, capabilities),
        # It is there, and would not understand.
        root=None if trouble else capabilities.get(ROOT),
    )
    return _put(membership, after), None if was_there else after


def lost(
    membership: Membership, administrator: str, capabilities: Mapping[str, Any], now: float
) -> tuple[Membership, Host | None]:
    """Take in that a host has left, or is silent.

    Args:
        membership: as it was.
        administrator: where its actor system was.
        capabilities: what was known of that last.
        now: monotonic seconds.

    Returns:
        The hosts, and the one that is lost; None if that is no news.
    """
    before = membership.at(administrator)
    if before is None or before.state is not HostState.JOINED:
        return membership, None
    reason = "it has left" if FAREWELL in capabilities else "not heard any more"
    after = replace(before, state=HostState.LOST, since=now, reason=reason, root=None)
    return _put(membership, after), after


def _contradiction(host: Host, capabilities: Mapping[str, Any]) -> str:
    said = capabilities.get(HOST, host.name)
    return "" if said == host.name else f"it says that it is {said}: the configurations of the hosts differ"


def _put(membership: Membership, host: Host) -> Membership:
    return replace(membership, hosts=MappingProxyType({**membership.hosts, host.name: host}))
