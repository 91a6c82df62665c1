"""`quaestor health` against real servers: its four answers, TLS, and servers that lack something."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.asked_servers import Secured
from support.command_line import Answer, quaestor
from support.grpc_servers import NOT_SERVING, TinyServer, reserved_port


@pytest.fixture
def server() -> Iterator[TinyServer]:
    with TinyServer() as running:
        yield running


def status(answer: Answer) -> str:
    """Return the status in the table."""
    header, row = (line.split() for line in answer.out.splitlines())
    return row[header.index("STATUS")]


def test__serving__exits_0(server: TinyServer) -> None:
    answer = quaestor("health", f"127.0.0.1:{server.port}", "Worker")
    assert (answer.code, answer.err) == (0, "")
    assert [line.split() for line in answer.out.splitlines()] == [
        ["ADDRESS", "SERVICE", "STATUS"],
        [f"127.0.0.1:{server.port}", "Worker", "SERVING"],
    ]


def test__not_serving__exits_3(server: TinyServer) -> None:
    server.set("Worker", NOT_SERVING)
    answer = quaestor("health", f"127.0.0.1:{server.port}", "Worker")
    assert (answer.code, status(answer), answer.err) == (3, "NOT_SERVING", "")


def test__unknown_service__exits_3(server: TinyServer) -> None:
    answer = quaestor("health", f"127.0.0.1:{server.port}", "Nobody", "-o", "json")
    assert answer.code == 3
    assert json.loads(answer.out)["checks"] == [
        {
            "address": f"127.0.0.1:{server.port}",
            "service": "Nobody",
            "status": "UNKNOWN",
            "reason": 'the server does not know the service "Nobody"',
        }
    ]


def test__server_without_the_protocol__is_unknown() -> None:
    with TinyServer(has_health=False) as server:
        answer = quaestor("health", f"127.0.0.1:{server.port}")
    assert (answer.code, status(answer)) == (3, "UNKNOWN")
    assert "does not implement grpc.health.v1.Health" in answer.out


def test__nobody_listens__exits_1_with_the_remedy() -> None:
    with reserved_port() as port:
        answer = quaestor("health", f"127.0.0.1:{port}", "Worker")
    assert (answer.code, status(answer)) == (1, "unreachable")
    assert answer.err == (
        f"quaestor: no connection to 127.0.0.1:{port}: Connection refused; "
        "nobody listens there: is it started, and is this its port?\n"
    )


def test__nobody_answers__exits_1_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        answer = quaestor("health", f"127.0.0.1:{port}", "--timeout", "0.3", "-o", "tsv")
    assert answer.code == 1
    assert answer.out.splitlines()[1].split("\t")[:3] == [f"127.0.0.1:{port}", "", "unreachable"]


def test__tls__with_the_authority_and_the_name(tmp_path: Path) -> None:
    secured = Secured(tmp_path)
    with TinyServer(credentials=secured.credentials) as server:
        address = f"127.0.0.1:{server.port}"
        assert quaestor("health", address, "Worker", *secured.trust, *secured.name).code == 0
        unknown = quaestor("health", address, "Worker", *secured.name)
        other_name = quaestor("health", address, "Worker", *secured.trust)
        plain = quaestor("health", address, "Worker")
    assert (unknown.code, status(unknown)) == (1, "unreachable")
    assert "--ca-certificate" in unknown.err
    assert other_name.code == 1
    assert "--server-name" in other_name.err
    assert plain.code == 1
    assert plain.err.endswith("if it speaks TLS, say --tls\n")
    for answer in (unknown, other_name, plain):
        assert len(answer.err.splitlines()) == 1


def test__mutual_tls__with_a_client_certificate(tmp_path: Path) -> None:
    secured = Secured(tmp_path, is_mutual=True)
    with TinyServer(credentials=secured.credentials) as server:
        address = f"127.0.0.1:{server.port}"
        asked = ("health", address, "Worker", *secured.trust, *secured.name)
        assert quaestor(*asked, *secured.login).code == 0
        assert quaestor(*asked, *secured.login_in_one_file).code == 0
        without = quaestor(*asked)
    assert without.code == 1
    assert "--client-certificate" in without.err


def test__tls_to_a_server_without__says_so(server: TinyServer) -> None:
    answer = quaestor("health", f"127.0.0.1:{server.port}", "--tls")
    assert answer.code == 1
    assert answer.err.endswith("it does not speak TLS; leave out --tls\n")


def test__unusable_file__exits_1_and_is_named(server: TinyServer, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    answer = quaestor("health", f"127.0.0.1:{server.port}", "--ca-certificate", missing)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == f"quaestor: {missing} cannot be read: No such file or directory\n"


@pytest.mark.parametrize(
    "arguments",
    [("localhost",), ("localhost:0",), ("::1:5161",), ("localhost:70000",), ("localhost:1", "--client-key", "k")],
)
def test__what_cannot_be_meant__is_wrong_usage(arguments: tuple[str, ...]) -> None:
    answer = quaestor("health", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("Usage: quaestor health ")
