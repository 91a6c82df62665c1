"""Real clusters that run the etcd of the package themselves, alone and over several hosts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.certificates import Authority
from support.cluster import Cluster, make_cluster
from support.etcd import program
from support.ports import free_port
from support.waiting import wait_until

# Nobody pulls the plug, and a leader is elected in a tenth of the usual time.
HASTE = "--unsafe-no-fsync --heartbeat-interval 20 --election-timeout 200 --log-level warn"
CTL_TIMEOUT_S = 20.0


class Etcd:
    """What a test knows of the etcd in its cluster's configuration."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.port = free_port()
        self.peer_port = free_port()

    def configure(self, *keys: str, arguments: str = HASTE, workers: str = "") -> None:
        """Write the cluster's file, with further keys of the etcd."""
        more = "".join(f"    {key}\n" for key in keys)
        self.cluster.write(
            f"""
  - agentType: KeyValueStore
    ports: [{self.port}]
    peerPort: {self.peer_port}
    dataDirectory: data
    startupWaitSeconds: 30
    commandLineArguments: "{arguments}"
{more}{workers}"""
        )

    def ctl(self, *arguments: str) -> str:
        """Run etcdctl, and return what it says."""
        command = [str(program("etcdctl")), "--endpoints", f"127.0.0.1:{self.port}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=CTL_TIMEOUT_S, check=True).stdout

    @property
    def process(self) -> psutil.Process:
        """The member's process."""
        return psutil.Process(self.cluster.member("KeyValueStore/1")["pid"])


@pytest.fixture
def etcd(cluster: Cluster) -> Etcd:
    return Etcd(cluster)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[Cluster]]:
    """Yield three clusters that are each on another address of this machine, as if on three hosts."""
    made = []
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        made.append(make_cluster(folder))
    yield made
    for cluster in made:
        cluster.clean_up()


def workers(cluster: Cluster) -> str:
    """Return an agent of sample workers that wait for the etcd."""
    worker = Path(__file__).parents[2] / "examples" / "hello_world" / "worker.py"
    return f"""
  - agentType: Worker
    executablePath: {worker}
    commandLineArguments: "Worker {{Port}}"
    processCount: {len(cluster.worker_ports)}
    ports: {list(cluster.worker_ports)}
    serviceNames: [Worker]
    dependsOn: {{KeyValueStore: serving}}
    clusterShutdownAction: Kill
"""


def test__etcd__serves_before_a_worker_starts(cluster: Cluster, etcd: Etcd) -> None:
    etcd.configure(workers=workers(cluster))
    cluster.launch()
    told = [line.split()[1:3] for line in cluster.output.splitlines()]
    first_worker = min(told.index([f"Worker/{number}", "starting"]) for number in (1, 2))
    assert told.index(["KeyValueStore/1", "serving"]) < first_worker
    assert etcd.process.exe() == str(program("etcd"))
    assert (cluster.directory / "data").stat().st_mode & 0o777 == 0o700
    listening = {each.laddr.ip for each in etcd.process.net_connections("tcp") if each.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


def test__etcd_left_running__is_adopted_by_the_next_start_with_its_data(cluster: Cluster, etcd: Etcd) -> None:
    etcd.configure()
    cluster.launch()
    before = etcd.process
    etcd.ctl("put", "key", "value")
    assert cluster.stop() == 0
    assert etcd.ctl("get", "key", "--print-value-only") == "value\n"
    cluster.launch()
    assert etcd.process == before


def test__etcd_with_kill__ends_with_the_cluster(cluster: Cluster, etcd: Etcd) -> None:
    etcd.configure("clusterShutdownAction: Kill")
    cluster.launch()
    process = etcd.process
    assert cluster.stop() == 0
    assert not process.is_running()


def test__etcd_that_was_killed__is_restarted_with_its_data(cluster: Cluster, etcd: Etcd) -> None:
    etcd.configure()
    cluster.launch()
    before = etcd.process
    etcd.ctl("put", "key", "value")
    before.kill()
    wait_until(lambda: cluster.member("KeyValueStore/1")["restarts"] == 1, what="the restart")
    cluster.wait_for_member("KeyValueStore/1", "serving")
    assert etcd.process != before
    assert etcd.ctl("get", "key", "--print-value-only") == "value\n"


def test__password_at_etcd__is_not_in_a_member_s_environment(cluster: Cluster, etcd: Etcd) -> None:
    cluster.environment_extra["QUAESTOR_ETCD_PASSWORD"] = "not-for-members"  # noqa: S105 - nobody's
    etcd.configure("environmentVariables: {OWN: own}")
    cluster.launch()
    variables = etcd.process.environ()
    assert variables["OWN"] == "own"
    assert "QUAESTOR_ETCD_PASSWORD" not in variables


def test__three_hosts__form_one_etcd(hosts: list[Cluster]) -> None:
    names = [f"127.0.0.{number}" for number in (1, 2, 3)]
    port, peer_port = free_port(), free_port()
    for cluster, name in zip(hosts, names, strict=True):
        cluster.write(
            f"""
  - agentType: KeyValueStore
    hosts: [{", ".join(names)}]
    hostName: {name}
    ports: [{port}]
    peerPort: {peer_port}
    dataDirectory: data
    commandLineArguments: "{HASTE}"
"""
        )
        # None of them serves before the second one is there.
        cluster.launch(wait_for="starting")
    for cluster in hosts:
        cluster.wait_for_member("KeyValueStore/1", "serving")
    endpoints = ",".join(f"{name}:{port}" for name in names)
    command = [str(program("etcdctl")), "--endpoints", endpoints, "endpoint", "status", "-w", "json"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=CTL_TIMEOUT_S, check=True)
    found = [status["Status"]["header"] for status in json.loads(answer.stdout)]
    assert len({header["cluster_id"] for header in found}) == 1
    assert len({header["member_id"] for header in found}) == 3


def test__tls_with_certificates_of_clients__is_served_and_checked(cluster: Cluster, etcd: Etcd) -> None:
    ours = Authority(cluster.directory)
    ours.issue("localhost", file_name="server")
    ours.issue("somebody", file_name="client")
    folder = cluster.directory
    tls = f"--cert-file {folder}/server.pem --key-file {folder}/server.key"
    mutual = f"--client-cert-auth --trusted-ca-file {ours.root_file}"
    keys = ("useTLS: true", "caCertificateFile: root.pem")
    certificate = ("clientCertificate: client.pem", "clientPrivateKeyFile: client.key")
    etcd.configure(*keys, *certificate, "clusterShutdownAction: Kill", arguments=f"{HASTE} {tls} {mutual}")
    cluster.launch()
    assert cluster.member("KeyValueStore/1")["state"] == "serving"
    assert cluster.stop() == 0
    # The server really asks for one.
    etcd.configure(*keys, "clusterShutdownAction: Kill", arguments=f"{HASTE} {tls} {mutual}")
    cluster.launch(wait_for="starting")
    log = folder / "log" / cluster.name / "KeyValueStore-1.log"
    wait_until(lambda: "client didn't provide a certificate" in log.read_text(), what="the refusal")
    assert cluster.member("KeyValueStore/1")["state"] == "starting"
