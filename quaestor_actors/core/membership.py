"""Which hosts of a cluster are there, as one of them knows it, and how to reach their roots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType


class HostState(StrEnum):
    """How a host stands."""

    HERE = "here"
    """It is the one that says this."""
    AWAITED = "awaited"
    """It was not heard since this host started."""
    JOINED = "joined"
    LOST = "lost"
    """It was heard, and is silent now, or it has said farewell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host of the cluster."""

    name: str
    administrator: str
    """`host:port` of its administrator, as it is configured."""
    state: HostState
    since: float
    """Seconds of the caller's monotonic clock."""
    root: str | None = None
    """`host:port` of its root actor; None while it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """All hosts by name, in the order of the configuration."""

    hosts: Mapping[str, Host] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def roots(self) -> dict[str, str]:
        """The roots of the other hosts that are there."""
        return {host.name: host.root for host in self.hosts.values() if _is_reachable(host) and host.root is not None}


def create(administrators: Mapping[str, str], *, own: str, now: float) -> Membership:
    """Return the hosts of a configuration, none of which but ours was heard yet.

    Args:
        administrators: `host:port` of each, by name.
        own: which one is ours.
        now: monotonic seconds.
    """
    hosts = {
        name: Host(
            name=name,
            administrator=administrator,
            state=HostState.HERE if name == own else HostState.AWAITED,
            since=now,
        )
        for name, administrator in administrators.items()
    }
    return Membership(hosts=MappingProxyType(hosts))


def joined(membership: Membership, administrator: str, root: str | None, now: float) -> tuple[Membership, Host | None]:
    """Take in that a host is there, with this root; return the host if that is news."""
    before = _by_administrator(membership.hosts.values(), administrator)
    if before is None or before.state is HostState.HERE:
        return membership, None
    since = before.since if before.state is HostState.JOINED else now
    after = replace(before, state=HostState.JOINED, since=since, root=root)
    return (membership, None) if after == before else (_put(membership, after), after)


def lost(membership: Membership, administrator: str, now: float) -> tuple[Membership, Host | None]:
    """Take in that a host is silent; return the host if that is news."""
    before = _by_administrator(membership.hosts.values(), administrator)
    if before is None or before.state is not HostState.JOINED:
        return membership, None
    after = replace(before, state=HostState.LOST, since=now, root=None)
    return _put(membership, after), after


def _is_reachable(host: Host) -> bool:
    return host.state is HostState.JOINED


def _by_administrator(hosts: Iterable[Host], administrator: str) -> Host | None:
    return next((host for host in hosts if host.administrator == administrator), None)


def _put(membership: Membership, host: Host) -> Membership:
    return replace(membership, hosts=MappingProxyType({**membership.hosts, host.name: host}))
