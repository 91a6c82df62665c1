"""Who waits for whom: both forms of `dependsOn`, and what can never be satisfied."""

from __future__ import annotations

from pathlib import Path

import pytest

from quaestor_actors.config import CLUSTER_FILE, LoadedCluster, load_cluster
from quaestor_actors.core.spec import Condition
from quaestor_actors.errors import ConfigError


def loaded(folder: Path, *agents: str) -> LoadedCluster:
    """Load a cluster with these agents, one in each line from the third on; `RUN` stands for a program."""
    run = "executablePath: run.py"
    lines = [f"- {{{agent.replace('RUN', run)}}}" for agent in agents]
    (folder / CLUSTER_FILE).write_text("\n".join(["clusterConfig: {name: c}", "agents:", *lines, ""]))
    (folder / "run.py").touch()
    return load_cluster(folder, environ={"PATH": ""})


def faults(folder: Path, *agents: str) -> list[str]:
    """Return the faults of a cluster with these agents, without the file."""
    with pytest.raises(ConfigError) as caught:
        loaded(folder, *agents)
    return [str(fault).removeprefix(f"{folder / CLUSTER_FILE}:") for fault in caught.value.faults]


def test__mapping_or_list__any_case__reaches_the_spec_by_proper_names(tmp_path: Path) -> None:
    cluster = loaded(
        tmp_path,
        "agentType: Store, RUN",
        "agentType: Setup, RUN, restart: Transient, dependsOn: [STORE]",
        "agentType: LoadBalancer",
        "agentType: Worker, RUN, dependsOn: {store: Started, Setup: COMPLETED, LoadBalancer: serving}",
    )
    assert cluster.warnings == ()
    assert [agent.depends_on for agent in cluster.spec.agents] == [
        (),
        (("Store", Condition.SERVING),),
        (),
        (("Store", Condition.STARTED), ("Setup", Condition.COMPLETED), ("LoadBalancer", Condition.SERVING)),
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("[Stor]", "4:54: agents[1].dependsOn[0]: there is no agent Stor (did you mean Store?)"),
        ("{Zzz: serving}", "4:54: agents[1].dependsOn.Zzz: there is no agent Zzz (known are Store, A)"),
        ("['']", "4:54: agents[1].dependsOn[0]: there is no agent without a name (known are Store, A)"),
        ("[a]", "4:54: agents[1].dependsOn[0]: an agent cannot wait for itself; remove it"),
        (
            "{Store: completed}",
            (
                "4:61: agents[1].dependsOn.Store: Store has restart permanent and never completes; "
                "make that transient or temporary, or wait for serving"
            ),
        ),
        (
            "{Store: ready}",
            "4:61: agents[1].dependsOn.Store: expected started, serving or completed, found text 'ready'",
        ),
        ("{Store: }", "4:60: agents[1].dependsOn.Store: expected started, serving or completed, found nothing"),
        (
            "Store",
            (
                "4:53: agents[1].dependsOn: expected a list of agent types, or a mapping from them to conditions, "
                "found text 'Store' (write [Store])"
            ),
        ),
        (
            "[Store: started]",
            (
                "4:53: agents[1].dependsOn: a list holds agent types alone; "
                "conditions go into a mapping, {KeyValueStore: started}"
            ),
        ),
        ("[Store, store]", "4:61: agents[1].dependsOn[1]: the name is there already, in line 4"),
    ],
)
def test__what_cannot_be_waited_for__is_told_with_its_place(tmp_path: Path, value: str, expected: str) -> None:
    assert faults(tmp_path, "agentType: Store, RUN", f"agentType: A, RUN, dependsOn: {value}") == [expected]


def test__circles__are_each_told_at_a_link_of_theirs(tmp_path: Path) -> None:
    agents = [
        "agentType: A, RUN, dependsOn: [B]",
        "agentType: B, RUN, dependsOn: {C: started, D: started}",
        "agentType: C, RUN, dependsOn: [a]",
        "agentType: D, RUN, dependsOn: [E, B]",
        "agentType: E, RUN",
    ]
    assert faults(tmp_path, *agents) == [
        "3:54: agents[0].dependsOn[0]: A -> B -> C -> A wait for each other; remove one of these links",
        "4:66: agents[1].dependsOn.D: B -> D -> B wait for each other; remove one of these links",
    ]


def test__circle_of_many__is_named_in_short(tmp_path: Path) -> None:
    agents = [f"agentType: A{n}, RUN, dependsOn: [A{(n + 1) % 500}]" for n in range(500)]
    (fault,) = faults(tmp_path, *agents)
    assert "A0 -> A1 -> A2 -> A3 -> A4 -> A5 -> ... -> A0 wait for each other" in fault


def test__diamond__is_no_circle(tmp_path: Path) -> None:
    agents = [
        "agentType: A, RUN, dependsOn: [B, C]",
        "agentType: B, RUN, dependsOn: [D]",
        "agentType: C, RUN, dependsOn: [D]",
        "agentType: D, RUN",
    ]
    assert loaded(tmp_path, *agents).warnings == ()


def test__builtin_balancer__never_completes_and_waits_for_nobody(tmp_path: Path) -> None:
    agents = ["agentType: LoadBalancer, dependsOn: [A]", "agentType: A, RUN, dependsOn: {LoadBalancer: completed}"]
    assert faults(tmp_path, *agents) == [
        (
            "4:68: agents[1].dependsOn.LoadBalancer: "
            "the built-in LoadBalancer never completes; wait for serving or started"
        )
    ]


def test__agent_of_a_wrong_type__may_be_the_one_that_is_meant(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "agentType: /Store, RUN", "agentType: A, RUN, dependsOn: [Store]")
    assert fault.startswith("3:15: agents[0].agentType: expected 1 to 60")
