"""What Prometheus is told: from how everything is and what was counted, to families of metrics; pure functions.

A series is there as long as what it is about is in the tree. Labels are names of agents, members and actors, and words
of ours; never a pid, an address or a sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from quaestor_actors.actors.view import MemberView, TreeView
from quaestor_actors.core.counted import EMPTY_SLOT, METHODS, OF_METHOD, discover_file, probes_file, restarts_file
from quaestor_actors.core.exposition import Family, Labels, MetricType, Sample, histogram
from quaestor_actors.core.histogram import DISCOVER, PROBE
from quaestor_actors.core.member import MemberState
from quaestor_actors.core.restart_kind import KINDS

REGISTRY_STATES = ("connecting", "fallback", "following", "degraded")

Tallies = Callable[[str], Sequence[float]]
"""The numbers in the file of a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Which software runs."""

    version: str
    python: str


def families_of(tree: TreeView, *, build: Build, tally: Tallies) -> Iterator[Family]:
    """Yield all metrics of a cluster."""
    build_labels = (("version", build.version), ("python", build.python), ("cluster", tree.cluster))
    yield _gauge("quaestor_build_info", "Which software runs; the value is always 1.", [Sample(build_labels, 1)])
    started = [Sample((), actor.since) for actor in tree.actors if actor.parent is None]
    yield _gauge("process_start_time_seconds", "When the root actor was started, in seconds since the epoch.", started)
    yield from _of_members(tree, tally)
    probes = [
        sample
        for agent in tree.agents
        if (kept := tally(probes_file(agent.agent)))
        for sample in histogram((("agent", agent.agent),), PROBE, kept)
    ]
    yield Family(
        name="quaestor_probe_duration_seconds",
        type=MetricType.HISTOGRAM,
        help="How long health checks took, those without an answer included.",
        samples=probes,
    )
    yield from _of_balancer(tree, tally)
    yield from _of_registry(tree)
    yield _counter(
        "quaestor_actor_restarts_total",
        "How often an actor was replaced; of root: how often the whole tree.",
        [Sample((("actor", actor.name),), actor.restarts) for actor in tree.actors],
    )


def _of_members(tree: TreeView, tally: Tallies) -> Iterator[Family]:
    count = Counter((_agent_of(member), member.state) for member in tree.members)
    yield _gauge(
        "quaestor_members",
        "Members of an agent by state.",
        [
            Sample((("agent", agent.agent), ("state", state.value)), count[agent.agent, state.value])
            for agent in tree.agents
            for state in MemberState
        ],
    )
    members = sorted(tree.members, key=lambda member: (_agent_of(member), _number_of(member)))
    yield _gauge(
        "quaestor_member_serving",
        "Whether a member serves: 1 or 0.",
        [Sample(_labels_of(member), member.state == MemberState.SERVING) for member in members],
    )
    kept = {agent: tally(restarts_file(agent)) for agent in {_agent_of(member) for member in members}}
    yield _counter(
        "quaestor_member_restarts_total",
        "How often a member was to be started again, by what had ended its process.",
        [
            Sample((*_labels_of(member), ("reason", kind.value)), _at(kept[_agent_of(member)], slot))
            for member in members
            for slot, kind in enumerate(KINDS, start=(_number_of(member) - 1) * len(KINDS))
        ],
    )


def _of_balancer(tree: TreeView, tally: Tallies) -> Iterator[Family]:
    frontends = [
        (name, tally(discover_file(int(number or 1))))
        for name, is_one, number in ((actor.name, *_frontend(actor.name)) for actor in tree.actors)
        if is_one
    ]
    parts = [
        ((("frontend", name), ("method", method)), kept[at * OF_METHOD : (at + 1) * OF_METHOD])
        for name, kept in frontends
        for at, method in enumerate(METHODS)
    ]
    yield Family(
        name="quaestor_discover_duration_seconds",
        type=MetricType.HISTOGRAM,
        help="How long the balancer took to answer clients; their number is how many it has answered.",
        samples=[sample for labels, kept in parts for sample in histogram(labels, DISCOVER, kept)],
    )
    yield _counter(
        "quaestor_discover_empty_total",
        "How many answers of the balancer had no location.",
        [Sample(labels, _at(kept, EMPTY_SLOT)) for labels, kept in parts],
    )


def _frontend(actor: str) -> tuple[bool, str]:
    name, _, number = actor.partition("/")
    return name == "balancer", number


def _of_registry(tree: TreeView) -> Iterator[Family]:
    if (registry := tree.registry) is None:
        return
    store = (("store", registry.store.partition(" at ")[0]),)
    yield _gauge(
        "quaestor_registry_locations",
        "Locations that balancers are told of.",
        [Sample(store, registry.locations)],
    )
    yield _gauge(
        "quaestor_registry_registered",
        "Locations that this cluster has registered.",
        [Sample(store, registry.registered)],
    )
    yield _gauge(
        "quaestor_registry_state",
        "How it stands with the store of the registry: 1 for the present state, 0 for the others.",
        [Sample((*store, ("state", state)), registry.state == state) for state in REGISTRY_STATES],
    )


def _gauge(name: str, text: str, samples: Sequence[Sample]) -> Family:
    return Family(name=name, type=MetricType.GAUGE, help=text, samples=samples)


def _counter(name: str, text: str, samples: Sequence[Sample]) -> Family:
    return Family(name=name, type=MetricType.COUNTER, help=text, samples=samples)


def _labels_of(member: MemberView) -> Labels:
    return (("agent", _agent_of(member)), ("member", member.member))


def _agent_of(member: MemberView) -> str:
    return member.member.rpartition("/")[0]


def _number_of(member: MemberView) -> int:
    return int(member.member.rpartition("/")[2])


def _at(kept: Sequence[float], slot: int) -> float:
    return kept[slot] if slot < len(kept) else 0.0
