"""What Prometheus is told of a cluster, as its own parser reads it."""

from __future__ import annotations

from dataclasses import replace

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from support.listings import TROUBLED, actor

from quaestor_actors.actors.metrics_families import Build, families_of
from quaestor_actors.actors.view import TreeView
from quaestor_actors.core.counted import EMPTY_SLOT, OF_METHOD, discover_file, probes_file, restarts_file
from quaestor_actors.core.exposition import exposition
from quaestor_actors.core.histogram import DISCOVER, PROBE
from quaestor_actors.core.restart_kind import KINDS, RestartKind

BUILD = Build(version="0.1.0", python="3.11.2")


def scraped(tree: TreeView, **counted: dict[int, float]) -> dict[str, Metric]:
    """Return the families of a tree, where files have these numbers."""
    files = {name.replace("__", "."): numbers for name, numbers in counted.items()}

    def tally(name: str) -> list[float]:
        numbers = files.get(name.removesuffix(".tally").replace("-", "_"), {})
        return [numbers.get(index, 0.0) for index in range(max(numbers, default=-1) + 1)]

    text = exposition(families_of(tree, build=BUILD, tally=tally))
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(family: Metric, name: str = "", **labels: str) -> float:
    """Return the one sample that has these labels."""
    (found,) = (
        sample.value
        for sample in family.samples
        if labels.items() <= sample.labels.items() and sample.name.endswith(name)
    )
    return float(found)


def test__names__are_those_of_the_conventions() -> None:
    families = scraped(TROUBLED.tree)
    for name, family in families.items():
        assert family.documentation
        assert name.startswith(("quaestor_", "process_"))
        assert not any({"pid", "address", "le"} & sample.labels.keys() for sample in family.samples), name
        is_counter = family.type == "counter"
        assert all(sample.name.endswith("_total") == is_counter for sample in family.samples)


def test__members__by_agent_and_state() -> None:
    families = scraped(TROUBLED.tree)
    members = families["quaestor_members"]
    assert value(members, agent="Worker", state="backing_off") == 1
    assert value(members, agent="Report", state="serving") == 0
    assert sum(sample.value for sample in members.samples) == len(TROUBLED.tree.members)
    assert value(families["quaestor_member_serving"], member="Worker/1") == 1
    assert value(families["quaestor_member_serving"], member="Worker/2") == 0


def test__restarts__of_each_member_by_kind() -> None:
    numbers = {len(KINDS) + KINDS.index(RestartKind.UNHEALTHY): 3.0}
    restarts = scraped(TROUBLED.tree, Worker__restarts=numbers)["quaestor_member_restarts"]
    assert value(restarts, member="Worker/2", reason="unhealthy") == 3
    assert value(restarts, member="Worker/1", reason="unhealthy") == 0
    assert sum(sample.value for sample in restarts.samples) == 3


def test__series__go_with_the_member() -> None:
    tree = replace(TROUBLED.tree, members=TROUBLED.tree.members[:1])
    for family in scraped(tree, Worker__restarts={20: 5.0}).values():
        assert {sample.labels["member"] for sample in family.samples if "member" in sample.labels} <= {"Worker/1"}


def test__series__go_with_the_agent() -> None:
    tree = replace(TROUBLED.tree, agents=(), members=())
    families = scraped(tree, Worker__restarts={0: 5.0}, Worker__probes={0: 5.0})
    assert not any("agent" in sample.labels for family in families.values() for sample in family.samples)


def test__probes__are_a_histogram_of_the_agent() -> None:
    probes = scraped(TROUBLED.tree, Worker__probes={PROBE.slot_of(0.004): 2.0, PROBE.sum_slot: 0.008})
    family = probes["quaestor_probe_duration_seconds"]
    assert value(family, "_count", agent="Worker") == 2
    assert value(family, "_sum", agent="Worker") == 0.008
    assert value(family, "_bucket", agent="Worker", le="0.0025") == 0
    assert value(family, "_bucket", agent="Worker", le="0.005") == 2


def test__discover__by_frontend_and_method() -> None:
    frontends = (actor("balancer", "root"), actor("balancer/2", "root"))
    tree = replace(TROUBLED.tree, actors=(TROUBLED.tree.actors[0], *frontends))
    numbers = {OF_METHOD: 7.0, OF_METHOD + EMPTY_SLOT: 1.0, OF_METHOD + DISCOVER.sum_slot: 0.25}
    families = scraped(tree, discover_2=numbers)
    times, empty = families["quaestor_discover_duration_seconds"], families["quaestor_discover_empty"]
    assert value(times, "_count", frontend="balancer/2", method="DiscoverTopServices") == 7
    assert value(times, "_sum", frontend="balancer/2", method="DiscoverTopServices") == 0.25
    assert value(times, "_count", frontend="balancer", method="DiscoverTopServices") == 0
    assert value(empty, frontend="balancer/2", method="DiscoverTopServices") == 1
    assert value(empty, frontend="balancer/2", method="DiscoverServices") == 0


def test__registry__size_and_state() -> None:
    families = scraped(TROUBLED.tree)
    registry = TROUBLED.tree.registry
    assert registry is not None
    assert value(families["quaestor_registry_locations"], store="etcd") == registry.locations
    assert value(families["quaestor_registry_state"], state=registry.state) == 1
    assert sum(sample.value for sample in families["quaestor_registry_state"].samples) == 1
    assert "quaestor_registry_state" not in scraped(replace(TROUBLED.tree, registry=None))


def test__actors__their_restarts_and_the_start() -> None:
    families = scraped(TROUBLED.tree)
    for each in TROUBLED.tree.actors:
        assert value(families["quaestor_actor_restarts"], actor=each.name) == each.restarts
    assert value(families["process_start_time_seconds"]) == TROUBLED.tree.actors[0].since
    assert value(families["quaestor_build_info"], version="0.1.0", python="3.11.2", cluster="demo") == 1


def test__files__are_named_after_what_is_counted() -> None:
    names = {restarts_file("W"), probes_file("W"), discover_file(1), discover_file(2)}
    assert names == {"W.restarts.tally", "W.probes.tally", "discover-1.tally", "discover-2.tally"}
