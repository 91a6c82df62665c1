"""The sample as a stranger sees it: real configuration files, real ports, real grpcurl."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cluster import ROOT, Cluster
from support.grpcurl import grpcurl
from support.sample_ports import BALANCER_PORT, WORKER_PORTS, sample_ports
from support.waiting import wait_until

BALANCER = "127.0.0.1:5150"
DISCOVERY = "Quaestor.ServiceDiscovery.ServiceDiscoveryGrpc"
HEALTH = "grpc.health.v1.Health/Check"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run the sample's own configuration files."""
    directory: Path = tmp_path_factory.mktemp("sample")
    cluster = Cluster(directory=directory, worker_ports=WORKER_PORTS, balancer_port=BALANCER_PORT, name="hello-world")
    for name in ("quaestor.cluster.config.yml", "quaestor.loadbalancer.config.yml"):
        text = (ROOT / "conf" / name).read_text()
        (directory / name).write_text(text.replace("../examples", str(ROOT / "examples")))
    with sample_ports():
        try:
            cluster.launch()
            wait_until(lambda: len(discover()) == 4, timeout_s=10, what="four locations")
            yield cluster
        finally:
            cluster.clean_up()


def discover(method: str = "DiscoverServices", **request: object) -> list[int]:
    answer = grpcurl(BALANCER, f"{DISCOVERY}/{method}", {"serviceName": "Worker", **request})
    return [location["port"] for location in answer.get("serviceLocations", ())]


@pytest.mark.usefixtures("sample")
def test__discover_services__names_all_four() -> None:
    assert sorted(discover()) == [5161, 5162, 5163, 5164]


@pytest.mark.usefixtures("sample")
def test__discover_top_services__names_one_and_another_the_second_time() -> None:
    first = discover("DiscoverTopServices", maxCount=1)
    second = discover("DiscoverTopServices", maxCount=1)
    assert len(first) == len(second) == 1
    assert first != second


@pytest.mark.usefixtures("sample")
@pytest.mark.parametrize(
    ("address", "service"), [(BALANCER, ""), (BALANCER, "ServiceDiscoveryGrpc"), ("localhost:5161", "Worker")]
)
def test__health_check__says_serving(address: str, service: str) -> None:
    assert grpcurl(address, HEALTH, {"service": service}) == {"status": "SERVING"}


@pytest.mark.usefixtures("sample")
def test__report_load__of_a_worker() -> None:
    report = grpcurl("localhost:5162", "Quaestor.LoadReporting.LoadReportingGrpc/ReportLoad", {"serviceName": "Worker"})
    assert report["serverStats"]["requestCapacity"] == 1
    assert report["serverStats"]["currentRequests"] == 0
    assert report["knownLoadRate"] == -1


def test__status__is_for_people_and_machines(sample: Cluster) -> None:
    text = sample.run("status").stdout
    assert text.startswith("cluster hello-world: 4/4 members serving, balancer on 127.0.0.1:5150")
    members = sample.status()["members"]
    assert [(member["member"], member["state"], member["port"]) for member in members] == [
        (f"Worker/{number}", "serving", 5160 + number) for number in range(1, 5)
    ]


def test__tree__shows_every_actor_in_its_place(sample: Cluster) -> None:
    actors = {actor["name"]: actor["parent"] for actor in sample.status()["actors"]}
    assert actors == {
        "root": None,
        "registry": "root",
        "balancer": "root",
        "agent/Worker": "root",
        "agent/Worker/prober": "agent/Worker",
    }
    text = sample.run("tree").stdout
    assert "├─ agent/Worker  running" in text
    assert "│  ├─ Worker/1  serving" in text
