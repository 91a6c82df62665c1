"""`quaestor registry list` and `remove` against a real etcd."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.cluster import Cluster
from support.etcd import EtcdCluster, run_etcd
from support.ports import free_port
from support.registry_command import configure, configure_for, keep, registry

from quaestor_actors.cli.registry import remove_

A, B = "services//Worker/10.0.0.7/5161/http", "services//Worker/10.0.0.8/5161/http"


# list


def test__list__owner_lease_and_what_is_no_location(unconfigured: Cluster, etcd: EtcdCluster) -> None:
    configure_for(unconfigured, etcd)
    lease = keep(etcd, B)
    etcd.ctl("put", A, "Worker")
    etcd.ctl("put", "services/garbage", "x")
    text = registry(unconfigured, "list")
    assert text.returncode == 0
    header, original, ours = text.stdout.splitlines()
    assert header.split() == ["SERVICE", "ADDRESS", "OWNER", "LEASE"]
    assert original.split() == ["Worker", "10.0.0.7:5161", "unknown", "none"]
    assert ours.startswith("Worker   10.0.0.8:5161  hello on a1, pid 4121  ")
    assert ours.endswith("s left of 60s")
    assert text.stderr == "1 key is no location, e.g. services/garbage\n"
    document = json.loads(registry(unconfigured, "list", "-o", "json").stdout)
    assert [each["key"] for each in document["registrations"]] == [A, B]
    assert document["registrations"][1]["lease"]["id"] == lease
    assert 0 < document["registrations"][1]["lease"]["left_s"] <= 60
    assert document["strangers"] == ["services/garbage"]


def test__list__of_nothing__says_so_and_is_no_failure(unconfigured: Cluster, etcd: EtcdCluster) -> None:
    configure_for(unconfigured, etcd)
    answer = registry(unconfigured, "list")
    assert (answer.returncode, answer.stdout) == (0, "")
    assert answer.stderr == f"etcd at {etcd.nodes[0].address}: nothing is registered\n"


def test__list__by_who_may_read_locations_alone(unconfigured: Cluster, tmp_path: Path) -> None:
    (tmp_path / "etcd").mkdir()
    with run_etcd(tmp_path / "etcd") as etcd:
        keep(etcd, A)
        for command in (
            "role add reader",
            "role grant-permission reader read services/ --prefix",
            "user add reader --new-user-password right",
            "user grant-role reader reader",
            "user add root --new-user-password right",
            "user grant-role root root",
            "auth enable",
        ):
            etcd.ctl(*command.split())
        configure_for(unconfigured, etcd)
        unconfigured.environment_extra = {"QUAESTOR_ETCD_USER": "reader", "QUAESTOR_ETCD_PASSWORD": "right"}
        answer = registry(unconfigured, "list")
        assert answer.returncode == 0, answer.stderr
        assert answer.stdout.splitlines()[1].startswith("Worker   10.0.0.7:5161  unknown  ")
        refused = registry(unconfigured, "remove", A, "--force")
        assert refused.returncode == 1
        assert "permission denied (see the KeyValueStore agent" in refused.stderr


def test__list__asks_the_next_endpoint_if_the_first_is_dead(unconfigured: Cluster, etcd: EtcdCluster) -> None:
    etcd.ctl("put", A, "Worker")
    configure(unconfigured, free_port(), etcd.nodes[0].endpoint[1])
    answer = registry(unconfigured, "list")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "10.0.0.7:5161" in answer.stdout


def test__list__with_the_balancers_file_alone(unconfigured: Cluster, etcd: EtcdCluster) -> None:
    configure_for(unconfigured, etcd)
    etcd.ctl("put", A, "Worker")
    (unconfigured.directory / "quaestor.cluster.config.yml").unlink()
    (unconfigured.directory / "quaestor.loadbalancer.config.yml").write_text(
        "loadBalancerConfig:\n  port: 5150\nagents:\n"
        f"  - {{agentType: KeyValueStore, hostName: 127.0.0.1, ports: [{etcd.nodes[0].endpoint[1]}]}}\n"
    )
    answer = registry(unconfigured, "list")
    assert answer.returncode == 0, answer.stderr
    assert "10.0.0.7:5161" in answer.stdout


@pytest.mark.parametrize("verb", [("list",), ("watch",), ("remove", "Worker", "10.0.0.7:5161")])
def test__nobody_answers__one_line_names_all_endpoints_exit_1(unconfigured: Cluster, verb: tuple[str, ...]) -> None:
    ports = free_port(), free_port()
    configure(unconfigured, *ports)
    answer = registry(unconfigured, *verb)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith(f"quaestor: no etcd answers at 127.0.0.1:{ports[0]}, 127.0.0.1:{ports[1]}: ")
    assert len(answer.stderr.splitlines()) == 1


def test__password__wrong_or_missing_is_said_with_the_remedy(unconfigured: Cluster, tmp_path: Path) -> None:
    (tmp_path / "etcd").mkdir()
    with run_etcd(tmp_path / "etcd") as etcd:
        etcd.ctl("put", A, "Worker")
        etcd.ctl("user", "add", "root", "--new-user-password", "right")
        etcd.ctl("user", "grant-role", "root", "root")
        etcd.ctl("auth", "enable")
        configure_for(unconfigured, etcd)
        nobody = registry(unconfigured, "list")
        unconfigured.environment_extra = {"QUAESTOR_ETCD_USER": "root", "QUAESTOR_ETCD_PASSWORD": "wrong-one"}
        wrong = registry(unconfigured, "list")
        unconfigured.environment_extra = {"QUAESTOR_ETCD_USER": "root", "QUAESTOR_ETCD_PASSWORD": "right"}
        right = registry(unconfigured, "list")
    for refused in (nobody, wrong):
        assert (refused.returncode, refused.stdout) == (1, "")
        assert len(refused.stderr.splitlines()) == 1
        assert "see the KeyValueStore agent in the configuration" in refused.stderr
        assert "QUAESTOR_ETCD_PASSWORD" in refused.stderr
    assert "wrong-one" not in wrong.stderr
    assert right.returncode == 0, right.stderr
    assert "10.0.0.7:5161" in right.stdout


# remove


def test__remove__by_place_and_by_key(unconfigured: Cluster, etcd: EtcdCluster) -> None:
    configure_for(unconfigured, etcd)
    scoped = "services/blue/Worker/::1/5161/https"
    for key in (A, scoped, "services/garbage"):
        etcd.ctl("put", key, "Worker")
    assert registry(unconfigured, "remove", "Worker", "10.0.0.7:5161").stdout == f"removed {A}\n"
    assert registry(unconfigured, "remove", "Worker", "[::1]:5161", "--scope", "blue").stdout == f"removed {scoped}\n"
    assert registry(unconfigured, "remove", "services/garbage").returncode == 0
    assert etcd.ctl("get", "--prefix", "", "--keys-only").split() == []


def test__remove__what_is_not_there__exits_1(unconfigured: Cluster, etcd: EtcdCluster) -> None:
    configure_for(unconfigured, etcd)
    etcd.ctl("put", A + "s", "Worker")
    for arguments in (("Worker", "10.0.0.7:5161", "--no-tls"), (A,), ("Other", "10.0.0.7:5161"), ("services/",)):
        answer = registry(unconfigured, "remove", *arguments)
        assert (answer.returncode, answer.stdout) == (1, "")
        assert "is not registered; `quaestor registry list` shows what is" in answer.stderr
    assert etcd.ctl("get", "--prefix", "", "--keys-only").split() == [A + "s"]


def test__remove__with_tls_and_without__asks_which(unconfigured: Cluster, etcd: EtcdCluster) -> None:
    configure_for(unconfigured, etcd)
    etcd.ctl("put", A, "Worker")
    etcd.ctl("put", A + "s", "Worker")
    both = registry(unconfigured, "remove", "Worker", "10.0.0.7:5161")
    assert both.returncode == 5
    assert "say which one, --tls or --no-tls" in both.stderr
    assert registry(unconfigured, "remove", "Worker", "10.0.0.7:5161", "--tls").stdout == f"removed {A}s\n"
    assert registry(unconfigured, "remove", "Worker", "10.0.0.7:5161", "--no-tls").stdout == f"removed {A}\n"


def test__remove__what_somebody_keeps__is_refused_unless_forced(unconfigured: Cluster, etcd: EtcdCluster) -> None:
    configure_for(unconfigured, etcd)
    keep(etcd, A)
    refused = registry(unconfigured, "remove", A)
    assert (refused.returncode, refused.stdout) == (5, "")
    assert "hello on a1 keeps it registered and would write it again" in refused.stderr
    assert "--force" in refused.stderr
    assert etcd.ctl("get", A, "--keys-only").split() == [A]
    assert registry(unconfigured, "remove", A, "--force").returncode == 0
    assert etcd.ctl("get", A, "--keys-only").split() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("Worker",),
        ("Worker", "10.0.0.7"),
        ("Worker", "10.0.0.7:0"),
        ("Worker", "10.0.0.7:65536"),
        ("Worker", "::1:5161"),
        ("Worker", "10.0.0.7:5161", "more"),
        ("quaestor/owners/1",),
        (A, "--tls"),
        (A, "--scope", "x"),
    ],
)
def test__remove__what_names_no_entry__is_wrong_usage(arguments: tuple[str, ...]) -> None:
    answer = CliRunner().invoke(remove_, arguments)
    assert answer.exit_code == 2
    assert answer.output.startswith("Usage: ")
