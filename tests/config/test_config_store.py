"""Which etcd holds the registry: where it is, who we are there, and what of that is wrong or of no use."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.certificates import Authority

from quaestor_actors.config import CLUSTER_FILE, LOAD_BALANCER_FILE, LoadedCluster, load_balancer, load_cluster
from quaestor_actors.core.location import ClientTls
from quaestor_actors.core.spec import StoreSpec
from quaestor_actors.errors import ConfigError

AN_ENDPOINT = "expected host:port such as 10.0.0.7:2379 or [::1]:2379, without a scheme"
HEAD = "clusterConfig: {name: c}\n"


def cluster(
    folder: Path, text: str, *, balancer: str | None = None, environ: dict[str, str] | None = None
) -> LoadedCluster:
    """Load a cluster with these agents, and a balancer's file if there is one."""
    (folder / CLUSTER_FILE).write_text(f"{HEAD}agents:\n{text}")
    (folder / "run.py").touch()
    if balancer is not None:
        (folder / LOAD_BALANCER_FILE).write_text(balancer)
    return load_cluster(folder, environ={"PATH": "", **(environ or {})})


def alone(folder: Path, text: str, *, environ: dict[str, str] | None = None) -> LoadedCluster:
    """Load a balancer alone."""
    (folder / LOAD_BALANCER_FILE).write_text(text)
    return load_balancer(folder, environ=environ or {})


def external(folder: Path, keys: str, *, environ: dict[str, str] | None = None) -> LoadedCluster:
    """Load a cluster whose etcd somebody else runs; further keys are in line 5."""
    return cluster(folder, f"- agentType: KeyValueStore\n  processCount: 0\n  {keys}\n", environ=environ)


def complaints(folder: Path, keys: str, *, environ: dict[str, str] | None = None) -> list[str]:
    """Return the faults of such a cluster, without the folder."""
    with pytest.raises(ConfigError) as caught:
        external(folder, keys, environ=environ)
    return [str(fault).replace(f"{folder}/", "").removeprefix(f"{CLUSTER_FILE}:") for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("keys", "endpoints"),
    [
        ("", [("localhost", 2379)]),
        ("hostName: etcd.example.com", [("etcd.example.com", 2379)]),
        ("ports: [1, 2]", [("localhost", 1), ("localhost", 2)]),
        ("endpoints: ['a:1', '[2001:db8::1]:2379']", [("a", 1), ("2001:db8::1", 2379)]),
        ("endpoints: [a:1]\n  ports: [2]", [("localhost", 2), ("a", 1)]),
        ("endpoints: [a:1, b:2]\n  hostName: b\n  ports: [2]", [("b", 2), ("a", 1)]),
        ("endpoints: ['127.0.0.1:2379', a:1, A:1]\n  hostName: localhost", [("localhost", 2379), ("a", 1)]),
        ("hosts: [a, b, c]", [("a", 2379), ("b", 2379), ("c", 2379)]),
        ("hosts: [a, b, c]\n  ports: [5]\n  endpoints: [d:5, c:5]", [("a", 5), ("b", 5), ("c", 5), ("d", 5)]),
        ("hosts: [a, b, c]\n  hostName: b", [("b", 2379), ("a", 2379), ("c", 2379)]),
    ],
)
def test__etcd_of_somebody_else__endpoints__own_first_and_each_once(
    tmp_path: Path, keys: str, endpoints: list[tuple[str, int]]
) -> None:
    of_cluster = external(tmp_path, keys)
    assert of_cluster.spec.stores == (StoreSpec(endpoints=tuple(endpoints)),)
    assert of_cluster.warnings == ()
    assert of_cluster.spec.agents[0].executable is None
    of_balancer = alone(tmp_path, f"agents:\n- agentType: KeyValueStore\n  {keys}\n")
    assert of_balancer.spec.stores == of_cluster.spec.stores
    assert of_balancer.warnings == ()


