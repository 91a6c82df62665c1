"""Targets at one server share connections, and are told apart all the same."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import grpc
import psutil
import pytest
from grpc_health.v1 import health as grpc_health
from grpc_health.v1 import health_pb2_grpc
from support.grpc_servers import NOT_SERVING, SERVING, Heard, TinyServer, reserved_port
from support.waiting import wait_until

from quaestor_actors.adapters import health
from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.health import HealthReport, HealthTarget, HealthTiming, HealthWatch
from quaestor_actors.core.member import Health
from quaestor_actors.worker.own_threads import run_on

DEADLINE_S = 10.0
# So long that nothing in a test can be due to them.
NEVER = HealthTiming(response_timeout_s=600.0, heartbeat_interval_s=600.0, check_interval_s=600.0)
IMPATIENT = HealthTiming(response_timeout_s=0.5, heartbeat_interval_s=600.0, check_interval_s=0.1)
OFTEN = HealthTiming(response_timeout_s=600.0, heartbeat_interval_s=600.0, check_interval_s=0.05)


class Watching:
    """A health watch on a thread of its own."""

    def __init__(self, timing: HealthTiming = NEVER) -> None:
        self.heard = Heard()
        self._loop = LoopThread(name="test", on_crash=self.heard.crashes.append)
        self._loop.start()
        self._watch: HealthWatch[str] = HealthWatch(loop=self._loop, timing=timing, on_report=self.heard)

    def add(self, port: int, **services: str) -> None:
        """Add targets at the same moment, by their keys."""

        def work() -> None:
            for key, name in services.items():
                self._watch.add(key, HealthTarget(address=f"127.0.0.1:{port}", service_names=(name,)))

        self._loop.post(work)

    def remove(self, key: str) -> None:
        self._loop.post(lambda: self._watch.remove(key))

    def expect(self, health: Health, *keys: str) -> None:
        """Wait until the last verdict on each target is this one."""
        for key in keys:
            wait_until(partial(self._is, health, key), DEADLINE_S, f"{key} to be {health}")

    def _is(self, health: Health, key: str) -> bool:
        return self._last(key) is health

    def _last(self, key: str) -> Health | None:
        of_key = [report.health for report in self.heard.items if report.key == key]
        return of_key[-1] if of_key else None

    def close(self) -> None:
        self._loop.call(self._watch.close()).result(DEADLINE_S)
        self._loop.stop()
        assert self.heard.crashes == []


@pytest.fixture
def watching() -> Iterator[Watching]:
    with closing(Watching()) as one:
        yield one


@pytest.fixture
def asking() -> Iterator[Watching]:
    with closing(Watching(OFTEN)) as one:
        yield one


def connections(port: int) -> int:
    """Return how many this process has to the port."""
    found = psutil.Process().net_connections("tcp")
    return sum(bool(each.raddr) and each.raddr.port == port and each.status == "ESTABLISHED" for each in found)


def expect_connections(count: int, port: int) -> None:
    wait_until(lambda: connections(port) == count, DEADLINE_S, f"{count} connections")


def many(count: int) -> dict[str, str]:
    return {f"key{number}": f"Service{number}" for number in range(count)}


def test__services_of_one_server__have_one_connection_and_verdicts_of_their_own(watching: Watching) -> None:
    with TinyServer() as server:
        server.set("Other", NOT_SERVING)
        watching.add(server.port, one="Worker", other="Other")
        watching.expect(Health.SERVING, "one")
        watching.expect(Health.NOT_SERVING, "other")
        server.set("Worker", NOT_SERVING)
        server.set("Other", SERVING)
        watching.expect(Health.NOT_SERVING, "one")
        watching.expect(Health.SERVING, "other")
        assert connections(server.port) == 1


def test__more_services_than_may_share__have_another_connection(watching: Watching) -> None:
    services = many(health.SHARING_SERVICES + 1)
    # Watching takes a thread of it for each service; asking does not.
    with TinyServer(has_watch=False) as server:
        watching.add(server.port, **services)
        watching.expect(Health.NOT_SERVING, *services)
        assert connections(server.port) == 2


def test__one_is_removed__the_others_are_followed_and_the_last_one_takes_the_connection_away(
    watching: Watching,
) -> None:
    with TinyServer() as server:
        server.set("Other", SERVING)
        watching.add(server.port, one="Worker", other="Other")
        watching.expect(Health.SERVING, "one", "other")
        watching.remove("one")
        server.set("Other", NOT_SERVING)
        watching.expect(Health.NOT_SERVING, "other")
        assert connections(server.port) == 1
        watching.remove("other")
        expect_connections(0, server.port)


def test__newcomer_after_somebody_has_left__does_not_share_with_the_others(watching: Watching) -> None:
    with TinyServer() as server:
        server.set("Other", SERVING)
        watching.add(server.port, one="Worker", other="Other")
        watching.expect(Health.SERVING, "one", "other")
        # As when another process takes over the port, and the old one still serves those that are connected.
        watching.add(server.port, one="Worker")
        expect_connections(2, server.port)


def test__server_is_lost_and_comes_back__all_are_told_over_one_connection(watching: Watching) -> None:
    with reserved_port() as port:
        with TinyServer(port) as server:
            server.set("Other", SERVING)
            watching.add(port, one="Worker", other="Other")
            watching.expect(Health.SERVING, "one", "other")
        watching.expect(Health.UNREACHABLE, "one", "other")
        with TinyServer(port) as server:
            server.set("Other", NOT_SERVING)
            watching.expect(Health.SERVING, "one")
            watching.expect(Health.NOT_SERVING, "other")
            expect_connections(1, port)


def test__same_service_for_another_key__is_told_what_is_known(watching: Watching) -> None:
    with TinyServer() as server:
        watching.add(server.port, one="Worker")
        watching.expect(Health.SERVING, "one")
        watching.add(server.port, same="Worker")
        watching.expect(Health.SERVING, "same")
        assert connections(server.port) == 1
        watching.remove("one")
        server.set("Worker", NOT_SERVING)
        watching.expect(Health.NOT_SERVING, "same")


def test__newcomer_at_a_lost_server__is_tried_at_once(watching: Watching) -> None:
    with reserved_port() as port:
        watching.add(port, one="Worker")
        watching.expect(Health.UNREACHABLE, "one")
        with TinyServer(port):
            watching.add(port, other="Worker")
            watching.expect(Health.SERVING, "one", "other")
            expect_connections(2, port)


def test__services_that_are_asked_for__change_one_by_one(asking: Watching) -> None:
    with TinyServer(has_watch=False) as server:
        server.set("Other", SERVING)
        asking.add(server.port, one="Worker", other="Other")
        asking.expect(Health.SERVING, "one", "other")
        asking.remove("one")
        server.set("Other", NOT_SERVING)
        asking.expect(Health.NOT_SERVING, "other")
        assert connections(server.port) == 1


def test__many_that_never_answer__do_not_keep_another_from_being_connected_to(watching: Watching) -> None:
    with socket.socket() as mute, TinyServer() as server:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        watching.add(mute.getsockname()[1], **many(health.OPENING_SERVICES))
        watching.add(server.port, one="Worker")
        watching.expect(Health.SERVING, "one")


def test__server_without_a_thread_for_another_watcher__is_asked_instead() -> None:
    servicer = grpc_health.HealthServicer(experimental_non_blocking=False)
    servicer.set("Worker", SERVING)
    servicer.set("Other", SERVING)
    server = grpc.server(ThreadPoolExecutor(1))
    with ThreadPoolExecutor(1) as control, closing(Watching(IMPATIENT)) as watching:
        health_pb2_grpc.add_HealthServicer_to_server(run_on(servicer, Check=control), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        watching.add(port, one="Worker", other="Other")
        watching.expect(Health.SERVING, "one", "other")
        servicer.set("Worker", NOT_SERVING)
        servicer.set("Other", NOT_SERVING)
        watching.expect(Health.NOT_SERVING, "one", "other")
        # The place of the one that is watched comes free, and the other takes it.
        watching.remove("one")
        servicer.set("Other", SERVING)
        watching.expect(Health.SERVING, "other")
        server.stop(None).wait()


def test__other_credentials__are_another_server() -> None:
    def credentials() -> None:
        raise AssertionError("nobody connects")

    plain = HealthTarget(address="a:1")
    safe = HealthTarget(address="a:1", credentials=credentials)  # type: ignore[arg-type] # never called
    assert plain.server == HealthTarget(address="a:1", service_names=("Worker",)).server
    assert plain.server != safe.server


def test__report__names_the_service(watching: Watching) -> None:
    with TinyServer() as server:
        watching.add(server.port, one="Worker", other="Nobody")
        watching.expect(Health.NOT_SERVING, "other")
        watching.expect(Health.SERVING, "one")
        reports: list[HealthReport[str]] = watching.heard.items
        assert {(each.key, *(of.service_name for of in each.services)) for each in reports} == {
            ("one", "Worker"),
            ("other", "Nobody"),
        }
