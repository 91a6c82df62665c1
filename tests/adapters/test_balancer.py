"""The balancer against real worker processes and through real clients."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.certificates import Authority
from support.grpc_servers import (
    NOT_SERVING,
    SERVING,
    Heard,
    SampleWorker,
    TinyServer,
    load_response,
    registration,
    reserved_port,
)
from support.waiting import wait_until

from quaestor_actors.adapters.balancer import Balancer, BalancerServing, LocationStatus
from quaestor_actors.adapters.frontend import FrontendState
from quaestor_actors.core.live_view import LocationOffered, LocationWithheld, Standing
from quaestor_actors.core.location import Registration
from quaestor_actors.core.spec import BalancerSpec
from quaestor_actors.errors import ConflictError
from quaestor_actors.rpc import service_discovery_pb2, service_discovery_pb2_grpc

DEADLINE_S = 10.0


class Running:
    """A balancer, a client to it, and what it told its owner."""

    def __init__(self, **spec: Any) -> None:  # noqa: ANN401
        self.heard = Heard()
        self.balancer = Balancer(
            BalancerSpec(**{"host_name": "127.0.0.1", "port": 0, **spec}),
            on_notice=self.heard,
            on_crash=self.heard.crashes.append,
        )
        self.port = self.balancer.start()
        self._channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")
        self._stub = service_discovery_pb2_grpc.ServiceDiscoveryGrpcStub(self._channel)

    def register(self, *registrations: Registration) -> None:
        self.balancer.set_registrations(registrations)

    def all(self, service: str = "Worker", **request: Any) -> list[int]:  # noqa: ANN401
        message = service_discovery_pb2.DiscoverServicesRequest(service_name=service, **request)
        response = self._stub.DiscoverServices(message, timeout=DEADLINE_S)
        return [location.port for location in response.service_locations]

    def top(self, service: str = "Worker", **request: Any) -> list[int]:  # noqa: ANN401
        message = service_discovery_pb2.DiscoverServicesRequest(service_name=service, **request)
        response = self._stub.DiscoverTopServices(message, timeout=DEADLINE_S)
        return [location.port for location in response.service_locations]

    def health(self) -> int:
        request = health_pb2.HealthCheckRequest(service="")
        return int(health_pb2_grpc.HealthStub(self._channel).Check(request, timeout=DEADLINE_S).status)

    def status_of(self, one: Registration) -> LocationStatus | None:
        locations = self.balancer.status().locations
        return next((each for each in locations if each.registration == one), None)

    def expect_offered(self, *registrations: Registration) -> None:
        for one in registrations:
            self._expect(one, Standing.OFFERED)

    def expect_withheld(self, one: Registration) -> str:
        """Wait until the location is withheld, and return why."""
        return self._expect(one, Standing.WITHHELD).reason

    def _expect(self, one: Registration, standing: Standing) -> LocationStatus:
        def there() -> LocationStatus | None:
            status = self.status_of(one)
            return status if status is not None and status.standing is standing else None

        what = f"{one} to be {standing}; is {self.status_of(one)}"
        status = wait_until(there, DEADLINE_S, what)
        assert status is not None
        return status

    def close(self) -> None:
        self._channel.close()
        self.balancer.stop()
        assert self.heard.crashes == []


Start = Callable[..., Running]
StartWorker = Callable[..., SampleWorker]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def run(**spec: Any) -> Running:  # noqa: ANN401
            running = Running(**spec)
            stack.callback(running.close)
            return running

        yield run


@pytest.fixture
def start_worker() -> Iterator[StartWorker]:
    with ExitStack() as stack:

        def run(**arguments: Any) -> SampleWorker:  # noqa: ANN401
            worker = SampleWorker(stack.enter_context(reserved_port()), **arguments)
            stack.callback(worker.kill)
            return worker

        yield run


@pytest.fixture
def workers(start_worker: StartWorker) -> list[SampleWorker]:
    """Four sample workers, as in the sample cluster."""
    return [start_worker() for _ in range(4)]


def registrations_of(workers: list[SampleWorker]) -> list[Registration]:
    return [registration(worker.port) for worker in workers]


def test__four_workers__all_are_found_and_the_best_alternate(
    start: Start, workers: list[SampleWorker]
) -> None:
    running = start()
    registered = registrations_of(workers)
    running.register(*registered)
    running.expect_offered(*registered)
    ports = {worker.port for worker in workers}
    assert set(running.all()) == ports
    assert {running.top(max_count=1)[0] for _ in range(4)} == ports
    assert {
        notice.registration for notice in running.heard.items if isinstance(notice, LocationOffered)
    } == set(registered)


def test__max_count__limits_both_answers(start: Start, workers: list[SampleWorker]) -> None:
    running = start()
    registered = registrations_of(workers)
    running.register(*registered)
    running.expect_offered(*registered)
    for ask in (running.all, running.top):
        assert [len(set(ask(max_count=count))) for count in (0, 1, 3, 9)] == [4, 1, 3, 4]
        with pytest.raises(grpc.RpcError) as refusal:
            ask(max_count=-1)
        assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test__discover_services__order_is_random(start: Start, workers: list[SampleWorker]) -> None:
    running = start()
    registered = registrations_of(workers)
    running.register(*registered)
    running.expect_offered(*registered)
    # That 60 draws out of 24 orders are all the same one happens once in 24**59 runs.
    assert len({tuple(running.all()) for _ in range(60)}) > 1


def test__worker_killed__is_out_and_its_successor_in(start: Start, workers: list[SampleWorker]) -> None:
    running = start()
    registered = registrations_of(workers)
    running.register(*registered)
    running.expect_offered(*registered)
    victim = workers[0]
    victim.kill()
    assert f"no connection to localhost:{victim.port}" in running.expect_withheld(registered[0])
    assert victim.port not in running.all()
    assert victim.port not in running.top()
    assert set(running.all()) == {worker.port for worker in workers[1:]}
    victim.restart()
    successor = registration(victim.port, incarnation=2)
    running.register(successor, *registered[1:])
    running.expect_offered(successor)
    assert victim.port in running.all()


def test__worker_killed_and_restarted_by_somebody_else__comes_back_by_itself(
    start: Start, start_worker: StartWorker
) -> None:
    running = start()
    worker = start_worker()
    one = registration(worker.port, incarnation=0)
    running.register(one)
    running.expect_offered(one)
    worker.kill()
    running.expect_withheld(one)
    worker.restart()
    running.expect_offered(one)


def test__worker_hangs__is_out_until_it_goes_on(start: Start, start_worker: StartWorker) -> None:
    running = start(response_timeout_s=0.5)
    hanging, other = start_worker(), start_worker()
    one, two = registration(hanging.port), registration(other.port)
    running.register(one, two)
    running.expect_offered(one, two)
    hanging.send(signal.SIGSTOP)
    assert running.expect_withheld(one) == "no load report within 0.5 s"
    assert running.all() == running.top() == [other.port]
    hanging.send(signal.SIGCONT)
    running.expect_offered(one)


def test__worker_says_not_serving__is_out_until_it_serves(start: Start, start_worker: StartWorker) -> None:
    running = start()
    worker = start_worker()
    one = registration(worker.port)
    running.register(one)
    running.expect_offered(one)
    worker.turn_over()
    assert running.expect_withheld(one) == 'service "Worker" says NOT_SERVING'
    assert running.all() == []
    worker.turn_over()
    running.expect_offered(one)


def test__busy_worker__ranks_behind_the_idle_one(start: Start, start_worker: StartWorker) -> None:
    running = start()
    busy, idle = start_worker(current_requests=1), start_worker()
    registered = registrations_of([busy, idle])
    running.register(*registered)
    running.expect_offered(*registered)
    assert running.top() == [idle.port, busy.port]
    status = running.status_of(registered[0])
    assert status is not None
    assert status.report is not None
    assert status.report.current_requests == 1


def test__load_changes__changes_the_ranking(start: Start) -> None:
    running = start(recently_used_timeout_s=0.0)
    load = {"first": 5, "second": 0}
    with (
        TinyServer(report_load=lambda: load_response(capacity=10, current=load["first"])) as first,
        TinyServer(report_load=lambda: load_response(capacity=10, current=load["second"])) as second,
    ):
        registered = [registration(first.port), registration(second.port)]
        running.register(*registered)
        running.expect_offered(*registered)
        assert running.top() == [second.port, first.port]
        load.update(first=0, second=5)
        wait_until(lambda: running.top() == [first.port, second.port], DEADLINE_S, "the new order")


def test__scope_and_service__match_exactly(start: Start) -> None:
    running = start()
    with TinyServer(report_load=load_response) as one, TinyServer(report_load=load_response) as two:
        registered = [registration(one.port), registration(two.port, scope="test")]
        running.register(*registered)
        running.expect_offered(*registered)
        assert running.all() == running.top() == [one.port]
        assert running.all(scope="test") == running.top(scope="test") == [two.port]
        assert running.all(scope="other") == running.all("Work") == running.top("Worker2") == []


def test__location_without_usable_load__is_withheld_with_the_reason(start: Start) -> None:
    running = start(response_timeout_s=0.5)
    release = threading.Event()

    def late() -> Any:  # noqa: ANN401
        release.wait(DEADLINE_S)
        return load_response()

    def broken() -> Any:  # noqa: ANN401
        raise ZeroDivisionError

    reasons = {}
    with (
        TinyServer() as silent,
        TinyServer(report_load=late) as slow,
        TinyServer(report_load=lambda: load_response(capacity=0)) as full,
        TinyServer(report_load=broken) as faulty,
    ):
        servers = {"silent": silent, "slow": slow, "full": full, "faulty": faulty}
        running.register(*(registration(server.port) for server in servers.values()))
        for name, server in servers.items():
            reasons[name] = running.expect_withheld(registration(server.port))
        assert running.all() == running.top() == []
        release.set()
    assert reasons["silent"] == "the server does not implement Quaestor.LoadReporting.LoadReportingGrpc"
    assert reasons["slow"] == "no load report within 0.5 s"
    assert reasons["full"] == "its request capacity is 0"
    assert reasons["faulty"].startswith("ReportLoad failed: UNKNOWN")


def test__service_that_is_not_monitored__is_withheld_with_the_reason(start: Start) -> None:
    running = start()
    with TinyServer(report_load=load_response) as server:
        server.set("Other", SERVING)
        other = registration(server.port, service="Other")
        running.register(other)
        reason = running.expect_withheld(other)
    assert reason == 'the server does not report the load of service "Other"'


def test__first_view__decides_when_the_balancer_serves(start: Start, start_worker: StartWorker) -> None:
    running = start()
    assert running.health() == NOT_SERVING
    worker = start_worker()
    with reserved_port() as dead:
        running.register(registration(worker.port), registration(dead))
        wait_until(lambda: running.health() == SERVING, DEADLINE_S, "the balancer to serve")
        kinds = [type(notice) for notice in running.heard.items]
        assert kinds.count(BalancerServing) == 1
        assert kinds.index(BalancerServing) > 0
        assert running.status_of(registration(dead)) is not None


def test__no_registrations__is_a_first_view_too(start: Start) -> None:
    running = start()
    running.register()
    wait_until(lambda: running.health() == SERVING, DEADLINE_S, "the balancer to serve")
    assert running.all() == []


def test__no_longer_registered__is_out_at_once(start: Start) -> None:
    running = start()
    with TinyServer(report_load=load_response) as one, TinyServer(report_load=load_response) as two:
        gone, stays = registration(one.port), registration(two.port)
        running.register(gone, stays)
        running.expect_offered(gone, stays)
        running.register(stays)
        withheld = LocationWithheld(registration=gone, reason="no longer registered")
        wait_until(lambda: withheld in running.heard.items, DEADLINE_S, "the notice")
        assert running.all() == [two.port]


def test__tls_location__is_trusted_by_the_system_s_roots(
    start: Start, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path_factory.mktemp("tls"))
    monkeypatch.setenv("SSL_CERT_FILE", authority.root_file)
    certificate, key = authority.issue("localhost")
    pair = (Path(key).read_bytes(), Path(certificate).read_bytes())
    running = start()
    with TinyServer(credentials=grpc.ssl_server_credentials([pair]), report_load=load_response) as server:
        one = registration(server.port, use_tls=True)
        running.register(one)
        running.expect_offered(one)


def test__drain__says_so_and_stops_listening(start: Start) -> None:
    running = start()
    running.register()
    wait_until(lambda: running.health() == SERVING, DEADLINE_S, "the balancer to serve")
    running.balancer.drain(DEADLINE_S)
    assert running.balancer.status().state is FrontendState.DRAINING
    with pytest.raises(grpc.RpcError) as refusal:
        running.all()
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE


def test__stop__frees_the_port_and_ends_the_thread(start: Start) -> None:
    running = start()
    running.balancer.stop()
    assert "balancer" not in {thread.name for thread in threading.enumerate()}
    start(port=running.port)


def test__taken_port__is_a_conflict_and_leaves_no_thread(start: Start) -> None:
    running = start()
    with pytest.raises(ConflictError, match=str(running.port)):
        Running(port=running.port)
    assert [thread.name for thread in threading.enumerate()].count("balancer") == 1


def test__status__is_plain_data(start: Start, start_worker: StartWorker) -> None:
    running = start()
    worker = start_worker()
    one = registration(worker.port)
    running.register(one)
    running.expect_offered(one)
    assert running.top(max_count=1) == [worker.port]
    status = pickle.loads(pickle.dumps(running.balancer.status()))  # noqa: S301 - our own
    assert (status.host_name, status.port, status.state) == ("127.0.0.1", running.port, FrontendState.SERVING)
    assert status.requests_answered == 1
    (location,) = status.locations
    assert location.registration == one
    assert location.handed_out == 1
    assert location.load == 1.0
    assert 0.0 <= location.report_age_s < DEADLINE_S


def test__error_in_the_owner_s_callback__is_a_crash() -> None:
    crashes: list[BaseException] = []

    def on_notice(_notice: object) -> None:
        raise ZeroDivisionError

    balancer = Balancer(BalancerSpec(port=0), on_notice=on_notice, on_crash=crashes.append)
    balancer.start()
    balancer.set_registrations([])
    wait_until(lambda: crashes, DEADLINE_S, "the crash")
    balancer.stop()
    assert isinstance(crashes[0], ZeroDivisionError)


FORKING = """
import os, sys, threading
from quaestor_actors.adapters.balancer import Balancer
from quaestor_actors.core.spec import BalancerSpec

pid = os.fork()
if pid == 0:
    crashes = []
    serving = threading.Event()
    balancer = Balancer(BalancerSpec(port=0), on_notice=lambda notice: serving.set(), on_crash=crashes.append)
    balancer.start()
    balancer.set_registrations([])
    ok = serving.wait(10)
    balancer.stop()
    os._exit(0 if ok and not crashes else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test__forked_from_a_parent_that_only_imported_grpc__works() -> None:
    subprocess.run([sys.executable, "-c", FORKING], check=True, timeout=30)
