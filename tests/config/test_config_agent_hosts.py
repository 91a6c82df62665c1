"""Which agents of a cluster run on a host, at which addresses and ports, and which etcd they use there."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.config_hosts import ETCD, THREE, agent, be, by_type, complaints, load

from quaestor_actors.config import LOAD_BALANCER_FILE
from quaestor_actors.core.placement import Floating

ENDS_WITH_ITS_HOST = "what floats ends when the cluster stops on its host, so that another one can run it; remove this"


@pytest.fixture(autouse=True)
def on_a1(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine be 10.0.0.1."""
    be(monkeypatch, "10.0.0.1")


# Where agents run


def test__pinned_agents__are_in_the_specification_of_their_hosts_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents = agent("A", "hosts: [A1, a2], processCount: 2") + agent("B", "hosts: [a2]") + agent("C")
    here = by_type(load(tmp_path, agents).spec)
    assert list(here) == ["A", "C"]
    assert (here["A"].hosts, here["C"].hosts) == (("a1", "a2"), ())
    assert here["A"].members == {"A/1": 1, "A/2": 2}
    be(monkeypatch, "10.0.0.2")
    assert list(by_type(load(tmp_path, agents).spec)) == ["A", "B", "C"]
    be(monkeypatch, "10.0.0.3")
    assert list(by_type(load(tmp_path, agents).spec)) == ["C"]


def test__agent_of_another_host__its_program_need_not_be_here(tmp_path: Path) -> None:
    elsewhere = "- {agentType: A, executablePath: nowhere, workingDirectory: none, user: nobody-at-all, hosts: [a2]}\n"
    assert load(tmp_path, elsewhere).spec.agents == ()
    assert complaints(tmp_path, elsewhere.replace("hosts: [a2]", "hosts: [a2], ports: [1, 2]")) == [
        "agents[0].ports: 2 ports for 1 process; give as many as processCount, or none"
    ]


def test__floating_agent__is_known_everywhere_and_begins_without_members(tmp_path: Path) -> None:
    agents = (
        ETCD
        + agent("F", "floating: {count: 2, spread: false, prefer: [A2, a1]}, ports: [5001, 5002]")
        + agent("G", "floating: {}")
    )
    spec = by_type(load(tmp_path, agents).spec)
    assert spec["F"].floating == Floating(agent="F", count=2, spread=False, prefer=("a2", "a1"))
    assert (spec["F"].process_count, spec["F"].numbers, spec["F"].ports) == (2, (), (5001, 5002))
    assert spec["F"].members == {}
    assert spec["G"].floating == Floating(agent="G", count=1)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("hosts: [a11]", "hosts[0]: there is no host a11 (did you mean a1?)"),
        ("hosts: [mars]", "hosts[0]: there is no host mars (known are a1, a2, a3)"),
        ("hosts: [a1, A1]", "hosts[1]: a1 is there already"),
        ("hosts: []", "hosts: names no host; remove it for all of them, or set processCount: 0 for none"),
        ("floating: {prefer: [mars]}", "floating.prefer[0]: there is no host mars (known are a1, a2, a3)"),
        ("floating: {count: 0}", "floating.count: expected a number not below 1, found 0"),
        ("floating: {cuont: 1}", "floating.cuont: unknown key (did you mean count?)"),
        ("floating: 2", "floating: expected a mapping, found the number 2"),
        (
            "floating: {}, hosts: [a1]",
            "floating: what floats may run on every host, and hosts pins it; remove one of them",
        ),
        (
            "floating: {}, clusterShutdownAction: None",
            f"clusterShutdownAction: {ENDS_WITH_ITS_HOST}",
        ),
        ("floating: {}, processCount: 1", "processCount: how many float is the count of floating; remove this"),
        (
            "floating: {count: 3}, ports: [5001]",
            "ports: 1 port for 3 processes; give as many as the count of floating, or none",
        ),
    ],
)
def test__agent__what_is_wrong_with_its_hosts(tmp_path: Path, keys: str, expected: str) -> None:
    assert complaints(tmp_path, ETCD + agent("A", keys)) == [f"agents[1].{expected}"]


