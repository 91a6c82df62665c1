"""Real servers without gRPC for tests, and plain probes at work on them.

One server is a process that can hang, one gives answers of the test's choice.
"""

from __future__ import annotations

import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from support.grpc_servers import Heard
from support.waiting import wait_until

from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.health import HealthReport
from quaestor_actors.adapters.plain_probes import PlainProbes, PlainTarget
from quaestor_actors.core.member import Health
from quaestor_actors.core.probe import ProbeKind, ProbeSpec

PATIENT_S = 30.0
NEVER_S = 600.0
"""So long that no interval can pass in a test."""

OFTEN_S = 0.02

CLOSE = b""
"""An answer: the connection is closed without one."""


def http_answer(status: int, *headers: str, body: bytes = b"") -> bytes:
    """Return a whole HTTP answer."""
    lines = (f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers, "", "")
    return "\r\n".join(lines).encode() + body


class HttpProcess:
    """Python's own file server as a process, on a free port."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder), "0"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        found = re.search(r"port (\d+)", self.process.stdout.readline())
        assert found is not None
        self.port = int(found[1])

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self.process.send_signal(number)

    def kill(self) -> str:
        """End the process the hard way, and return what it logged; nothing more if it has ended already."""
        if self.process.returncode is not None:
            return ""
        self.process.kill()
        return self.process.communicate(timeout=10)[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


class AnswerServer:
    """Answers every request with the same bytes. Each connection has a thread, and is closed after the answer."""

    def __init__(
        self,
        answer: bytes = CLOSE,
        *,
        family: socket.AddressFamily = socket.AF_INET,
        awaits_request: bool = True,
        stays_open: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Listen on a free loopback port.

        Args:
            answer: Sent when a request's empty line has come; may be changed at any time.
            family: Of the address.
            awaits_request: If not, the answer is sent as soon as the client is connected.
            stays_open: Keep the connection until the client ends it.
            tls: Speak TLS with this certificate.
        """
        self.answer = answer
        self.requests: list[bytes] = []
        self.may_answer = threading.Event()
        """Cleared: every request is held up until it is set."""
        self.may_answer.set()
        self.most_open = 0
        self._awaits_request = awaits_request
        self._stays_open = stays_open
        self._tls = tls
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        loopback = "::1" if family is socket.AF_INET6 else "127.0.0.1"
        self._listener = socket.create_server((loopback, 0), family=family, backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    @property
    def open_connections(self) -> int:
        """How many clients are connected."""
        with self._lock:
            return len(self._open)

    def stop(self) -> None:
        """Refuse connections from now on."""
        self.may_answer.set()
        # Unlike `close`, this wakes the thread in `accept`.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(10)
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            self._open.add(client)
            self.most_open = max(self.most_open, len(self._open))
        # A client may leave at any time, and refuse a certificate.
        with suppress(OSError):
            connected = client if self._tls is None else self._tls.wrap_socket(client, server_side=True)
            with connected:
                self._talk(connected)
        client.close()
        with self._lock:
            self._open.discard(client)

    def _talk(self, client: socket.socket) -> None:
        request = b""
        while self._awaits_request and not request.endswith(b"\r\n\r\n"):
            piece = client.recv(4096)
            if not piece:
                return
            request += piece
        self.requests.append(request)
        self.may_answer.wait(60)
        client.sendall(self.answer)
        if self._stays_open:
            client.recv(1)


def tcp(port: int, **keys: Any) -> PlainTarget:
    """Return a target that is asked for a connection; `keys` are fields of PlainTarget."""
    return plain_target(ProbeSpec(kind=ProbeKind.TCP), port=port, **keys)


def http(port: int, path: str = "/", **keys: Any) -> PlainTarget:
    """Return a target that is asked by HTTP."""
    return plain_target(ProbeSpec(kind=ProbeKind.HTTP, path=path), port=port, **keys)


def command(line: str, **keys: Any) -> PlainTarget:
    """Return a target that is asked by running a command."""
    return plain_target(ProbeSpec(kind=ProbeKind.EXEC, command=line), **keys)


def plain_target(spec: ProbeSpec, **keys: Any) -> PlainTarget:
    """Return a target on this machine that is asked patiently, and, once it has served, never again."""
    defaults = {"host_name": "localhost", "interval_s": NEVER_S, "timeout_s": PATIENT_S}
    return PlainTarget(spec=spec, **{**defaults, **keys})


class Probing:
    """Plain probes on their own thread, driven from the test's."""

    def __init__(self, on_report: Callable[[HealthReport[str]], None] | None = None) -> None:
        self.heard = Heard()
        self.loop = LoopThread(name="test", on_crash=self.heard.crashes.append)
        self.loop.start()
        self.probes: PlainProbes[str] = PlainProbes(loop=self.loop, on_report=on_report or self.heard)

    def add(self, target: PlainTarget, key: str = "one") -> None:
        """Ask a target from now on."""
        self.loop.post(lambda: self.probes.add(key, target))

    def remove(self, key: str = "one") -> None:
        """Ask it no more."""
        self.loop.post(lambda: self.probes.remove(key))

    def expect(self, health: Health, key: str = "one") -> str:
        """Wait until the last verdict on the target is this one, and return its detail."""

        def last() -> HealthReport[str] | None:
            of_key = [report for report in self.heard.items if report.key == key]
            return of_key[-1] if of_key and of_key[-1].health is health else None

        report = wait_until(last, 10, f"{key} to be {health}, heard {self.heard.items}")
        assert report is not None
        assert report.services == ()
        assert report.detail.isprintable()
        return report.detail

    def close_probes(self) -> None:
        """Ask nobody any more, and wait until everything has ended."""
        self.loop.call(self.probes.close()).result(10)

    def close(self) -> None:
        """End, and insist that nothing went wrong on the loop."""
        self.close_probes()
        self.loop.stop()
        assert self.heard.crashes == []
