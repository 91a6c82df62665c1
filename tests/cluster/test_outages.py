"""Etcd goes away in every way it can, and comes back: nobody is restarted, nobody is forgotten, nobody notices.

`make outages` runs each ten times, the long ones for a minute, and prints how long it took until registrations that
were made meanwhile were known everywhere.
"""

from __future__ import annotations

import os
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from support.etcd import EtcdCluster, EtcdNode, run_etcd
from support.outages import OF_ONE_NODE, OF_THREE_NODES, Outage
from support.shared_registry import Site, expect, run_site
from support.waiting import wait_until

ROUNDS = int(os.environ.get("QUAESTOR_OUTAGE_ROUNDS", "1"))
CONVERGED_S = 10.0 if ROUNDS == 1 else 2.0
"""Only `make outages` is strict, on a machine that does nothing else."""

CASES = [(1, outage) for outage in OF_ONE_NODE] + [(3, outage) for outage in OF_THREE_NODES]


@pytest.mark.timeout(120 + ROUNDS * 120)
@pytest.mark.parametrize(("size", "outage"), CASES, ids=lambda value: value.name if isinstance(value, Outage) else "")
def test__outage__goes_by_unnoticed(
    tmp_path: Path, size: int, outage: Outage, record_property: pytest.RecordProperty
) -> None:
    with run_etcd(tmp_path, size=size) as etcd:
        endpoints = etcd.spec().endpoints
        with (
            run_site(tmp_path / "a", "a", endpoints, lease_ttl_s=outage.lease_ttl_s) as a,
            run_site(tmp_path / "b", "b", endpoints, lease_ttl_s=outage.lease_ttl_s) as b,
        ):
            lasting = [a.pids(a.ports[:-1]), b.pids(b.ports)]
            times = [one_round(etcd, outage, a, b) for _ in range(ROUNDS)]
            assert lasting == [a.pids(a.ports[:-1]), b.pids(b.ports)]
    figures = f"median {statistics.median(times):.2f} s, max {max(times):.2f} s of {len(times)}"
    record_property("figures", f"{outage.name}: {figures}")


def one_round(etcd: EtcdCluster, outage: Outage, a: Site, b: Site) -> float:
    """Let a worker begin to serve while etcd is away; return how long after the outage it is known elsewhere."""
    newcomer = a.ports[-1]
    lasting = sorted(set(a.ports + b.ports) - {newcomer})
    assert a.cluster.run("stop", member_at(a, newcomer)).returncode == 0
    expect(b.client, lasting)
    leases = owners(etcd)
    with always_answered(b, lasting):
        outage.begin(etcd, asked_node(etcd, b))
        if outage.is_noticed:
            for site in (a, b):
                wait_until(lambda site=site: site.standing() == "degraded", 10, "status to say degraded")
        assert a.cluster.run("start", member_at(a, newcomer)).returncode == 0
        expect(a.client, [*lasting, newcomer])
        if outage.lasts_s:
            threading.Event().wait(outage.lasts_s)
        outage.end(etcd)
        taken = expect(b.client, [*lasting, newcomer], timeout_s=CONVERGED_S)
        for site in (a, b):
            wait_until(lambda site=site: site.standing() == "following", 10, "status to say following")
    _restore(etcd)
    assert len(leases) == 2
    # One that was granted unheard, because etcd went away meanwhile, ends by itself.
    wait_until(lambda: len(owners(etcd)) == 2, 20, "one lease for each")
    if not outage.name.startswith(("paused", "killed and restarted without")):
        # Nobody got a new lease.
        assert owners(etcd) == leases
    return taken


@contextmanager
def always_answered(site: Site, ports: list[int]) -> Iterator[None]:
    """Ask a balancer all the time; it must name all of these each time."""
    over = threading.Event()
    wrong: list[list[int]] = []

    def ask() -> None:
        while not over.wait(0.01):
            answer = site.client.all_or_nothing()
            if not set(ports) <= set(answer):
                wrong.append(answer)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()
    assert not wrong, f"not {ports}: {wrong[:3]}"


def member_at(site: Site, port: int) -> str:
    return f"Worker/{site.cluster.worker_ports.index(port) + 1}"


def owners(etcd: EtcdCluster) -> list[str]:
    """Return the leases that somebody registers under, by their records."""
    return sorted(etcd.ctl("get", "--prefix", "--keys-only", "quaestor/owners/").split())


def asked_node(etcd: EtcdCluster, site: Site) -> EtcdNode:
    """Return the node that a cluster's registry has a connection to."""
    pid = site.cluster.actor_pid("registry")
    ports = {each.raddr.port for each in psutil.Process(pid).net_connections("tcp") if each.raddr}
    return next(node for node in etcd.nodes if node.endpoint[1] in ports)


def _restore(etcd: EtcdCluster) -> None:
    for node in etcd.nodes:
        if node.process.poll() is not None:
            node.start()
        node.resume()
    etcd.expect_ready()


def test__machine_that_stood_still__is_left_out__and_back_with_the_same_processes(tmp_path: Path) -> None:
    with run_etcd(tmp_path) as etcd:
        endpoints = etcd.spec().endpoints
        with (
            run_site(tmp_path / "a", "a", endpoints, lease_ttl_s=2) as a,
            run_site(tmp_path / "b", "b", endpoints, lease_ttl_s=2) as b,
        ):
            expect(b.client, a.ports + b.ports)
            pids = a.pids(a.ports)
            still = a.cluster.relatives()
            for process in still:
                process.suspend()
            expect(b.client, b.ports)
            wait_until(lambda: len(owners(etcd)) == 1, 20, "the lease to end")
            for process in still:
                process.resume()
            expect(b.client, a.ports + b.ports)
            assert a.pids(a.ports) == pids
            assert len(owners(etcd)) == 2