def test__hosts_of_agents__without_hosts_of_the_cluster(tmp_path: Path) -> None:
    agents = agent("A", "hosts: [a1]") + agent("B", "floating: {}")
    assert complaints(tmp_path, agents, config="logLevel: info") == [
        "agents[0].hosts: clusterConfig has no hosts; name them there, or remove this",
        "agents[1].floating: clusterConfig has no hosts; name them there, or remove this",
    ]


def test__floating__needs_etcd_and_is_neither_for_it_nor_for_the_balancer(tmp_path: Path) -> None:
    (fault,) = complaints(tmp_path, agent("A", "floating: {}"))
    assert fault == (
        "agents[0].floating: needs a KeyValueStore agent: etcd decides which host runs what floats; "
        "add one, or name hosts"
    )
    agents = "- {agentType: KeyValueStore, processCount: 0, floating: {}}\n- {agentType: LoadBalancer, floating: {}}\n"
    assert complaints(tmp_path, agents) == [
        "agents[0].floating: etcd does not float, as its data stay where they are; name its hosts, and remove this",
        "agents[1].floating: the built-in LoadBalancer does not float; name its hosts, or remove this",
    ]


def test__dependencies__only_on_what_runs_wherever_the_agent_does(tmp_path: Path) -> None:
    fine = ETCD + agent("A", "hosts: [a1, a2]") + agent("B", "hosts: [a2], dependsOn: [A, KeyValueStore]") + agent("C")
    fine += agent("D", "dependsOn: [C], floating: {}") + agent("E", "hosts: [a1], dependsOn: [A]")
    assert [name for name, _ in by_type(load(tmp_path, fine).spec)["E"].depends_on] == ["A"]
    wrong = (
        ETCD
        + agent("A", "hosts: [a1, a2]")
        + agent("B", "dependsOn: [A]")
        + agent("C", "hosts: [a1, a3], dependsOn: [A]")
    )
    wrong += agent("D", "floating: {}, dependsOn: [A]") + agent("E", "dependsOn: [D]")
    assert complaints(tmp_path, wrong) == [
        "agents[2].dependsOn[0]: A does not run on a3, where B does; let it run there, or remove this",
        "agents[3].dependsOn[0]: A does not run on a3, where C does; let it run there, or remove this",
        "agents[4].dependsOn[0]: A does not run on a3, where D does; let it run there, or remove this",
        "agents[5].dependsOn[0]: D floats, and need not be on the same host; wait for an agent that does not",
    ]


# Addresses and ports


def test__host_name__what_is_registered_has_that_of_the_host(tmp_path: Path) -> None:
    agents = agent("A", "serviceNames: [A]") + agent("B", "serviceNames: [B], hostName: localhost") + agent("C")
    agents += agent("D", "serviceNames: [D], excludeFromServiceRegistry: true") + "- agentType: LoadBalancer\n"
    spec = load(tmp_path, agents).spec
    names = {name: found.host_name for name, found in by_type(spec).items() if name != "LoadBalancer"}
    assert names == {"A": "10.0.0.1", "B": "localhost", "C": "localhost", "D": "localhost"}
    assert spec.balancer is not None
    assert spec.balancer.host_name == "10.0.0.1"
    (tmp_path / LOAD_BALANCER_FILE).write_text("loadBalancerConfig: {hostName: localhost}\n")
    own = load(tmp_path, agents).spec.balancer
    assert own is not None
    assert own.host_name == "localhost"


def test__balancer_of_other_hosts__is_not_here(tmp_path: Path) -> None:
    loaded = load(tmp_path, "- {agentType: LoadBalancer, hosts: [a2]}\n" + agent("A", "ports: [5150], hosts: [a1]"))
    assert loaded.spec.balancer is None
    assert [each.agent_type for each in loaded.spec.agents] == ["A"]
    assert loaded.warnings == ()


