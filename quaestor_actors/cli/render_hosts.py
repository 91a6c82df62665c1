"""Members of several hosts as a list: pure functions, what the hosts say in, a list out.

What a host has said last is shown as unknown when it does not answer, and how old that is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from quaestor_actors.actors.view import CoordinationView, HostView, MemberView
from quaestor_actors.cli.host_differences import difference_lines
from quaestor_actors.cli.listing import SCHEMA_VERSION, Column, Listing, Tier
from quaestor_actors.cli.render import (
    IN_MEMORY,
    Shown,
    actor_lines,
    age,
    agent_lines,
    cluster_document,
    member_document,
    members_in_order,
    moment,
    number,
    registry_lines,
    since_column,
    state_column,
    words,
)
from quaestor_actors.cli.render_coordination import coordination_document, place_lines, trouble_lines

UNKNOWN = "unknown"
"""The state of what cannot be asked at the moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostMember:
    """A member on its host."""

    member: MemberView
    host: HostView

    @property
    def state(self) -> str:
        """How it is, as far as anybody knows."""
        return self.member.state if self.host.is_current else UNKNOWN

    @property
    def since(self) -> float:
        """Since when it is so; of what is unknown, when something was known last."""
        return self.member.since if self.host.is_current else self.host.tree_at or self.host.since

    @property
    def reason(self) -> str:
        """Why."""
        if self.host.is_current:
            return self.member.reason
        return f"{self.host.name} {_standing(self.host)}; was {words(self.member.state)}"


def status_of_hosts(shown: Shown) -> Listing[HostMember]:
    """Return the summary and the members of all hosts."""
    return Listing(
        columns=_columns(shown.now),
        rows=members_of_hosts(shown.hosts),
        document=hosts_document(shown),
        head=_head(shown),
    )


def members_of_hosts(hosts: Sequence[HostView]) -> list[HostMember]:
    """Return the members by agent, number and host."""
    found = [
        HostMember(member=member, host=host)
        for host in hosts
        if host.tree is not None
        for member in members_in_order(host.tree)
    ]
    places = {host.name: place for place, host in enumerate(hosts)}
    return sorted(found, key=lambda one: (*_natural(one.member.member), places[one.host.name]))


def coordinator_of(shown: Shown) -> str | None:
    """Return the host that coordinates: without etcd the first one of the configuration; None: it is not known."""
    if (view := _coordination(shown)) is not None:
        return view.coordinator or None
    registry = shown.tree.registry
    # Of a store it is known as soon as who coordinates has been started.
    has_store = registry is None or registry.store != IN_MEMORY
    return None if has_store else shown.hosts[0].name


def _coordination(shown: Shown) -> CoordinationView | None:
    """Return what the hosts know through a store: what this one does, unless only others can use it."""
    answering = [host for host in shown.hosts if host.is_current and host.tree is not None]
    answering.sort(key=lambda host: host.name != shown.own_host)
    views = [host.tree.coordination for host in answering if host.tree is not None]
    known = [view for view in views if view is not None]
    return min(known, key=lambda view: (bool(view.trouble), not view.coordinator), default=None)


def host_line(host: HostView, now: float) -> str | None:
    """Return a line for a host that does not simply answer."""
    if host.is_current and not host.reason:
        return None
    if host.is_current:
        return f"host {host.name}: {host.reason}"
    last = "" if host.tree_at is None else f"; its last answer is {age(now - host.tree_at)} old"
    return f"host {host.name}: {words(host.state)} for {age(now - host.since)}: {host.reason}{last}"


def host_document(host: HostView, now: float) -> dict[str, Any]:
    """Return a host, without what runs there, as plain data."""
    return {
        "name": host.name,
        "address": host.address,
        "state": host.state,
        "since": moment(host.since),
        "for_s": round(max(0.0, now - host.since), 3),
        "reason": host.reason,
        "is_current": host.is_current,
        "answered": None if host.tree_at is None else moment(host.tree_at),
        "configuration": None if host.tree is None else host.tree.configuration or None,
        "version": None if host.tree is None else host.tree.version or None,
        "scaled": [] if host.tree is None else list(host.tree.scaled),
    }


