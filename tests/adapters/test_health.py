"""Health watching against real servers: pushed changes, dead, hung, silent and late ones."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from support.grpc_servers import NOT_SERVING, SERVING, Heard, SampleWorker, TinyServer, reserved_port
from support.waiting import wait_until

from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.health import HealthReport, HealthTarget, HealthTiming, HealthWatch
from quaestor_actors.core.member import Health

# So long that no interval can pass for a push in a test.
NEVER_S = 600.0
PATIENT = HealthTiming(response_timeout_s=10.0, heartbeat_interval_s=NEVER_S, check_interval_s=NEVER_S)


class Watching:
    """A health watch on its own thread, driven from the test's."""

    def __init__(self, timing: HealthTiming, on_report: Callable[[HealthReport[str]], None] | None = None) -> None:
        self.heard = Heard()
        self.loop = LoopThread(name="test", on_crash=self.heard.crashes.append)
        self.loop.start()
        self.watch: HealthWatch[str] = HealthWatch(loop=self.loop, timing=timing, on_report=on_report or self.heard)

    def add(self, key: str, port: int, *services: str) -> None:
        target = HealthTarget(address=f"localhost:{port}", service_names=services)
        self.loop.post(lambda: self.watch.add(key, target))

    def remove(self, key: str) -> None:
        self.loop.post(lambda: self.watch.remove(key))

    def expect(self, health: Health, key: str = "one") -> HealthReport[str]:
        """Wait until the last verdict on the target is this one."""

        def last() -> HealthReport[str] | None:
            of_key = [report for report in self.heard.items if report.key == key]
            return of_key[-1] if of_key and of_key[-1].health is health else None

        report = wait_until(last, 10, f"{key} to be {health}, heard {self.heard.items}")
        assert isinstance(report, HealthReport)
        return report

    def close(self) -> None:
        self.loop.call(self.watch.close()).result(10)
        self.loop.stop()
        assert self.heard.crashes == []


WatchingFactory = Callable[..., Watching]


@pytest.fixture
def start_watching() -> Iterator[WatchingFactory]:
    with ExitStack() as stack:

        def start(timing: HealthTiming = PATIENT, **arguments: Any) -> Watching:
            watching = Watching(timing, **arguments)
            stack.callback(watching.close)
            return watching

        yield start


@pytest.fixture
def port() -> Iterator[int]:
    with reserved_port() as reserved:
        yield reserved


@pytest.fixture
def worker(port: int) -> Iterator[SampleWorker]:
    sample = SampleWorker(port)
    yield sample
    sample.kill()


def test__serving_server__is_reported_once(start_watching: WatchingFactory) -> None:
    watching = start_watching()
    with TinyServer() as server:
        watching.add("one", server.port, "Worker")
        report = watching.expect(Health.SERVING)
        assert report.detail == "serving"
        assert [service.service_name for service in report.services] == ["Worker"]
        assert len(watching.heard.items) == 1


def test__no_service_named__the_server_as_a_whole_counts(start_watching: WatchingFactory) -> None:
    watching = start_watching()
    with TinyServer() as server:
        watching.add("one", server.port)
        watching.expect(Health.SERVING)


def test__status_changes__are_pushed(start_watching: WatchingFactory) -> None:
    watching = start_watching()
    with TinyServer() as server:
        watching.add("one", server.port, "Worker")
        watching.expect(Health.SERVING)
        server.set("Worker", NOT_SERVING)
        assert watching.expect(Health.NOT_SERVING).detail == 'service "Worker" says NOT_SERVING'
        server.set("Worker", SERVING)
        watching.expect(Health.SERVING)


def test__unknown_service__is_not_serving_with_that_detail(start_watching: WatchingFactory) -> None:
    watching = start_watching()
    with TinyServer() as server:
        watching.add("one", server.port, "Nobody")
        assert watching.expect(Health.NOT_SERVING).detail == 'service "Nobody" is unknown to the server'


def test__two_services__all_must_serve(start_watching: WatchingFactory) -> None:
    watching = start_watching()
    with TinyServer() as server:
        server.set("Other", NOT_SERVING)
        watching.add("one", server.port, "Worker", "Other")
        report = watching.expect(Health.NOT_SERVING)
        assert [service.health for service in report.services] == [Health.SERVING, Health.NOT_SERVING]
        assert report.detail == 'service "Other" says NOT_SERVING'
        server.set("Other", SERVING)
        watching.expect(Health.SERVING)


def test__server_without_watch__is_asked_by_check(start_watching: WatchingFactory) -> None:
    timing = HealthTiming(response_timeout_s=10, heartbeat_interval_s=NEVER_S, check_interval_s=0.05)
    watching = start_watching(timing)
    with TinyServer(has_watch=False) as server:
        watching.add("one", server.port, "Worker")
        watching.add("other", server.port, "Nobody")
        watching.expect(Health.SERVING)
        assert watching.expect(Health.NOT_SERVING, "other").detail == 'service "Nobody" is unknown to the server'
        server.set("Worker", NOT_SERVING)
        watching.expect(Health.NOT_SERVING)