def test__etcd_of_somebody_else__claims_no_port_of_this_machine(tmp_path: Path) -> None:
    keys = "hostName: etcd.example.com\n  ports: [7001]\n- {agentType: A, executablePath: run.py, ports: [7001]}"
    assert external(tmp_path, keys).spec.stores[0].endpoints == (("etcd.example.com", 7001),)


def test__key_value_store__as_in_the_original_s_files__starts_as_it_is_written(tmp_path: Path) -> None:
    text = (
        "- agentType: KeyValueStore\n  executablePath: run.py\n  hostName: 192.0.2.7\n  ports: [2379]\n"
        '  commandLineArguments: "--name x --listen-client-urls http://{HostName}:{Port}"\n'
    )
    loaded = cluster(tmp_path, text)
    (agent,) = loaded.spec.agents
    assert agent.arguments == "--name x --listen-client-urls http://{HostName}:{Port}"
    assert (agent.host_name, agent.ports, agent.startup_deadline_s) == ("192.0.2.7", (2379,), 8.0)
    assert loaded.spec.stores == (StoreSpec(endpoints=(("192.0.2.7", 2379),)),)
    assert loaded.warnings == ()


def test__key_value_store__started_as_written_without_ports__has_etcd_s_own_port(tmp_path: Path) -> None:
    loaded = cluster(tmp_path, "- {agentType: KeyValueStore, executablePath: run.py, endpoints: [b:2379]}\n")
    assert loaded.spec.agents[0].ports == (2379,)
    assert loaded.spec.stores[0].endpoints == (("localhost", 2379), ("b", 2379))
    with pytest.raises(ConfigError, match="ports is missing; the cluster must know where etcd is"):
        cluster(tmp_path, "- {agentType: KeyValueStore, executablePath: run.py, processCount: 3}\n")


def test__every_key_of_a_store__reaches_its_field(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    certificate, key = ours.issue("localhost")
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "password").chmod(0o600)
    keys = (
        "USETLS: true\n  caCertificateFile: root.pem\n  clientCertificate: 1.pem\n  clientPrivateKeyFile: 1.key\n"
        "  leaseTtlSeconds: 2.5\n  storeUser: 007\n  storePasswordFile: password\n"
    )
    expected = StoreSpec(
        endpoints=(("localhost", 2379),),
        use_tls=True,
        tls=ClientTls(ca_certificate_file=ours.root_file, client_certificate=certificate, client_private_key_file=key),
        user="007",
        password_file=str(tmp_path / "password"),
        lease_ttl_s=2.5,
    )
    assert external(tmp_path, keys).spec.stores == (expected,)
    assert alone(tmp_path, f"agents:\n- agentType: KeyValueStore\n  {keys}").spec.stores == (expected,)


