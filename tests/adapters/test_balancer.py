"""The balancer over time: workers that die, hang and come back; its own start and end."""

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
from support.certificates import Authority
from support.grpc_servers import (
    NOT_SERVING,
    SERVING,
    SampleWorker,
    TinyServer,
    load_response,
    registration,
    reserved_port,
)
from support.running_balancer import DEADLINE_S, RunningBalancer
from support.waiting import wait_until

from quaestor_actors.adapters.balancer import Balancer, BalancerServing
from quaestor_actors.adapters.frontend import FrontendState
from quaestor_actors.core.live_view import LocationWithheld
from quaestor_actors.core.location import Registration
from quaestor_actors.core.spec import BalancerSpec
from quaestor_actors.errors import ConflictError

Start = Callable[..., RunningBalancer]
StartWorker = Callable[..., SampleWorker]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def run(**spec: Any) -> RunningBalancer:
            running = RunningBalancer(**spec)
            stack.callback(running.close)
            return running

        yield run


@pytest.fixture
def start_worker() -> Iterator[StartWorker]:
    with ExitStack() as stack:

        def run(**arguments: Any) -> SampleWorker:
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
        RunningBalancer(port=running.port)
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
