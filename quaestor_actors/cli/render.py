"""From what the tree shows to text and JSON: pure functions, data in, text out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from quaestor_actors.actors.view import ActorView, AgentView, MemberView, RegistryView, TreeView

SCHEMA_VERSION = 1
SECONDS_PER_MINUTE = 60
SECONDS_PER_HOUR = 3600
SECONDS_PER_DAY = 86400

IN_MEMORY = "memory"
"""The store of a registry that no other machine shares."""

_WITHOUT_STORE = {
    "connecting": "",
    "fallback": "; balancing what runs here and the Worker agents of the configuration",
    "degraded": "; balancers answer from what they knew last",
}
"""What a registry that does not follow its store means for clients."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A cluster at the moment at which somebody asked."""

    tree: TreeView
    launcher_pid: int | None
    """None: it was killed, and the tree runs on without it."""
    now: float
    """Seconds since the epoch."""


def age(seconds: float) -> str:
    """Return a duration the way people say it: `9s`, `3m12s`, `3h12m`, `2d4h`."""
    whole = max(0, int(seconds))
    if whole < SECONDS_PER_MINUTE:
        return f"{whole}s"
    if whole < SECONDS_PER_HOUR:
        return f"{whole // SECONDS_PER_MINUTE}m{whole % SECONDS_PER_MINUTE:02d}s"
    if whole < SECONDS_PER_DAY:
        return f"{whole // SECONDS_PER_HOUR}h{whole % SECONDS_PER_HOUR // SECONDS_PER_MINUTE:02d}m"
    return f"{whole // SECONDS_PER_DAY}d{whole % SECONDS_PER_DAY // SECONDS_PER_HOUR}h"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return left-aligned columns, two spaces apart; the last column is as long as it is."""
    lines = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]).rstrip()
        for line in lines
    )


def words(state: str) -> str:
    """Return a state's name as people read it."""
    return state.replace("_", " ")


def status_text(shown: Shown) -> str:
    """Return the summary line and the table of members."""
    tree, now = shown.tree, shown.now
    serving = sum(member.state == "serving" for member in tree.members)
    balancer = f", balancer on {tree.balancer_address}" if tree.balancer_address else ""
    registry = _registry_summary(tree.registry)
    head = f"cluster {tree.cluster}: {serving}/{len(tree.members)} members serving{balancer}{registry}"
    if shown.launcher_pid is None:
        head += "\nits launcher was killed; everything runs on, and `quaestor cluster` takes over"
    head = "\n".join([head, *registry_lines(tree.registry, now), *agent_lines(tree.agents)])
    if not tree.members:
        return head
    rows = (_member_row(member, now) for member in sorted(tree.members, key=_natural))
    return f"{head}\n\n{table(('MEMBER', 'STATE', 'SINCE', 'PID', 'PORT', 'RESTARTS', 'WHY'), rows)}"


def registry_lines(registry: RegistryView | None, now: float) -> list[str]:
    """Return a line for a registry that does not simply follow its store."""
    if registry is None or registry.store == IN_MEMORY or registry.state not in _WITHOUT_STORE:
        return []
    reason = f": {registry.reason}" if registry.reason else ""
    standing = f"{words(registry.state)} for {age(now - registry.since)}{reason}"
    return [f"registry: {registry.store}: {standing}{_WITHOUT_STORE[registry.state]}"]


def _registry_summary(registry: RegistryView | None) -> str:
    if registry is None or registry.store == IN_MEMORY or registry.state in _WITHOUT_STORE:
        return ""
    return f", registry in {registry.store.partition(' at ')[0]}"


def agent_lines(agents: Iterable[AgentView]) -> list[str]:
    """Return a line for each agent that does not simply run."""
    lines = []
    for agent in agents:
        if agent.waits_for:
            lines.append(f"agent {agent.agent} waits for {', '.join(agent.waits_for)}")
        elif agent.phase in {"gave_up", "done", "stopping"}:
            lines.append(f"agent {agent.agent}: {words(agent.phase)}: {agent.reason}")
    return lines


def _natural(member: MemberView) -> tuple[str, int]:
    agent, _, number = member.member.rpartition("/")
    return agent, int(number)


def _member_row(member: MemberView, now: float) -> tuple[str, ...]:
    return (
        member.member,
        words(member.state),
        age(now - member.since),
        "-" if member.pid is None else str(member.pid),
        "-" if member.port is None else str(member.port),
        str(member.restarts),
        member.reason,
    )


def tree_text(shown: Shown) -> str:
    """Return the tree as it is: launcher, actors below their parents, members below their agents."""
    tree, now = shown.tree, shown.now
    launcher = "was killed" if shown.launcher_pid is None else f"pid {shown.launcher_pid}"
    lines = [f"launcher  {launcher}"]
    roots = [actor for actor in tree.actors if actor.parent is None]
    for root in roots:
        lines.extend(_branch(tree, root, now, "", last=True))
    return "\n".join(lines)


def _branch(tree: TreeView, actor: ActorView, now: float, indent: str, *, last: bool) -> list[str]:
    joint, below = ("└─ ", "   ") if last else ("├─ ", "│  ")
    lines = [f"{indent}{joint}{_actor_line(actor, now)}"]
    actors = [child for child in tree.actors if child.parent == actor.name]
    agent = actor.name.removeprefix("agent/") if actor.name.startswith("agent/") else None
    members = [m for m in sorted(tree.members, key=_natural) if m.member.rpartition("/")[0] == agent]
    count = len(actors) + len(members)
    for position, child in enumerate(actors, start=1):
        lines.extend(_branch(tree, child, now, indent + below, last=position == count))
    for position, member in enumerate(members, start=len(actors) + 1):
        joint = "└─ " if position == count else "├─ "
        lines.append(f"{indent}{below}{joint}{_member_line(member, now)}")
    return lines


def _actor_line(actor: ActorView, now: float) -> str:
    pid = "" if actor.pid is None else f", pid {actor.pid}"
    restarts = f", {actor.restarts} restarts" if actor.restarts else ""
    return f"{actor.name}  {words(actor.state)} {age(now - actor.since)}{pid}{restarts}"


def _member_line(member: MemberView, now: float) -> str:
    pid = "" if member.pid is None else f", pid {member.pid}"
    port = "" if member.port is None else f", port {member.port}"
    return f"{member.member}  {words(member.state)} {age(now - member.since)}{pid}{port} (process)"


def _timestamps(document: dict[str, Any], now: float) -> dict[str, Any]:
    since = document.pop("since")
    document["since"] = datetime.fromtimestamp(since, UTC).isoformat(timespec="milliseconds")
    document["for_s"] = round(max(0.0, now - since), 3)
    return document


def tree_json(shown: Shown) -> str:
    """Return everything as one JSON document; fields are only ever added within a version."""
    tree, now = shown.tree, shown.now
    document = {
        "version": SCHEMA_VERSION,
        "cluster": tree.cluster,
        "launcher_pid": shown.launcher_pid,
        "balancer_address": tree.balancer_address,
        "registry": None if tree.registry is None else _timestamps(asdict(tree.registry), now),
        "members": [_timestamps(asdict(member), now) for member in sorted(tree.members, key=_natural)],
        "agents": [asdict(agent) for agent in tree.agents],
        "actors": [_timestamps(asdict(actor), now) for actor in tree.actors],
    }
    return json.dumps(document, indent=2)