def test__server_without_watch__its_end_is_seen_without_asking(start_watching: WatchingFactory) -> None:
    watching = start_watching()
    with TinyServer(has_watch=False) as server:
        watching.add("one", server.port, "Worker")
        watching.expect(Health.SERVING)
        server.stop()
        watching.expect(Health.UNREACHABLE)


def test__server_without_health__is_not_serving_with_that_detail(start_watching: WatchingFactory) -> None:
    watching = start_watching()
    with TinyServer(has_health=False) as server:
        watching.add("one", server.port, "Worker")
        detail = "the server does not implement grpc.health.v1.Health"
        assert watching.expect(Health.NOT_SERVING).detail == detail


def test__process_killed_and_replaced__both_are_seen(start_watching: WatchingFactory, worker: SampleWorker) -> None:
    watching = start_watching()
    watching.add("one", worker.port, "Worker")
    watching.expect(Health.SERVING)
    worker.kill()
    report = watching.expect(Health.UNREACHABLE)
    assert f"localhost:{worker.port}" in report.detail
    worker.restart()
    watching.expect(Health.SERVING)


def test__process_hangs__is_a_timeout_until_it_goes_on(start_watching: WatchingFactory, worker: SampleWorker) -> None:
    timing = HealthTiming(response_timeout_s=1.0, heartbeat_interval_s=0.1)
    watching = start_watching(timing)
    watching.add("one", worker.port, "Worker")
    watching.expect(Health.SERVING)
    worker.send(signal.SIGSTOP)
    assert watching.expect(Health.TIMEOUT).detail == "no answer within 1 s"
    worker.send(signal.SIGCONT)
    watching.expect(Health.SERVING)


def test__port_not_open_yet__is_unreachable_then_serving(start_watching: WatchingFactory, port: int) -> None:
    watching = start_watching()
    watching.add("one", port, "Worker")
    assert watching.expect(Health.UNREACHABLE).detail.endswith("Connection refused")
    with TinyServer(port):
        watching.expect(Health.SERVING)


def test__open_port_that_never_answers__is_a_timeout(start_watching: WatchingFactory) -> None:
    timing = HealthTiming(response_timeout_s=0.3, heartbeat_interval_s=NEVER_S)
    watching = start_watching(timing)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        watching.add("one", mute.getsockname()[1], "Worker")
        watching.expect(Health.TIMEOUT)


def test__removed_target__is_reported_no_more(start_watching: WatchingFactory) -> None:
    watching = start_watching()
    with TinyServer() as server:
        watching.add("one", server.port, "Worker")
        watching.add("other", server.port, "Worker")
        watching.expect(Health.SERVING)
        watching.expect(Health.SERVING, "other")
        watching.remove("one")
        watching.heard.clear()
        server.set("Worker", NOT_SERVING)
        watching.expect(Health.NOT_SERVING, "other")
        assert {report.key for report in watching.heard.items} == {"other"}


def test__removed_while_its_loss_is_reported__its_task_ends(start_watching: WatchingFactory) -> None:
    def on_report(report: HealthReport[str]) -> None:
        watching.heard(report)
        if report.health is Health.UNREACHABLE:
            watching.watch.remove(report.key)

    watching = start_watching(on_report=on_report)
    with TinyServer() as server:
        watching.add("one", server.port, "Worker")
        watching.expect(Health.SERVING)
        task = watching.watch._seats["one"].party.task
        server.stop()
        watching.expect(Health.UNREACHABLE)
        wait_until(task.done, 10, "the link to end")


def test__same_key_again__replaces_the_target(start_watching: WatchingFactory) -> None:
    watching = start_watching()
    with TinyServer() as first, TinyServer() as second:
        second.set("Worker", NOT_SERVING)
        watching.add("one", first.port, "Worker")
        watching.expect(Health.SERVING)
        watching.add("one", second.port, "Worker")
        watching.expect(Health.NOT_SERVING)


def test__error_in_the_callback__is_a_crash(port: int) -> None:
    def on_report(_report: HealthReport[str]) -> None:
        raise ZeroDivisionError

    watching = Watching(PATIENT, on_report)
    watching.add("one", port, "Worker")
    wait_until(lambda: watching.heard.crashes, 10, "the crash")
    crash = watching.heard.crashes.pop()
    assert isinstance(crash, BaseExceptionGroup)
    assert crash.subgroup(ZeroDivisionError) is not None
    # Its traceback holds the channel, which must be gone when the loop ends; see `LoopThread`.
    del crash
    watching.close()
