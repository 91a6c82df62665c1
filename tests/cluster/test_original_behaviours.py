"""What the original's own tests expect of its balancer, as a client sees it: real workers, real gRPC, both rankings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent, indent

import pytest
from support.cluster import Cluster
from support.discovery import Discovery, discovery
from support.ports import free_port
from support.waiting import wait_until
from support.workers import run_worker

Start = Callable[..., None]
A_LONG_TIME_S = "3600"
CALLERS = 16
CALLS = 400


@pytest.fixture(params=["least_loaded", "original"])
def ranking(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def balancer(tmp_path: Path) -> Iterator[Cluster]:
    """Yield a balancer that runs alone, not started."""
    cluster = Cluster(directory=tmp_path, worker_ports=(), balancer_port=free_port())
    yield cluster
    cluster.clean_up()


@pytest.fixture
def start(balancer: Cluster, ranking: str) -> Start:
    """Return what starts the balancer with agents of the test's own, and waits until they are all offered."""

    def start(agents: str, *, offered: int, recently_used_timeout_s: float = 5.0) -> None:
        (balancer.directory / "quaestor.loadbalancer.config.yml").write_text(
            f"""
loadBalancerConfig:
  hostName: 127.0.0.1
  port: {balancer.balancer_port}
  ranking: {ranking}
  recentlyUsedTimeoutSeconds: {recently_used_timeout_s:g}
agents:
{indent(dedent(agents), "  ")}
"""
        )
        balancer.launch("load-balancer", wait_for="running")
        wait_until(lambda: balancer.output.count(": handed out to clients") == offered, what="the locations")

    return start


def of_service(balancer: Cluster, stack: ExitStack, name: str) -> Discovery:
    client = stack.enter_context(discovery(balancer.balancer_port))
    return Discovery(client.stub, name)


def busy_worker(stack: ExitStack, requests: int) -> int:
    """Run a worker of capacity 1 with so many requests, and return its port."""
    return stack.enter_context(run_worker(A_LONG_TIME_S, str(requests))).port


def test__one_service__all_its_workers_are_found(balancer: Cluster, start: Start) -> None:
    with ExitStack() as stack:
        ports = sorted(busy_worker(stack, 0) for _ in range(3))
        start(f"- {{agentType: Worker, ports: {ports}}}", offered=3)
        client = of_service(balancer, stack, "Worker")
        assert client.all() == ports
        # Three clients in a row are sent to three workers.
        assert sorted(client.top()[0] for _ in range(3)) == ports
        assert sorted(client.top(0)) == ports
        assert len(client.top(2)) == 2


def test__many_services__are_told_apart_by_their_whole_name(balancer: Cluster, start: Start) -> None:
    with ExitStack() as stack:
        first, second = sorted(busy_worker(stack, 0) for _ in range(2))
        other = stack.enter_context(run_worker(service="Worker2")).port
        start(
            f"""
            - {{agentType: Worker, ports: [{first}, {second}]}}
            - {{agentType: Worker, ports: [{other}], serviceNames: [Worker2]}}
            """,
            offered=3,
        )
        assert of_service(balancer, stack, "Worker").all() == [first, second]
        assert of_service(balancer, stack, "Worker2").top(0) == [other]
        for unknown in ("Work", "worker", ""):
            assert of_service(balancer, stack, unknown).all() == []


def test__one_host__the_least_loaded_worker_comes_first(balancer: Cluster, start: Start) -> None:
    with ExitStack() as stack:
        by_load = [busy_worker(stack, requests) for requests in (3, 0, 2, 1)]
        start(f"- {{agentType: Worker, ports: {by_load}}}", offered=4)
        client = of_service(balancer, stack, "Worker")
        assert client.top(0) == [by_load[1], by_load[3], by_load[2], by_load[0]]


def test__two_hosts__the_less_utilised_one_comes_first_in_the_original(
    balancer: Cluster, start: Start, ranking: str
) -> None:
    with ExitStack() as stack:
        # On localhost 0 and 9 requests, on 127.0.0.1 1 and 1.
        near = [busy_worker(stack, requests) for requests in (0, 9)]
        far = sorted(busy_worker(stack, 1) for _ in range(2))
        start(
            f"""
            - {{agentType: Worker, hostName: localhost, ports: {near}, serviceNames: [Worker]}}
            - {{agentType: Worker, hostName: 127.0.0.1, ports: {far}, serviceNames: [Worker]}}
            """,
            offered=4,
        )
        answer = of_service(balancer, stack, "Worker").top(0)
        # The original fills the quieter host first, ours the idle worker.
        assert answer[0] == (far[0] if ranking == "original" else near[0])
        assert answer[-1] == near[1]


def test__warm_balancer__answers_many_callers(balancer: Cluster, start: Start, ranking: str) -> None:
    with ExitStack() as stack:
        ports = [busy_worker(stack, 0) for _ in range(2)]
        start(f"- {{agentType: Worker, ports: {ports}}}", offered=2)
        client = of_service(balancer, stack, "Worker")
        client.top()
        with ThreadPoolExecutor(CALLERS) as callers:
            answers = list(callers.map(lambda _: client.top()[0], range(CALLS)))
        assert len(answers) == CALLS
        if ranking == "least_loaded":
            # Nobody is sent to one of two idle workers much more often than to the other.
            assert abs(answers.count(ports[0]) - CALLS / 2) <= CALLERS
