"""Clusters and balancers that share one real etcd."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cluster import Cluster
from support.discovery import discovery
from support.etcd import EtcdCluster, run_etcd
from support.shared_registry import configure, expect, run_site
from support.waiting import wait_until
from support.workers import run_worker


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """Yield an etcd of one node."""
    with run_etcd(tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster


def keys(etcd: EtcdCluster) -> list[str]:
    """Return all keys of locations."""
    return etcd.ctl("get", "--prefix", "--keys-only", "services/").split()


def wait_keys(etcd: EtcdCluster, expected: list[str]) -> None:
    wait_until(lambda: sorted(keys(etcd)) == expected, 10, "the keys of the lost cluster to vanish")


def test__two_clusters__see_each_other__and_not_one_that_lost_its_power(tmp_path: Path, etcd: EtcdCluster) -> None:
    endpoints = etcd.spec().endpoints
    with run_site(tmp_path / "a", "a", endpoints) as a, run_site(tmp_path / "b", "b", endpoints) as b:
        everything = sorted(a.ports + b.ports)
        expect(a.client, everything)
        expect(b.client, everything)
        pids = b.pids(b.ports)
        assert sorted(keys(etcd)) == sorted(f"services//Worker/localhost/{port}/http" for port in everything)

        a.kill()
        # Its workers are gone at once, because nobody answers there, and their keys when the lease ends.
        expect(b.client, b.ports)
        for_b = sorted(f"services//Worker/localhost/{port}/http" for port in b.ports)
        wait_keys(etcd, for_b)
        assert b.client.all() == b.ports
        assert b.pids(b.ports) == pids

        a.cluster.launch()
        expect(b.client, everything)
        expect(a.client, everything)

        assert a.cluster.stop() == 0
        assert sorted(keys(etcd)) == for_b
        expect(b.client, b.ports)


def test__original_entries__are_honoured__and_garbage_is_skipped(tmp_path: Path, etcd: EtcdCluster) -> None:
    """Entries without lease, as the original writes them, count until somebody deletes them."""
    with run_site(tmp_path / "a", "a", etcd.spec().endpoints, workers=1) as a, run_worker() as worker:
        expect(a.client, a.ports)
        etcd.ctl("put", "services/nonsense", "x")
        etcd.ctl("put", f"services//Worker/localhost/{worker.port}/http", "Worker")
        expect(a.client, [*a.ports, worker.port])
        log = a.cluster.directory / "log" / "a" / "system.log"
        assert log.read_text().count("services/nonsense") == 1
        etcd.ctl("del", "--prefix", "services/")
        # What serves here is written again at once.
        expect(a.client, a.ports)
        wait_keys(etcd, [f"services//Worker/localhost/{a.ports[0]}/http"])


def test__registry_killed__goes_on_with_its_lease__and_nothing_changes_in_etcd(
    tmp_path: Path, etcd: EtcdCluster
) -> None:
    with run_site(tmp_path / "a", "a", etcd.spec().endpoints) as a:
        expect(a.client, a.ports)
        before = etcd.ctl("get", "--prefix", "-w", "fields", "")
        former = a.cluster.actor_pid("registry")
        os.kill(former, signal.SIGKILL)
        wait_until(lambda: a.cluster.actor_is_replaced("registry", former), 10, "another registry")
        # It has seen what is there, and found nothing to do.
        wait_until(lambda: a.standing() == "following", 10, "the registry to follow")
        port = a.ports[0]
        assert a.cluster.run("stop", f"Worker/{a.cluster.worker_ports.index(port) + 1}").returncode == 0
        wait_keys(etcd, [f"services//Worker/localhost/{a.ports[1]}/http"])
        after = etcd.ctl("get", "--prefix", "-w", "fields", "")
        assert revisions(after, a.ports[1]) == revisions(before, a.ports[1])
        # Nobody new; the one of another test's cluster may have ended.
        assert set(revisions(after, "owners")) <= set(revisions(before, "owners"))


def revisions(fields: str, part: str | int) -> list[str]:
    """Return the revisions and leases of keys that have a part, from what etcdctl prints of all."""
    blocks = fields.split('"Key" : ')[1:]
    lines = (block.splitlines() for block in blocks)
    # Up to the lease; what follows the last one is about all of them.
    return sorted("\n".join(block[:6]) for block in lines if str(part) in block[0])


def test__members_left_running__stay_registered__for_the_next_start(tmp_path: Path, etcd: EtcdCluster) -> None:
    with run_site(tmp_path / "a", "a", etcd.spec().endpoints, shutdown_action="None") as a:
        expect(a.client, a.ports)
        before, pids = keys(etcd), a.pids(a.ports)
        assert a.cluster.stop() == 0
        assert keys(etcd) == before
        a.cluster.launch()
        expect(a.client, a.ports)
        assert keys(etcd) == before
        assert a.pids(a.ports) == pids


def test__balancer_alone__falls_back_to_its_workers__and_switches_over_to_etcd(
    cluster: Cluster, etcd: EtcdCluster
) -> None:
    (host, port), *_ = etcd.spec().endpoints
    with run_worker() as named, run_worker() as registered:
        etcd.ctl("put", f"services//Worker/localhost/{registered.port}/http", "Worker")
        etcd.nodes[0].kill()
        file = cluster.directory / "quaestor.loadbalancer.config.yml"
        file.write_text(
            f"""
loadBalancerConfig: {{hostName: 127.0.0.1, port: {cluster.balancer_port}}}
agents:
  - {{agentType: KeyValueStore, hostName: {host}, ports: [{port}]}}
  - {{agentType: Worker, ports: [{named.port}], serviceNames: [Worker]}}
"""
        )
        cluster.name = f"loadbalancer-{cluster.balancer_port}"
        cluster.launch("load-balancer", wait_for="handed out to clients")
        with discovery(cluster.balancer_port) as client:
            assert client.all() == [named.port]
            assert cluster.status()["registry"]["state"] == "fallback"
            etcd.nodes[0].start()
            expect(client, [registered.port])
            assert cluster.status()["registry"]["state"] == "following"
        assert cluster.stop() == 0
    etcd.ctl("del", "--prefix", "services/")


def test__changed_endpoint__is_taken_up_while_running(
    tmp_path: Path, etcd: EtcdCluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        run_etcd(tmp_path_factory.mktemp("other")) as other,
        run_site(tmp_path / "a", "a", etcd.spec().endpoints) as a,
    ):
        expect(a.client, a.ports)
        pids = a.pids(a.ports)
        configure(a.cluster, other.spec().endpoints, lease_ttl_s=3)
        wanted = sorted(f"services//Worker/localhost/{port}/http" for port in a.ports)
        wait_until(lambda: sorted(keys(other)) == wanted, 10, "the members in the other etcd")
        assert a.client.all() == a.ports
        assert a.pids(a.ports) == pids
