"""A cluster that registers in an etcd with TLS, users and passwords."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.certificates import Authority
from support.cluster import WORKER, Cluster
from support.etcd import EtcdCluster, run_etcd

PASSWORD = "aWonderfulSecret"  # noqa: S105 - of a throw-away etcd
ROOT = "--user=root:root"
BY_TLS = ("--insecure-transport=false", "--insecure-skip-tls-verify")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Return who signs etcd's certificate."""
    folder = tmp_path / "authority"
    folder.mkdir()
    return Authority(folder)


@pytest.fixture
def etcd(tmp_path: Path, authority: Authority) -> Iterator[EtcdCluster]:
    """Yield an etcd with TLS whose user `registrar` may write locations and owners."""
    folder = tmp_path / "etcd"
    folder.mkdir()
    certificate, key = authority.issue("localhost")
    with run_etcd(folder, "--cert-file", certificate, "--key-file", key, "--bcrypt-cost", "4", scheme="https") as found:
        for command in (
            "user add root:root",
            "user grant-role root root",
            "role add registrar",
            "role grant-permission registrar --prefix=true readwrite services/",
            "role grant-permission registrar --prefix=true readwrite quaestor/owners/",
            f"user add registrar:{PASSWORD}",
            "user grant-role registrar registrar",
            "auth enable",
        ):
            found.ctl(*BY_TLS, *command.split())
        yield found


def configure(cluster: Cluster, etcd: EtcdCluster, authority: Authority, *lines: str) -> None:
    extra = "".join(f"\n          {line}" for line in lines)
    cluster.write(
        f"""
        - agentType: KeyValueStore
          hostName: localhost
          ports: [{etcd.nodes[0].plan.client_port}]
          processCount: 0
          useTLS: true
          caCertificateFile: {authority.root_file}{extra}
        - agentType: Worker
          executablePath: {WORKER}
          commandLineArguments: "Worker {{Port}}"
          processCount: {len(cluster.worker_ports)}
          ports: {list(cluster.worker_ports)}
          serviceNames: [Worker]
          clusterShutdownAction: Kill
        """
    )


def registered(etcd: EtcdCluster) -> int:
    found = etcd.ctl(*BY_TLS, ROOT, "get", "--prefix", "--keys-only", "services/")
    return len(found.split())


def test__password__from_a_file(cluster: Cluster, etcd: EtcdCluster, authority: Authority) -> None:
    file = cluster.directory / "password"
    file.touch(mode=0o600)
    file.write_text(PASSWORD)
    configure(cluster, etcd, authority, "storeUser: registrar", "storePasswordFile: password")
    cluster.launch()
    cluster.wait_for_output("following")
    cluster.wait_for_member("Worker/2", "serving")
    assert registered(etcd) == 2
    listed = cluster.run("registry", "list", "-c", str(cluster.directory))
    assert listed.stdout.count("test on ") == 2, listed.stderr


def test__password__from_the_environment__is_nowhere_else(
    cluster: Cluster, etcd: EtcdCluster, authority: Authority
) -> None:
    cluster.environment_extra |= {"QUAESTOR_ETCD_USER": "registrar", "QUAESTOR_ETCD_PASSWORD": PASSWORD}
    configure(cluster, etcd, authority)
    cluster.launch()
    cluster.wait_for_output("following")
    member = psutil.Process(cluster.wait_for_member("Worker/2", "serving")["pid"])
    assert registered(etcd) == 2
    assert member.environ()["QUAESTOR_ETCD_USER"] == "registrar"
    assert PASSWORD not in member.environ().values()
    assert all(PASSWORD not in " ".join(process.cmdline()) for process in cluster.processes())
    files = [file for file in cluster.directory.rglob("*") if file.is_file() and "etcd" not in file.parts]
    assert files
    assert all(PASSWORD.encode() not in file.read_bytes() for file in files)


def test__wrong_password__is_said__and_the_members_are_kept_all_the_same(
    cluster: Cluster, etcd: EtcdCluster, authority: Authority
) -> None:
    cluster.environment_extra |= {"QUAESTOR_ETCD_USER": "registrar", "QUAESTOR_ETCD_PASSWORD": "wrong"}
    configure(cluster, etcd, authority)
    cluster.launch()
    cluster.wait_for_output("fallback")
    cluster.wait_for_member("Worker/2", "serving")
    assert "refuses the user registrar, or the password" in cluster.run("status").stdout
    assert registered(etcd) == 0
