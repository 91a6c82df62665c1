"""One etcd for all tests of a file, and a folder to run `quaestor registry` in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cluster import Cluster, make_cluster
from support.etcd import EtcdCluster, run_etcd


@pytest.fixture(scope="module")
def running_etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """Run one etcd for all tests that do not break it."""
    with run_etcd(tmp_path_factory.mktemp("registry")) as etcd:
        yield etcd


@pytest.fixture
def etcd(running_etcd: EtcdCluster) -> EtcdCluster:
    """Return an empty etcd."""
    running_etcd.ctl("del", "--prefix", "")
    return running_etcd


@pytest.fixture
def unconfigured(tmp_path: Path) -> Cluster:
    """Return what runs the command, in a folder that has no configuration yet."""
    cluster = make_cluster(tmp_path)
    (tmp_path / "quaestor.loadbalancer.config.yml").unlink()
    return cluster
