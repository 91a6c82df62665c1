"""The tree of a cluster, drawn and as a list: pure functions, what the tree shows in, a list out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from quaestor_actors.actors.view import ActorView, MemberView, TreeView
from quaestor_actors.cli.listing import Column, Listing, Piece, Tier, colour_of_state
from quaestor_actors.cli.render import (
    NOTHING,
    Shown,
    age,
    cluster_document,
    members_in_order,
    number,
    since_column,
    state_column,
    words,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One process of the tree, and where in the drawing it is."""

    joints: str
    kind: str
    name: str
    parent: str
    state: str
    since: float | None
    pid: int | None
    port: int | None
    restarts: int | None
    reason: str
    host: str = ""
    """On which of several hosts it is."""


def tree_listing(shown: Shown) -> Listing[Node]:
    """Return the tree as it is: launcher, actors below their parents, members below their agents.

    Of several hosts each has a tree of its own.
    """
    nodes = list(_of_hosts(shown) if shown.hosts else _nodes(shown))
    return Listing(
        columns=_columns(shown.now, has_hosts=bool(shown.hosts)),
        rows=nodes,
        document=_document(shown),
        drawing=tuple(_drawn(node, shown.now) for node in nodes),
    )


def _document(shown: Shown) -> dict[str, Any]:
    if not shown.hosts:
        return cluster_document(shown)
    from quaestor_actors.cli.render_hosts import hosts_document

    return hosts_document(shown)


def _of_hosts(shown: Shown) -> Iterator[Node]:
    for host in shown.hosts:
        last = "" if host.is_current or host.tree_at is None else f"as of {age(shown.now - host.tree_at)} ago"
        yield Node(
            joints="",
            kind="host",
            name=host.name,
            parent="",
            state=host.state,
            since=host.since,
            pid=None,
            port=None,
            restarts=None,
            reason="; ".join(filter(None, (host.reason, last))),
            host=host.name,
        )
        if host.tree is None:
            continue
        if host.name == shown.own_host:
            yield replace(_launcher(shown), host=host.name)
        for root in (actor for actor in host.tree.actors if actor.parent is None):
            for node in _branch(host.tree, root, "", is_last=True):
                yield replace(node, host=host.name, state=node.state if host.is_current else "unknown")


def _nodes(shown: Shown) -> Iterator[Node]:
    yield _launcher(shown)
    for root in (actor for actor in shown.tree.actors if actor.parent is None):
        yield from _branch(shown.tree, root, "", is_last=True)


def _launcher(shown: Shown) -> Node:
    return Node(
        joints="",
        kind="launcher",
        name="launcher",
        parent="",
        state="killed" if shown.launcher_pid is None else "running",
        since=None,
        pid=shown.launcher_pid,
        port=None,
        restarts=None,
        reason="",
    )


def _branch(tree: TreeView, actor: ActorView, indent: str, *, is_last: bool) -> Iterator[Node]:
    joint, below = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
    yield _actor(actor, indent + joint)
    actors = [child for child in tree.actors if child.parent == actor.name]
    agent = actor.name.removeprefix("agent/") if actor.name.startswith("agent/") else None
    members = [member for member in members_in_order(tree) if member.member.rpartition("/")[0] == agent]
    count = len(actors) + len(members)
    for position, child in enumerate(actors, start=1):
        yield from _branch(tree, child, indent + below, is_last=position == count)
    for position, member in enumerate(members, start=len(actors) + 1):
        yield _member(member, indent + below + ("└─ " if position == count else "├─ "), actor.name)


def _actor(actor: ActorView, joints: str) -> Node:
    return Node(
        joints=joints,
        kind="actor",
        name=actor.name,
        parent=actor.parent or "launcher",
        state=actor.state,
        since=actor.since,
        pid=actor.pid,
        port=None,
        restarts=actor.restarts,
        reason=actor.reason,
    )


def _member(member: MemberView, joints: str, parent: str) -> Node:
    return Node(
        joints=joints,
        kind="member",
        name=member.member,
        parent=parent,
        state=member.state,
        since=member.since,
        pid=member.pid,
        port=member.port,
        restarts=member.restarts,
        reason=member.reason,
    )


def _drawn(node: Node, now: float) -> tuple[Piece, ...]:
    colour = colour_of_state(node.state)
    pid = "" if node.pid is None else f"pid {node.pid}"
    if node.since is None:
        return ("launcher  ", None), (pid or "was killed", None)
    if node.kind == "host":
        why = f": {node.reason}" if node.reason else ""
        return (f"{node.name}  ", None), (words(node.state), colour), (f" {age(now - node.since)}{why}", None)
    details = [
        f" {age(now - node.since)}",
        pid,
        "" if node.port is None else f"port {node.port}",
        # Members' restarts are in the status; an actor's are shown where there were any.
        f"{node.restarts} restarts" if node.kind == "actor" and node.restarts else "",
    ]
    end = " (process)" if node.kind == "member" else ""
    return (
        (f"{node.joints}{node.name}  ", None),
        (words(node.state), colour),
        (", ".join(filter(None, details)) + end, None),
    )


def _columns(now: float, *, has_hosts: bool) -> tuple[Column[Node], ...]:
    host: list[Column[Node]] = [Column(title="HOST", text=lambda one: one.host)] if has_hosts else []
    return (
        Column(title="NAME", text=lambda one: one.joints + one.name, exact=lambda one: one.name),
        *host,
        Column(title="KIND", text=lambda one: one.kind),
        Column(title="PARENT", text=lambda one: one.parent or NOTHING, tier=Tier.WIDE),
        state_column(lambda one: one.state),
        since_column(lambda one: one.since, now, tier=Tier.MINI),
        Column(title="PID", text=lambda one: number(one.pid)),
        Column(title="PORT", text=lambda one: number(one.port)),
        Column(title="RESTARTS", text=lambda one: number(one.restarts)),
        Column(title="WHY", text=lambda one: one.reason, takes_rest=True),
    )