def test__authorities_of_the_cluster__are_trusted_at_the_store__too(tmp_path: Path) -> None:
    root = Authority(tmp_path).root_file
    (tmp_path / CLUSTER_FILE).write_text(
        "clusterConfig: {name: c, caCertificateFile: root.pem}\n"
        "agents: {KeyValueStore: {processCount: 0, useTLS: true}}\n"
    )
    (store,) = load_cluster(tmp_path, environ={}).spec.stores
    assert store.tls == ClientTls(ca_certificate_file=root)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (
            "endpoints: [http://a:2379]",
            (f"5:15: agents[0].endpoints[0]: {AN_ENDPOINT}, found text 'http://a:2379'"),
        ),
        (
            "endpoints: [2379]",
            (f"5:15: agents[0].endpoints[0]: {AN_ENDPOINT}, found the number 2379"),
        ),
        ("endpoints: [a:0]", "5:15: agents[0].endpoints[0]: expected a port from 1 to 65535, found 0"),
        ("endpoints: a:1", "5:14: agents[0].endpoints: expected a list, found text 'a:1' (write [a:1])"),
        (
            "hosts: [a, b:1]",
            "5:14: agents[0].hosts[1]: expected a host name alone, found text 'b:1'; the port has a key of its own",
        ),
        ("hosts: [a, B, b]", "5:17: agents[0].hosts[2]: b is there already"),
        (
            "hosts: [a]\n  ports: [1, 2]",
            "6:10: agents[0].ports: with hosts there is one port, the same on all of them",
        ),
        ("leaseTtlSeconds: 1", "5:20: agents[0].leaseTtlSeconds: expected a number not below 2, found 1"),
        ("leaseTtlSeconds: 3601", "5:20: agents[0].leaseTtlSeconds: expected a number not above 3600, found 3601"),
        (
            "storeUser: u",
            "5:14: agents[0].storeUser: needs storePasswordFile, or QUAESTOR_ETCD_PASSWORD in the environment",
        ),
        ("storeUser: ''", "5:14: agents[0].storeUser: expected the name of a user, found text ''"),
    ],
)
def test__value_of_a_store_key__that_cannot_be__is_a_fault(tmp_path: Path, keys: str, expected: str) -> None:
    assert complaints(tmp_path, keys) == [expected]


def test__password_file__must_be_private_and_hold_one(tmp_path: Path) -> None:
    file = tmp_path / "password"
    keys = "storeUser: u\n  storePasswordFile: password"
    place = "6:22: agents[0].storePasswordFile: "
    assert complaints(tmp_path, keys) == [f"{place}there is no file password"]
    file.write_text("\nsecret")
    file.chmod(0o600)
    assert complaints(tmp_path, keys) == [f"{place}password has no password in its first line"]
    file.write_text("secret")
    for mode in (0o640, 0o604, 0o620):
        file.chmod(mode)
        (fault,) = complaints(tmp_path, keys)
        assert fault == f"{place}password is open to other users than its owner; run: chmod 600 password"
    file.chmod(0o400)
    assert external(tmp_path, keys).spec.stores[0].password_file == str(file)


def test__credentials__may_be_in_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("secret")
    file.chmod(0o600)
    (store,) = external(tmp_path, "storeUser: u", environ={"QUAESTOR_ETCD_PASSWORD": "p"}).spec.stores
    assert (store.user, store.password_file) == ("u", None)
    assert "'p'" not in repr(store)
    (store,) = external(tmp_path, "storePasswordFile: password", environ={"QUAESTOR_ETCD_USER": "u"}).spec.stores
    assert (store.user, store.password_file) == (None, str(file))
    assert complaints(tmp_path, "storePasswordFile: password") == [
        (
            "5:22: agents[0].storePasswordFile: storeUser is missing, and QUAESTOR_ETCD_USER in the environment; "
            "whose password is it?"
        )
    ]


def test__even_number_of_hosts__is_warned_of(tmp_path: Path) -> None:
    (warning,) = external(tmp_path, "hosts: [a, b]").warnings
    assert warning.endswith(":5:10: agents[0].hosts: 2 hosts survive no more failures than 1; use an odd number")


def test__keys_of_a_member__where_none_is_started_with_them__are_warned_of(tmp_path: Path) -> None:
    found = external(tmp_path, "peerPort: 1\n  dataDirectory: d").warnings
    assert [line.partition(": ")[2] for line in found] == [
        "agents[0].peerPort: has no effect; processCount is 0",
        "agents[0].dataDirectory: has no effect; processCount is 0",
    ]
    (warning,) = cluster(tmp_path, "- {agentType: KeyValueStore, executablePath: run.py, peerPort: 1}\n").warnings
    assert warning.endswith(
        "agents[0].peerPort: has no effect; executablePath without hosts is started as it is written"
    )
    found = alone(tmp_path, "agents:\n- agentType: KeyValueStore\n  peerPort: 1\n").warnings
    assert [line.partition(": ")[2] for line in found] == [
        "agents[0].peerPort: has no effect here; the balancer starts and stops no process"
    ]


