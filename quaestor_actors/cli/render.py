"""The members of a cluster as a list: pure functions, what the tree shows in, a list out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from quaestor_actors.actors.view import ActorView, AgentView, HostView, MemberView, RegistryView, TreeView
from quaestor_actors.cli.listing import SCHEMA_VERSION, Column, Listing, Row, Tier, colour_of_state
from quaestor_actors.cli.render_coordination import coordination_document, place_lines, trouble_lines
from quaestor_actors.cli.table import aligned

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

NOTHING = "-"
"""In place of a value that there is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A cluster at the moment at which somebody asked."""

    tree: TreeView
    launcher_pid: int | None
    """None: it was killed, and the tree runs on without it."""
    now: float
    """Seconds since the epoch."""
    own_host: str = ""
    """Which one of several hosts was asked; empty where there are no others."""
    hosts: tuple[HostView, ...] = ()
    """All of them, with what each has said last."""


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
    return "\n".join(aligned(header, list(rows)))


def words(state: str) -> str:
    """Return a state's name as people read it."""
    return state.replace("_", " ")


def number(value: int | None) -> str:
    """Return a number that may be missing."""
    return NOTHING if value is None else str(value)


def moment(seconds: float) -> str:
    """Return a time since the epoch as ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def state_column(state: Callable[[Row], str]) -> Column[Row]:
    """Return the column of a state, in words and in its colour."""
    return Column(
        title="STATE",
        text=lambda row: words(state(row)),
        exact=state,
        colour=lambda row: colour_of_state(state(row)),
    )


def since_column(since: Callable[[Row], float | None], now: float, *, tier: Tier) -> Column[Row]:
    """Return the column of how long something has been so, which machines read as since when."""
    return Column(
        title="SINCE",
        text=lambda row: NOTHING if (at := since(row)) is None else age(now - at),
        exact=lambda row: NOTHING if (at := since(row)) is None else moment(at),
        tier=tier,
    )


def status_listing(shown: Shown) -> Listing[MemberView]:
    """Return the summary and the members."""
    return Listing(
        columns=_member_columns(shown.now),
        rows=members_in_order(shown.tree),
        document=cluster_document(shown),
        head=_head(shown),
    )


def members_in_order(tree: TreeView) -> list[MemberView]:
    """Return the members by agent and number."""
    return sorted(tree.members, key=_natural)


def _member_columns(now: float) -> tuple[Column[MemberView], ...]:
    return (
        Column(title="MEMBER", text=lambda one: one.member),
        state_column(lambda one: one.state),
        since_column(lambda one: one.since, now, tier=Tier.CONDENSED),
        Column(title="PID", text=lambda one: number(one.pid), tier=Tier.FULL),
        Column(title="HOST", text=lambda one: one.host, tier=Tier.WIDE),
        Column(title="PORT", text=lambda one: number(one.port), tier=Tier.FULL),
        Column(title="RESTARTS", text=lambda one: str(one.restarts), tier=Tier.CONDENSED),
        Column(title="INCARNATION", text=lambda one: str(one.incarnation), tier=Tier.WIDE),
        Column(title="WHY", text=lambda one: one.reason, takes_rest=True),
    )


def _head(shown: Shown) -> tuple[str, ...]:
    tree = shown.tree
    states = Counter(member.state for member in tree.members)
    serving = states.pop("serving", 0)
    others = "".join(f", {count} {words(state)}" for state, count in sorted(states.items()))
    balancer = f", balancer on {tree.balancer_address}" if tree.balancer_address else ""
    registry = _registry_summary(tree.registry)
    lines = [f"cluster {tree.cluster}: {serving}/{len(tree.members)} members serving{others}{balancer}{registry}"]
    if shown.launcher_pid is None:
        lines.append("its launcher was killed; everything runs on, and `quaestor cluster` takes over")
    lines += [*registry_lines(tree.registry, shown.now), *trouble_lines(tree.coordination)]
    return (*lines, *place_lines(tree.coordination), *agent_lines(tree.agents), *actor_lines(tree.actors))


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
        if agent.to_replace:
            lines.append(f"agent {agent.agent}: still to be replaced: {', '.join(agent.to_replace)}")
    return lines


def actor_lines(actors: Iterable[ActorView]) -> list[str]:
    """Return a line for each actor of the user's that does not simply run."""
    return [
        f"actor {actor.name.removeprefix('actor/')}: {words(actor.state)}: {actor.reason}"
        for actor in actors
        if actor.name.startswith("actor/") and actor.state not in {"running", "starting"}
    ]


def _natural(member: MemberView) -> tuple[str, int]:
    agent, _, position = member.member.rpartition("/")
    return agent, int(position)


def cluster_document(shown: Shown) -> dict[str, Any]:
    """Return everything that the tree shows as plain data; fields are only ever added within a version."""
    tree, now = shown.tree, shown.now
    return {
        "schemaVersion": SCHEMA_VERSION,
        "cluster": tree.cluster,
        "launcher_pid": shown.launcher_pid,
        "balancer_address": tree.balancer_address,
        "registry": None if tree.registry is None else _timestamps(asdict(tree.registry), now),
        "members": [member_document(member, now) for member in members_in_order(tree)],
        "agents": [agent_document(agent) for agent in tree.agents],
        "actors": [_timestamps(asdict(actor), now) for actor in tree.actors],
        **coordination_document(tree.coordination),
    }


def member_document(member: MemberView, now: float) -> dict[str, Any]:
    """Return a member as plain data."""
    at = {"deadline": _moment_or_none(member.deadline), "recycle_at": _moment_or_none(member.recycle_at)}
    return {**_timestamps(asdict(member), now), **at}


def agent_document(agent: AgentView) -> dict[str, Any]:
    """Return an agent as plain data."""
    return {**asdict(agent), "recent_restarts": [moment(at) for at in agent.recent_restarts]}


def _moment_or_none(at: float | None) -> str | None:
    return None if at is None else moment(at)


def _timestamps(document: dict[str, Any], now: float) -> dict[str, Any]:
    since = document.pop("since")
    return {**document, "since": moment(since), "for_s": round(max(0.0, now - since), 3)}
