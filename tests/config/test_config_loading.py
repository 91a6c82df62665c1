"""What good files become: specs, in both forms and any case, with defaults, resolved programs and certificates."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from quaestor_actors.config import (
    CLUSTER_FILE,
    LOAD_BALANCER_FILE,
    LoadedCluster,
    default_config_directory,
    find_config_directory,
    load_balancer,
    load_cluster,
)
from quaestor_actors.core.probe import ProbeKind, ProbeSpec
from quaestor_actors.core.spec import AgentSpec, BalancerSpec, ClusterSpec, RecyclingSpec, ShutdownAction
from quaestor_actors.errors import ConfigError

CONF = Path(__file__).parents[2] / "conf"
HEAD = "clusterConfig: {name: c}\n"


def loaded(folder: Path, text: str, environ: dict[str, str] | None = None) -> LoadedCluster:
    """Load a cluster file with this text; `run.py` in its folder is a program."""
    (folder / CLUSTER_FILE).write_text(text)
    (folder / "run.py").touch()
    return load_cluster(folder, environ=environ or {"PATH": ""})


def one_agent(folder: Path, keys: str, environ: dict[str, str] | None = None) -> AgentSpec:
    """Return the only agent of a cluster, with these further keys."""
    text = f"{HEAD}agents:\n  - agentType: A\n    executablePath: run.py\n    {keys}\n"
    return loaded(folder, text, environ).spec.agents[0]


def test__sample__loads_without_a_word(tmp_path: Path) -> None:
    conf = shutil.copytree(CONF, tmp_path / "conf")
    worker = tmp_path / "examples" / "hello_world" / "worker.py"
    worker.parent.mkdir(parents=True)
    worker.touch()
    sample = load_cluster(conf, environ={})
    workers, balancer = sample.spec.agents
    assert sample.warnings == ()
    assert sample.files == (conf / CLUSTER_FILE, conf / LOAD_BALANCER_FILE)
    assert sample.spec.name == "hello-world"
    assert workers == AgentSpec(
        agent_type="Worker",
        executable=str(worker),
        arguments="Worker {Port}",
        process_count=4,
        ports=(5161, 5162, 5163, 5164),
        service_names=("Worker",),
        shutdown_action=ShutdownAction.KILL,
    )
    assert balancer.is_builtin_balancer
    assert sample.spec.balancer is not None
    assert (sample.spec.balancer.host_name, sample.spec.balancer.port) == ("127.0.0.1", 5150)
    assert sample.spec.static_agents == ()


def test__sample_balancer_alone__has_the_workers_as_static_agents() -> None:
    alone = load_balancer(CONF, environ={})
    assert alone.warnings == ()
    assert alone.spec.name == "loadbalancer-5150"
    assert alone.spec.agents == ()
    (workers,) = alone.spec.static_agents
    assert (workers.ports, workers.process_count) == ((5161, 5162, 5163, 5164), 4)
    assert (workers.executable, workers.host_name) == (None, "localhost")


def test__defaults__are_those_of_the_specs(tmp_path: Path) -> None:
    spec = loaded(tmp_path, f"{HEAD}agents: {{A: {{executablePath: run.py}}}}\n").spec
    assert spec == ClusterSpec(name="c", agents=(AgentSpec(agent_type="A", executable=str(tmp_path / "run.py")),))
    assert load_balancer_text(tmp_path, "agents: []\n").spec.balancer == BalancerSpec()


def load_balancer_text(folder: Path, text: str) -> LoadedCluster:
    """Load a load balancer file with this text."""
    (folder / LOAD_BALANCER_FILE).write_text(text)
    return load_balancer(folder, environ={})


def test__every_key__any_case__reaches_its_field(tmp_path: Path) -> None:
    text = """\
CLUSTERCONFIG: {NAME: c, heartbeatintervalseconds: 1, memberResponseTimeoutSeconds: 2.5,
  memberMaxShutdownTimeSeconds: 0, memberMaxStartupRetries: 4}
Agents:
  - AGENTTYPE: A
    ExecutablePath: run.py
    commandlinearguments: 5161
    EnvironmentVariables: {Yes: yes, n: 0x10, b: true, t: "q", f: 1.50}
    processcount: 2
    PORTS: [1, 2]
    hostname: "::1"
    useTls: true
    servicenames: [S, T]
    startupwaitseconds: 3
    recyclingintervalhours: 1.5
    excludefromserviceregistry: true
    clustershutdownaction: kILL