def test__keys_of_a_store__at_another_agent__are_faults(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        cluster(tmp_path, "- agentType: A\n  executablePath: run.py\n  endpoints: [a:1]\n  peerPort: 1\n")
    assert [str(fault).partition(": ")[2] for fault in caught.value.faults] == [
        "agents[0].endpoints: only a KeyValueStore agent has it; remove it",
        "agents[0].peerPort: only a KeyValueStore agent has it; remove it",
    ]
    with pytest.raises(ConfigError, match=r"has it \(did you mean the agent type KeyValueStore\?\); remove it"):
        cluster(tmp_path, "- {agentType: keyvaluestore, executablePath: run.py, hosts: [a]}\n")
    with pytest.raises(ConfigError, match=r"executablePath: missing \(did you mean the agent type KeyValueStore\?\)"):
        cluster(tmp_path, "- {agentType: KeyValueStor}\n")
    with pytest.raises(ConfigError) as caught:
        alone(tmp_path, "agents:\n- {agentType: Worker, ports: [1], storeUser: u}\n")
    assert [str(fault).partition(": ")[2] for fault in caught.value.faults] == [
        "agents[0].storeUser: only a KeyValueStore agent has it; remove it"
    ]


def test__client_of_etcd__not_installed__is_a_fault_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyetcd", None)
    assert complaints(tmp_path, "ports: [1]") == [
        "3:14: agents[0].agentType: needs the package etcd-sdk-python; run: pip install 'quaestor-actors[etcd]'"
    ]


def test__balancer_alone__stores_in_order_and_workers_to_fall_back_on(tmp_path: Path) -> None:
    text = (
        "agents:\n- {agentType: KeyValueStore, hostName: b, ports: [1]}\n- {agentType: Worker, ports: [7001]}\n"
        "- {agentType: KeyValueStore, hostName: a, ports: [1]}\n"
    )
    loaded = alone(tmp_path, text)
    assert [store.endpoints for store in loaded.spec.stores] == [(("b", 1),), (("a", 1),)]
    assert [agent.ports for agent in loaded.spec.static_agents] == [(7001,)]
    assert loaded.warnings == ()
    # A store alone is enough: what is registered there is balanced.
    assert alone(tmp_path, "agents: {KeyValueStore: {ports: [2379]}}\n").warnings == ()


def test__cluster__without_a_store_of_its_own__takes_those_of_its_balancer_s_file(tmp_path: Path) -> None:
    balancer = "agents: [{agentType: KeyValueStore, hostName: a}, {agentType: KeyValueStore, hostName: b}]\n"
    loaded = cluster(tmp_path, "- {agentType: LoadBalancer}\n", balancer=balancer)
    assert [store.endpoints for store in loaded.spec.stores] == [(("a", 2379),), (("b", 2379),)]
    assert loaded.warnings == ()
    without = cluster(tmp_path, "- {agentType: A, executablePath: run.py}\n", balancer=balancer)
    assert without.spec.stores == ()


def test__cluster__with_a_store_of_its_own__uses_that_and_warns_of_others(tmp_path: Path) -> None:
    balancer = "agents: [{agentType: KeyValueStore, endpoints: [localhost:2379, b:2379]}]\n"
    text = "- {agentType: KeyValueStore, processCount: 0, hostName: 127.0.0.1}\n- {agentType: LoadBalancer}\n"
    loaded = cluster(tmp_path, text, balancer=balancer)
    assert [store.endpoints for store in loaded.spec.stores] == [(("127.0.0.1", 2379),)]
    assert loaded.warnings == (
        (
            f"{tmp_path / LOAD_BALANCER_FILE}:1:22: agents[0].agentType: b:2379 is not asked; "
            f"the KeyValueStore agent of {CLUSTER_FILE} says where the registry is"
        ),
    )