def hosts_document(shown: Shown) -> dict[str, Any]:
    """Return everything that all hosts show as plain data: as of one machine, and whose it is."""
    documents = {
        host.name: cluster_document(Shown(tree=host.tree, launcher_pid=None, now=shown.now))
        for host in shown.hosts
        if host.tree is not None
    }

    def of_all(kind: str) -> list[dict[str, Any]]:
        return [{**each, "cluster_host": name} for name, document in documents.items() for each in document[kind]]

    standing = [
        {
            **host_document(host, shown.now),
            "balancer_address": documents[host.name]["balancer_address"] if host.name in documents else None,
            "registry": documents[host.name]["registry"] if host.name in documents else None,
        }
        for host in shown.hosts
    ]
    own = cluster_document(shown)
    return {
        "schemaVersion": SCHEMA_VERSION,
        "cluster": own["cluster"],
        "host": shown.own_host,
        "hosts": standing,
        "coordinator": coordinator_of(shown),
        "differences": list(difference_lines(shown.hosts)),
        "launcher_pid": own["launcher_pid"],
        "balancer_address": own["balancer_address"],
        "registry": own["registry"],
        "members": [_member_document(one, shown.now) for one in members_of_hosts(shown.hosts)],
        "agents": of_all("agents"),
        "actors": of_all("actors"),
        **coordination_document(_coordination(shown)),
    }


def _member_document(one: HostMember, now: float) -> dict[str, Any]:
    return {**member_document(one.member, now), "cluster_host": one.host.name, "is_current": one.host.is_current}


def _columns(now: float) -> tuple[Column[HostMember], ...]:
    return (
        Column(title="MEMBER", text=lambda one: one.member.member),
        Column(title="HOST", text=lambda one: one.host.name),
        state_column(lambda one: one.state),
        since_column(lambda one: one.since, now, tier=Tier.CONDENSED),
        Column(title="PID", text=lambda one: number(one.member.pid), tier=Tier.FULL),
        Column(title="ADDRESS", text=lambda one: one.member.host, tier=Tier.WIDE),
        Column(title="PORT", text=lambda one: number(one.member.port), tier=Tier.FULL),
        Column(title="RESTARTS", text=lambda one: str(one.member.restarts), tier=Tier.CONDENSED),
        Column(title="INCARNATION", text=lambda one: str(one.member.incarnation), tier=Tier.WIDE),
        Column(title="WHY", text=lambda one: one.reason, takes_rest=True),
    )


def _head(shown: Shown) -> tuple[str, ...]:
    members = members_of_hosts(shown.hosts)
    states = Counter(one.state for one in members)
    serving = states.pop("serving", 0)
    others = "".join(f", {count} {words(state)}" for state, count in sorted(states.items()))
    answering = sum(host.is_current for host in shown.hosts)
    balancers = [host.tree.balancer_address for host in shown.hosts if host.tree is not None and host.is_current]
    known = [address for address in balancers if address]
    balancer = f", balancers on {', '.join(known)}" if known else ""
    title = f"cluster {shown.tree.cluster}: {serving}/{len(members)} members serving{others}"
    coordinator = coordinator_of(shown)
    coordinates = "" if coordinator is None else f", {coordinator} coordinates"
    lines = [f"{title}, {answering}/{len(shown.hosts)} hosts answer{coordinates}{balancer}"]
    if shown.launcher_pid is None:
        lines.append("the launcher of this host was killed; everything runs on, and `quaestor cluster` takes over")
    lines += [line for host in shown.hosts if (line := host_line(host, shown.now)) is not None]
    lines += difference_lines(shown.hosts)
    for host in shown.hosts:
        if host.tree is not None and host.is_current:
            told = (*registry_lines(host.tree.registry, shown.now), *trouble_lines(host.tree.coordination))
            lines += [
                f"{host.name}: {line}"
                for line in (*told, *agent_lines(host.tree.agents), *actor_lines(host.tree.actors))
            ]
    return (*lines, *place_lines(_coordination(shown)))


def _standing(host: HostView) -> str:
    return "does not answer" if host.state in {"joined", "here"} else f"is {words(host.state)}"


def _natural(member: str) -> tuple[str, int]:
    agent, _, position = member.rpartition("/")
    return agent, int(position)