def test__ports__are_taken_on_the_same_host_alone(tmp_path: Path) -> None:
    fine = agent("A", "hosts: [a1], ports: [5001]") + agent("B", "hosts: [a2], ports: [5001]")
    assert load(tmp_path, fine + agent("C", "hosts: [a1, a2], ports: [7000]")).warnings == ()
    wrong = fine + agent("C", "hosts: [a2, a3], ports: [5001]") + agent("D", "hosts: [a2], ports: [7071]")
    assert complaints(tmp_path, wrong + agent("E", "ports: [7000]")) == [
        "agents[2].ports[0]: port 5001 is taken by B, in line 5",
        "agents[3].ports[0]: port 7071 is taken by the actors of a2, in line 2",
        "agents[4].ports[0]: port 7000 is taken by the actors of a3, in line 2",
    ]


def test__port_of_actors__that_the_balancer_has__is_a_fault(tmp_path: Path) -> None:
    config = "hosts: {a1: {address: 10.0.0.1}, a2: {address: 10.0.0.2, adminPort: 5150}}"
    assert complaints(tmp_path, "- agentType: LoadBalancer\n", config=config) == [
        "clusterConfig.hosts.a2.adminPort: port 5150 is taken by the load balancer"
    ]


# etcd


def test__etcd__names_of_hosts_stand_for_their_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    etcd = "- {agentType: KeyValueStore, executablePath: run.py, hosts: [a1, A2, 10.0.0.3], dataDirectory: data}\n"
    for own, others in (("10.0.0.1", ("10.0.0.2", "10.0.0.3")), ("10.0.0.2", ("10.0.0.1", "10.0.0.3"))):
        be(monkeypatch, own)
        loaded = load(tmp_path, etcd)
        (found,) = loaded.spec.agents
        assert (found.host_name, found.hosts) == (own, ("a1", "a2", "a3"))
        assert f"--listen-client-urls=http://{own}:2379" in found.arguments
        assert "10.0.0.3:2379=http://10.0.0.3:2380" in found.arguments
        assert loaded.spec.stores[0].endpoints == tuple((host, 2379) for host in (own, *others))
        assert loaded.warnings == ()


def test__etcd_of_other_hosts__is_only_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    be(monkeypatch, "10.0.0.4")
    config = f"hosts: {THREE[:-1]}, a4: {{address: 10.0.0.4}}}}"
    etcd = "- {agentType: KeyValueStore, executablePath: nowhere, hosts: [a1, a2, a3], peerPort: 9, dataDirectory: d}\n"
    loaded = load(tmp_path, etcd + agent("A", "dependsOn: [KeyValueStore]"), config=config)
    store = loaded.spec.agents[0]
    assert (store.process_count, store.executable, store.members) == (0, None, {})
    assert loaded.spec.stores[0].endpoints == (("10.0.0.1", 2379), ("10.0.0.2", 2379), ("10.0.0.3", 2379))
    assert loaded.warnings == ()


def test__etcd_of_somebody_else__names_and_other_hosts(tmp_path: Path) -> None:
    spec = load(tmp_path, "- {agentType: KeyValueStore, processCount: 0, hosts: [a2, etcd.example.com]}\n").spec
    assert spec.stores[0].endpoints == (("10.0.0.2", 2379), ("etcd.example.com", 2379))


def test__etcd__of_the_cluster__hosts_are_needed_and_known(tmp_path: Path) -> None:
    (fault,) = complaints(tmp_path, "- {agentType: KeyValueStore, dataDirectory: data}\n")
    assert fault == (
        "agents[0].agentType: each host would have an etcd of its own; name those that run it in hosts, "
        "or set processCount: 0"
    )
    etcd = "- {agentType: KeyValueStore, executablePath: run.py, hosts: [a1, a9, A1], dataDirectory: data}\n"
    assert complaints(tmp_path, etcd) == [
        "agents[0].hosts[1]: there is no host a9 (known are a1, a2, a3)",
        "agents[0].hosts[2]: 10.0.0.1 is there already",
    ]
