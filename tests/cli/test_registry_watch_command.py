"""`quaestor registry watch` against a real etcd, and all of `registry` beside a running cluster."""

from __future__ import annotations

import json
from pathlib import Path

from support.cluster import Cluster, make_cluster
from support.etcd import EtcdCluster, run_etcd
from support.registry_command import DEADLINE_S, configure_for, keep, registry, watching
from support.waiting import wait_until

A, B = "services//Worker/10.0.0.7/5161/http", "services//Worker/10.0.0.8/5161/http"


def test__watch__shows_what_is_there_and_each_change_until_ctrl_c(unconfigured: Cluster, etcd: EtcdCluster) -> None:
    configure_for(unconfigured, etcd)
    etcd.ctl("put", A, "Worker")
    with watching(unconfigured, "-c", str(unconfigured.directory)) as watch:
        lines = ["+ Worker at 10.0.0.7:5161 by unknown"]
        watch.expect(*lines)
        lease = keep(etcd, B)
        lines.append("+ Worker at 10.0.0.8:5161 by hello on a1")
        watch.expect(*lines)
        keep(etcd, A, cluster="other")
        lines.append("~ Worker at 10.0.0.7:5161 by other on a1")
        watch.expect(*lines)
        etcd.ctl("put", "services/garbage", "x")
        etcd.ctl("lease", "revoke", lease)
        lines.append("- Worker at 10.0.0.8:5161 by hello on a1")
        watch.expect(*lines)
        assert watch.interrupt() == 130
        assert watch.talk.strip() == ""


def test__watch__goes_on_after_outages_and_lost_data(unconfigured: Cluster, tmp_path: Path) -> None:
    (tmp_path / "etcd").mkdir()
    with run_etcd(tmp_path / "etcd") as etcd:
        node = etcd.nodes[0]
        configure_for(unconfigured, etcd)
        etcd.ctl("put", A, "Worker")
        with watching(unconfigured, "-c", str(unconfigured.directory)) as watch:
            lines = ["+ Worker at 10.0.0.7:5161 by unknown"]
            watch.expect(*lines)
            node.kill()
            watch.expect_talk("waiting until it answers again")
            node.start()
            watch.expect_talk(f"etcd at {node.address} answers again")
            etcd.ctl("put", B, "Worker")
            lines.append("+ Worker at 10.0.0.8:5161 by unknown")
            watch.expect(*lines)
            node.kill()
            node.wipe()
            node.start()
            lines += ["- Worker at 10.0.0.7:5161 by unknown", "- Worker at 10.0.0.8:5161 by unknown"]
            watch.expect(*lines)
            assert watch.talk.count(f"etcd at {node.address} answers again\n") == 2
            assert "Traceback" not in watch.talk


def test__watch__as_lines_of_json(unconfigured: Cluster, etcd: EtcdCluster) -> None:
    configure_for(unconfigured, etcd)
    etcd.ctl("put", A, "Worker")
    with watching(unconfigured, "-c", str(unconfigured.directory), "-o", "json") as watch:
        wait_until(lambda: watch.lines, DEADLINE_S, "a line")
        line = (unconfigured.directory / "watch.out").read_text()
    assert json.loads(line)["change"] == "added"
    assert json.loads(line)["key"] == A


# Beside a running cluster


def test__no_cluster_and_no_configuration__exits_4_and_names_both_ways(unconfigured: Cluster) -> None:
    answer = unconfigured.run("registry", "list")
    assert answer.returncode == 4
    assert answer.stderr.endswith("start one with: quaestor cluster, or name the configuration of an etcd with -c\n")


def test__configuration_and_cluster__is_wrong_usage(unconfigured: Cluster) -> None:
    answer = registry(unconfigured, "list", "--cluster", "test")
    assert answer.returncode == 2
    assert "give one of them" in answer.stderr


def test__cluster_without_a_store__is_asked_itself(tmp_path: Path) -> None:
    cluster = make_cluster(tmp_path)
    try:
        cluster.launch()
        first, second = (f"Worker at localhost:{port}" for port in sorted(cluster.worker_ports))
        for arguments in ((), ("-c", str(tmp_path))):
            answer = cluster.run("registry", "list", *arguments)
            assert (answer.returncode, answer.stderr) == (0, "")
            assert [line.split()[:2] for line in answer.stdout.splitlines()] == [
                ["SERVICE", "ADDRESS"],
                *(["Worker", f"localhost:{port}"] for port in sorted(cluster.worker_ports)),
            ]
        refused = cluster.run("registry", "remove", "Worker", "localhost:5161", "--force")
        assert refused.returncode == 5
        assert "in the cluster's own memory" in refused.stderr
        with watching(cluster) as watch:
            lines = [f"+ {first} by Worker of test", f"+ {second} by Worker of test"]
            watch.expect(*lines)
            cluster.run("stop", "Worker/1")
            lines.append(f"- Worker at localhost:{cluster.worker_ports[0]} by Worker of test")
            watch.expect(*lines)
            assert cluster.stop() == 0
            watch.expect_talk("waiting until it answers again")
            assert watch.lines[:3] == lines
            assert watch.interrupt() == 130
    finally:
        cluster.clean_up()


def test__cluster_with_a_store__shows_its_view_and_names_the_better_way(
    unconfigured: Cluster, etcd: EtcdCluster
) -> None:
    configure_for(unconfigured, etcd)
    etcd.ctl("put", A, "Worker")
    try:
        unconfigured.launch(wait_for="registry     following    etcd at")

        def listed() -> bool:
            return "10.0.0.7:5161" in unconfigured.run("registry", "list").stdout

        wait_until(listed, DEADLINE_S, "the entry in the cluster's view")
        answer = unconfigured.run("registry", "list")
        assert f"`-c DIR` asks etcd at {etcd.nodes[0].address} itself" in answer.stderr
        refused = unconfigured.run("registry", "remove", A)
        assert refused.returncode == 5
        assert "name the folder of its configuration with -c" in refused.stderr
        assert unconfigured.status()["registry"]["state"] == "following"
        assert "members serving, registry in etcd\n" in unconfigured.run("status").stdout + "\n"
    finally:
        unconfigured.clean_up()
