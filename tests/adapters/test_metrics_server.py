"""The page for Prometheus, and clients that are slow, greedy or talk nonsense."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from support.ports import free_port
from support.waiting import wait_until

from quaestor_actors.adapters import metrics_server
from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.metrics_server import CONNECTIONS, LONGEST_REQUEST, MetricsServer, start_server
from quaestor_actors.errors import ConflictError, OperationError

TIMEOUT_S = 20.0


class Served:
    """A server with a page that can be made to fail, and what its thread crashed with."""

    def __init__(self) -> None:
        self.crashes: list[BaseException] = []
        self.loop = LoopThread(name="metrics", on_crash=self.crashes.append)
        self.loop.start()
        self.port = free_port()
        self.is_late = False
        self.server = self.made(self.port)
        start_server(self.loop, self.server)

    def made(self, port: int, host: str = "127.0.0.1") -> MetricsServer:
        return MetricsServer(host=host, port=port, content_type="text/x", page=self._page)

    async def _page(self) -> str:
        if self.is_late:
            raise TimeoutError
        return "numbers\n"

    def get(self, path: str = "/metrics", method: str = "GET") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        connection.request(method, path)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)

    def say(self, data: bytes) -> bytes:
        """Send something, and return everything that comes back until the server hangs up."""
        with self.connect() as connection:
            connection.sendall(data)
            heard = b""
            while piece := connection.recv(65_536):
                heard += piece
        return heard


@pytest.fixture
def served() -> Iterator[Served]:
    running = Served()
    yield running
    running.loop.call(running.server.close()).result(TIMEOUT_S)
    running.loop.stop()
    assert running.crashes == []


def test__get__is_the_page(served: Served) -> None:
    assert served.get() == (200, "numbers\n")
    assert served.get("/metrics?name=x") == (200, "numbers\n")
    assert served.get(method="HEAD") == (200, "")


def test__other_paths_and_methods__are_told_what_there_is(served: Served) -> None:
    assert served.get("/") == (404, "the metrics are at /metrics\n")
    assert served.get(method="POST") == (405, "only GET\n")


def test__no_page_in_time__is_503(served: Served) -> None:
    served.is_late = True
    assert served.get() == (503, "the cluster does not answer at the moment\n")


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"\x16\x03\x01\x00\xa5\r\n\r\n", b"400"),
        (b"GET /metrics\r\n\r\n", b"400"),
        (b"GET /metrics SPDY/1\r\n\r\n", b"400"),
        (b"\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * LONGEST_REQUEST + b"\r\n\r\n", b"431"),
        (b"x" * (2 * LONGEST_REQUEST), b"431"),
    ],
)
def test__nonsense__is_answered_and_harms_nobody(served: Served, data: bytes, answer: bytes) -> None:
    assert served.say(data).startswith(b"HTTP/1.1 " + answer)
    assert served.get()[0] == 200


def test__hang_up__before_or_amid_the_request__harms_nobody(served: Served) -> None:
    for data in (b"", b"GET /metrics HT"):
        with served.connect() as connection:
            connection.sendall(data)
    assert served.get()[0] == 200


def test__slow_ones__are_cut_off_and_hold_up_nobody(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "REQUEST_DEADLINE_S", 0.5)
    with ExitStack() as stack:
        slow = [stack.enter_context(served.connect()) for _ in range(CONNECTIONS - 1)]
        for connection in slow:
            connection.sendall(b"GET /metrics")
        assert served.get()[0] == 200
        for connection in slow:
            try:
                assert connection.recv(1) == b""
            except ConnectionResetError:
                continue


def test__too_many__are_turned_away_until_others_have_gone(served: Served) -> None:
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(served.connect()).sendall(b"GET")
        assert served.say(b"") == b""
    asked = b"GET /metrics HTTP/1.1\r\n\r\n"
    wait_until(lambda: b"numbers" in served.say(asked), TIMEOUT_S, "those who hung up to be noticed")


def test__port_taken__says_by_whom_and_what_to_do(served: Served) -> None:
    with pytest.raises(ConflictError, match=r"port \d+ on 127.0.0.1 is taken by pid .*set another port of metrics"):
        start_server(served.loop, served.made(served.port))


def test__foreign_address__is_said(served: Served) -> None:
    with pytest.raises(OperationError, match=r"cannot be had at 192.0.2.1:\d+: .*set another host"):
        start_server(served.loop, served.made(free_port(), host="192.0.2.1"))
