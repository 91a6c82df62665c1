"""Plain probes as a whole, and by TCP: verdicts, pace, bounds, and who is reported when."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from support.grpc_servers import Heard, reserved_port
from support.plain_servers import OFTEN_S, AnswerServer, Probing, command, http, http_answer, plain_target, tcp
from support.waiting import wait_until

from quaestor_actors.adapters.health import HealthReport
from quaestor_actors.adapters.plain_probes import CHECKS_AT_ONCE, PlainProbe, PlainTarget, _spread
from quaestor_actors.adapters.probe_connect import is_connected_to_itself
from quaestor_actors.adapters.probe_verdict import Verdict
from quaestor_actors.core.member import Health
from quaestor_actors.core.probe import ProbeKind, ProbeSpec


@pytest.fixture
def probing() -> Iterator[Probing]:
    with closing(Probing()) as started:
        yield started


@pytest.fixture
def port() -> Iterator[int]:
    with reserved_port() as reserved:
        yield reserved


def test__target__kind_without_plain_probe__is_refused() -> None:
    with pytest.raises(ValueError, match="probe grpc is no plain probe"):
        plain_target(ProbeSpec(kind=ProbeKind.GRPC), port=1)


def test__target__without_port__is_refused() -> None:
    with pytest.raises(ValueError, match="probe http needs a port"):
        plain_target(ProbeSpec(kind=ProbeKind.HTTP))


def test__target__its_text_has_no_environment() -> None:
    assert "secret" not in repr(command("true", environment={"PASSWORD": "secret"}))


def test__tcp__accepted__serves_and_is_reported_once(probing: Probing) -> None:
    with AnswerServer() as server:
        probing.add(tcp(server.port, interval_s=OFTEN_S))
        assert probing.expect(Health.SERVING) == "accepts connections"
        server.stop()
        detail = probing.expect(Health.UNREACHABLE)
        assert detail == f"no connection to localhost:{server.port}: Connection refused"
        assert [report.health for report in probing.heard.items] == [Health.SERVING, Health.UNREACHABLE]


def test__tcp__refused_then_accepted__is_seen_long_before_the_interval(probing: Probing, port: int) -> None:
    probing.add(tcp(port))
    probing.expect(Health.UNREACHABLE)
    with socket.create_server(("127.0.0.1", port)):
        probing.expect(Health.SERVING)


def test__tcp__server_on_ipv6_only__localhost_reaches_it(probing: Probing) -> None:
    with AnswerServer(family=socket.AF_INET6) as server:
        probing.add(tcp(server.port))
        probing.expect(Health.SERVING)


def test__tcp__connection_neither_accepted_nor_refused__is_a_timeout(probing: Probing) -> None:
    with ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.0)
            waiting.connect_ex(full.getsockname())
        probing.add(tcp(full.getsockname()[1], host_name="127.0.0.1", timeout_s=0.2))
        assert probing.expect(Health.TIMEOUT) == "no answer within 0.2 s"


def test__tcp__name_that_cannot_be_looked_up__is_unreachable(probing: Probing) -> None:
    probing.add(tcp(1, host_name="a" * 64))
    assert "Name or service not known" in probing.expect(Health.UNREACHABLE)


def test__tcp__socket_connected_to_itself__is_recognised() -> None:
    async def connect() -> bool:
        own = socket.socket()
        own.bind(("127.0.0.1", 0))
        own.connect(own.getsockname())
        _, writer = await asyncio.open_connection(sock=own)
        try:
            return is_connected_to_itself(writer)
        finally:
            writer.transport.abort()

    assert asyncio.run(connect())


class Script:
    """Plays verdicts to a probe, and notes for how long it would have slept after each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *verdicts: Health) -> None:
        self.pauses: list[float] = []
        self._verdicts = [Verdict(health=health, detail="scripted") for health in verdicts]
        monkeypatch.setattr("quaestor_actors.adapters.plain_probes.asyncio.sleep", self._sleep)

    def play(self, target: PlainTarget) -> list[float]:
        """Return the pauses in seconds, to the last verdict's."""
        probe = PlainProbe(target=target, check=self._check, spread=0.25, heard=Heard())
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(probe.run())
        return self.pauses

    async def _check(self) -> Verdict:
        return self._verdicts.pop(0)

    async def _sleep(self, pause_s: float) -> None:
        self.pauses.append(pause_s)
        if not self._verdicts:
            raise asyncio.CancelledError