"""
    result = loaded(tmp_path, text)
    assert result.spec == ClusterSpec(
        name="c",
        heartbeat_interval_s=1.0,
        response_timeout_s=2.5,
        shutdown_deadline_s=0.0,
        startup_retries=4,
        agents=(
            AgentSpec(
                agent_type="A",
                executable=str(tmp_path / "run.py"),
                arguments="5161",
                environment=(("Yes", "yes"), ("n", "0x10"), ("b", "true"), ("t", "q"), ("f", "1.50")),
                process_count=2,
                ports=(1, 2),
                host_name="::1",
                use_tls=True,
                service_names=("S", "T"),
                startup_deadline_s=3.0,
                recycling=RecyclingSpec(interval_s=5400.0),
                exclude_from_registry=True,
                shutdown_action=ShutdownAction.KILL,
            ),
        ),
    )


def test__both_forms_of_agents__are_the_same(tmp_path: Path) -> None:
    listed = loaded(
        tmp_path, f"{HEAD}agents: [{{agentType: A, executablePath: run.py}}, {{agentType: LoadBalancer}}]\n"
    )
    mapped = loaded(tmp_path, f"{HEAD}agents:\n  A: {{executablePath: run.py}}\n  LoadBalancer:\n")
    renamed = loaded(tmp_path, f"{HEAD}agents:\n  x: {{agentType: A, executablePath: run.py}}\n  LoadBalancer:\n")
    assert listed.spec == mapped.spec == renamed.spec
    assert listed.spec.balancer == BalancerSpec()
    assert listed.files == (tmp_path / CLUSTER_FILE,)


@pytest.mark.parametrize("value", ["null", "~", "", "None", "none"])
def test__shutdown_action__nothing_means_none(tmp_path: Path, value: str) -> None:
    assert one_agent(tmp_path, f"clusterShutdownAction: {value}").shutdown_action is ShutdownAction.NONE


def test__assume_healthy__from_either_environment(tmp_path: Path) -> None:
    name = "QUAESTOR_ASSUME_PROCESS_ALWAYS_HEALTHY"
    unchecked = ProbeSpec(kind=ProbeKind.NONE)
    assert one_agent(tmp_path, "probe: tcp", {name: "True"}).probe == unchecked
    assert one_agent(tmp_path, f"environmentVariables: {{{name}: true}}").probe == unchecked
    assert one_agent(tmp_path, f"environmentVariables: {{{name}: false}}").probe == ProbeSpec()


def test__placeholders__and_braces_that_are_none__stay_as_they_are(tmp_path: Path) -> None:
    arguments = '{HostName}:{Port} {} {"a":1}'
    assert one_agent(tmp_path, f"commandLineArguments: '{arguments}'").arguments == arguments


def test__balancer_file__keys_without_effect__are_warned_of(tmp_path: Path) -> None:
    alone = load_balancer_text(tmp_path, "agents:\n- agentType: Worker\n  ports: [1]\n  executablePath: gone\n")
    assert alone.warnings == (
        (
            f"{tmp_path / LOAD_BALANCER_FILE}:4:3: agents[0].executablePath: "
            "has no effect here; the balancer starts and stops no process"
        ),
    )


def test__balancer_alone__workers_of_several_hosts__are_all_static_agents(tmp_path: Path) -> None:
    alone = load_balancer_text(
        tmp_path,
        "agents:\n- {agentType: Worker, hostName: a, ports: [1], useTLS: true}\n"
        "- {agentType: Worker, hostName: b, ports: [1]}\n"
        "- {agentType: Worker, hostName: c, ports: [1], excludeFromServiceRegistry: true}\n",
    )
    assert [(agent.host_name, agent.use_tls) for agent in alone.spec.static_agents] == [("a", True), ("b", False)]
    assert alone.warnings == ()


def test__balancer_alone__without_workers__is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / LOAD_BALANCER_FILE
    warning = f"{file}:1:1: agents: no Worker agent is registered; nothing is balanced"
    assert load_balancer_text(tmp_path, "loadBalancerConfig: {port: 6000}\n").warnings == (warning,)


def test__balancer_of_a_cluster__worker_that_the_cluster_does_not_run__is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / LOAD_BALANCER_FILE
    file.write_text("agents:\n- {agentType: Worker, ports: [7001, 7002]}\n")
    result = loaded(tmp_path, f"{HEAD}agents: {{A: {{executablePath: run.py, ports: [7001]}}, LoadBalancer: }}\n")
    assert result.warnings == (
        f"{file}:2:37: agents[0].ports[1]: localhost:7002 is not balanced; the registry holds what the cluster runs",
    )


def test__builtin_balancer__keys_of_a_process__are_warned_of_unless_they_say_nothing(tmp_path: Path) -> None:
    kept = "serviceNames: [ServiceDiscoveryGrpc], useTLS: false, recyclingIntervalHours: 0"
    assert loaded(tmp_path, f"{HEAD}agents: {{LoadBalancer: {{{kept}}}}}\n").warnings == ()
    result = loaded(tmp_path, f"{HEAD}agents:\n  LoadBalancer:\n    useTLS: true\n    serviceNames: [Other]\n")
    assert [warning.partition(": ")[2] for warning in result.warnings] == [
        "agents.LoadBalancer.useTLS: has no effect on the built-in LoadBalancer",
        "agents.LoadBalancer.serviceNames: has no effect on the built-in LoadBalancer",
    ]


def test__agent_scaled_to_nothing__keeps_its_ports(tmp_path: Path) -> None:
    agent = one_agent(tmp_path, "processCount: 0\n    ports: [7001]")
    assert (agent.process_count, agent.ports) == (0, (7001,))


def test__executable__folder_then_current_folder_then_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [tmp_path / name for name in ("conf", "cwd", "bin")]
    for place in places:
        place.mkdir()
        (place / "tool").symlink_to("/bin/sh")
    monkeypatch.chdir(places[1])
    for place in places:
        text = f"{HEAD}agents: {{A: {{executablePath: tool}}}}\n"
        spec = loaded(places[0], text, {"PATH": str(places[2])}).spec
        assert spec.agents[0].executable == str(place / "tool")
        (place / "tool").unlink()


def test__config_directory__explicit_alone_else_defaults_else_current(tmp_path: Path) -> None:
    defaults, cwd, named = (tmp_path / name for name in ("defaults", "cwd", "named"))
    for folder in (defaults, cwd, named):
        folder.mkdir()
    (cwd / CLUSTER_FILE).touch()
    assert find_config_directory(None, CLUSTER_FILE, cwd=cwd, defaults=defaults) == cwd
    (defaults / CLUSTER_FILE).touch()
    assert find_config_directory(None, CLUSTER_FILE, cwd=cwd, defaults=defaults) == defaults
    with pytest.raises(ConfigError) as caught:
        find_config_directory(named, CLUSTER_FILE, cwd=cwd, defaults=defaults)
    assert str(caught.value) == f"{CLUSTER_FILE}: not found in {named}; name its folder with --configDir"
    with pytest.raises(ConfigError, match=f"not found in {defaults} or {cwd}"):
        find_config_directory(None, LOAD_BALANCER_FILE, cwd=cwd, defaults=defaults)
    assert (default_config_directory() / CLUSTER_FILE).is_file()


def write_pair(folder: Path, name: str) -> None:
    """Write a self-signed certificate NAME.pem and its key NAME.key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start.replace(year=2100))
        .sign(key, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    for suffix, encryption in (
        ("key", serialization.NoEncryption()),
        ("locked", serialization.BestAvailableEncryption(b"secret")),
    ):
        raw = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        (folder / f"{name}.{suffix}").write_bytes(raw)


def test__certificate__is_tried_before_anything_listens(tmp_path: Path) -> None:
    write_pair(tmp_path, "one")
    write_pair(tmp_path, "two")

    def text(certificate: str, key: str) -> str:
        return f"loadBalancerConfig:\n  certificate: {certificate}\n  privateKeyFile: {key}\n"

    spec = load_balancer_text(tmp_path, text("one.pem", "one.key")).spec.balancer
    assert spec is not None
    assert (spec.certificate, spec.private_key_file) == (
        str(tmp_path / "one.pem"),
        str(tmp_path / "one.key"),
    )
    for certificate, key, expected in [
        ("one.pem", "two.key", f"3:19: loadBalancerConfig.privateKeyFile: {tmp_path}/two.key is not the key of"),
        ("one.pem", "one.locked", "one.locked is not a private key in PEM form without a password"),
        ("one.key", "one.key", f"2:16: loadBalancerConfig.certificate: {tmp_path}/one.key is not a certificate"),
        ("gone.pem", "one.key", f"2:16: loadBalancerConfig.certificate: there is no file {tmp_path}/gone.pem"),
    ]:
        with pytest.raises(ConfigError) as caught:
            load_balancer_text(tmp_path, text(certificate, key))
        assert expected in str(caught.value)
        assert len(caught.value.faults) == 1
