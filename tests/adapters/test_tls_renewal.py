"""A certificate is renewed while many connect: everybody gets in, and gRPC frees nothing that it still uses."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import grpc
import pytest
from support.certificates import Authority

from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.frontend import Frontend
from quaestor_actors.adapters.tls import LOOK_INTERVAL_S, SETTLING_S, ServerCertificate
from quaestor_actors.core.spec import BalancerSpec

DEADLINE_S = 10.0
CLIENTS = 8
CERTIFICATES = 4
"""So many each of them sees."""

PAUSE_S = 0.3
"""Between two renewals."""


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, is_strict=True)


def renew(authority: Authority, files: tuple[str, str]) -> None:
    for old, new in zip(files, authority.issue("localhost"), strict=True):
        Path(new).replace(old)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What gRPC is given to ask each port's certificate with."""
    fetchers: list[Any] = []
    make = grpc.dynamic_ssl_server_credentials

    def remember(first: Any, fetcher: Any, *rest: Any) -> grpc.ServerCredentials:
        fetchers.append(fetcher)
        return make(first, fetcher, *rest)

    monkeypatch.setattr(grpc, "dynamic_ssl_server_credentials", remember)
    return fetchers


def test__each_port__is_told_of_each_certificate_once(authority: Authority, told: list[Any]) -> None:
    files, clock = authority.issue("localhost"), Clock()
    certificate = ServerCertificate(*files, roots=None, clock=clock)
    certificate.port_credentials()
    certificate.port_credentials()
    one, other = told
    assert one() is None
    assert other() is None
    renew(authority, files)
    clock.now += LOOK_INTERVAL_S
    new = one()
    assert new is not None
    assert one() is None
    assert other() is new
    assert other() is None
    certificate.port_credentials()
    assert told[-1]() is None


def test__new_certificate__those_who_have_just_asked_are_let_begin(authority: Authority, told: list[Any]) -> None:
    files, clock = authority.issue("localhost"), Clock()
    ServerCertificate(*files, roots=None, clock=clock).port_credentials()
    renew(authority, files)
    clock.now += LOOK_INTERVAL_S
    began_at = time.monotonic()
    assert told[0]() is not None
    assert time.monotonic() - began_at >= SETTLING_S


class Nowhere:
    """A `Discovery` without locations."""

    is_informed = True

    def discover(self, **_question: Any) -> tuple[()]:
        return ()

    discover_top = discover


@pytest.fixture
def renewed(authority: Authority) -> Iterator[tuple[int, tuple[str, str]]]:
    """The port of a frontend, and the files of its certificate."""
    files = authority.issue("localhost")
    crashes: list[BaseException] = []
    loop = LoopThread(name="test", on_crash=crashes.append)
    loop.start()
    spec = BalancerSpec(host_name="127.0.0.1", port=0, certificate=files[0], private_key_file=files[1])
    frontend = Frontend(spec=spec, discovery=Nowhere())
    try:
        yield loop.call(frontend.start()).result(DEADLINE_S), files
        loop.call(frontend.drain(0)).result(DEADLINE_S)
    finally:
        del frontend
        loop.stop()
    assert crashes == []


def test__many_connect_at_once_during_renewals__everybody_gets_in(
    authority: Authority, renewed: tuple[int, tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quaestor_actors.adapters.tls.LOOK_INTERVAL_S", 0.0)
    port, files = renewed

    def connect_often(_client: int) -> None:
        context = ssl.create_default_context(cafile=authority.root_file)
        context.set_alpn_protocols(["h2"])
        seen: set[str] = set()
        while len(seen) < CERTIFICATES:
            seen.add(connect(context))

    def connect(context: ssl.SSLContext) -> str:
        """Return which certificate was presented."""
        with (
            socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            assert secure.recv(1)
            return str((secure.getpeercert() or {})["serialNumber"])

    with ThreadPoolExecutor(CLIENTS) as clients:
        ends = [clients.submit(connect_often, number) for number in range(CLIENTS)]
        while wait(ends, timeout=PAUSE_S).not_done:
            renew(authority, files)
    for each in ends:
        each.result()