def test__pace__until_serving__slows_down_to_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(monkeypatch, *[Health.UNREACHABLE] * 4, *[Health.NOT_SERVING] * 4)
    assert script.play(tcp(1)) == pytest.approx([0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0])


def test__pace__until_a_command_succeeds__slows_down_to_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(monkeypatch, *[Health.NOT_SERVING] * 7)
    assert script.play(command("false")) == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0])


def test__pace__until_serving__is_never_slower_than_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(monkeypatch, *[Health.UNREACHABLE] * 4)
    assert script.play(tcp(1, interval_s=0.05)) == pytest.approx([0.02, 0.04, 0.05, 0.05])


def test__pace__once_it_has_served__is_the_interval_first_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(monkeypatch, Health.SERVING, Health.SERVING, Health.NOT_SERVING, Health.TIMEOUT, Health.SERVING)
    assert script.play(tcp(1, interval_s=20.0)) == pytest.approx([5.0, 20.0, 20.0, 20.0, 20.0])


def test__pace__lost__is_tried_every_second_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = (Health.SERVING, Health.UNREACHABLE, Health.UNREACHABLE, Health.SERVING)
    assert Script(monkeypatch, *lost).play(tcp(1, interval_s=20.0)) == pytest.approx([5.0, 1.0, 1.0, 20.0])
    assert Script(monkeypatch, *lost).play(tcp(1, interval_s=0.4)) == pytest.approx([0.1, 0.4, 0.4, 0.4])


def test__checks_at_once__are_bounded(probing: Probing) -> None:
    with AnswerServer(http_answer(200)) as server:
        server.may_answer.clear()
        keys = [f"target {number}" for number in range(CHECKS_AT_ONCE + 8)]
        for key in keys:
            probing.add(http(server.port), key)
        wait_until(lambda: server.open_connections == CHECKS_AT_ONCE, 10, "all turns to be taken")
        server.may_answer.set()
        for key in keys:
            probing.expect(Health.SERVING, key)
        assert server.most_open <= CHECKS_AT_ONCE


def test__spread__is_the_same_in_every_process_and_differs_between_keys() -> None:
    shares = [_spread((f"Worker/{number}", 1)) for number in range(100)]
    assert _spread(("Worker/1", 1)) == pytest.approx(0.698074390180409)
    assert all(0 <= share < 1 for share in shares)
    for tenth in range(10):
        assert any(tenth / 10 <= share < (tenth + 1) / 10 for share in shares)


def test__removed_target__is_reported_no_more(probing: Probing) -> None:
    with AnswerServer(http_answer(200)) as server:
        probing.add(http(server.port, interval_s=OFTEN_S))
        probing.add(http(server.port, interval_s=OFTEN_S), "other")
        probing.expect(Health.SERVING)
        probing.expect(Health.SERVING, "other")
        probing.remove()
        probing.heard.clear()
        server.answer = http_answer(503)
        probing.expect(Health.NOT_SERVING, "other")
        assert {report.key for report in probing.heard.items} == {"other"}


def test__same_key_again__is_told_again(probing: Probing) -> None:
    with AnswerServer(http_answer(200)) as server:
        probing.add(http(server.port))
        probing.expect(Health.SERVING)
        probing.heard.clear()
        probing.add(http(server.port))
        probing.expect(Health.SERVING)


def test__close__returns_when_everything_has_ended(probing: Probing) -> None:
    async def close() -> list[bool]:
        tasks = list(probing.probes._tasks.values())
        await probing.probes.close()
        return [task.done() for task in tasks]

    probing.add(command("sleep 600"))
    probing.add(command("sleep 600"), "other")
    assert probing.loop.call(close()).result(10) == [True, True]


def test__unknown_key__is_no_error(probing: Probing) -> None:
    probing.remove("nobody")


def test__removed_in_the_callback__is_asked_no_more() -> None:
    told = threading.Event()

    def on_report(report: HealthReport[str]) -> None:
        removing.probes.remove(report.key)
        told.set()

    with closing(Probing(on_report)) as removing, AnswerServer(http_answer(200)) as server:
        removing.add(http(server.port, interval_s=0.0))
        assert told.wait(10)
        removing.close_probes()
        assert len(server.requests) == 1


def test__error_in_the_callback__is_a_crash(port: int) -> None:
    def on_report(_report: HealthReport[str]) -> None:
        raise ZeroDivisionError

    failing = Probing(on_report)
    failing.add(tcp(port))
    wait_until(lambda: failing.heard.crashes, 10, "the crash")
    assert isinstance(failing.heard.crashes.pop(), ZeroDivisionError)
    failing.close()
