"""`quaestor load` against real servers."""

from __future__ import annotations

import json
from pathlib import Path

from support.asked_servers import Secured
from support.command_line import quaestor
from support.grpc_servers import TinyServer, load_response, reserved_port


def test__load__for_people() -> None:
    with TinyServer(report_load=lambda: load_response(capacity=4, current=1)) as server:
        address = f"127.0.0.1:{server.port}"
        answer = quaestor("load", address, "Worker")
    assert (answer.code, answer.err) == (0, "")
    assert [line.split() for line in answer.out.splitlines()] == [
        ["SERVICE", "ADDRESS", "LOAD", "REQUESTS", "CAPACITY", "RATE", "HOST-CPU", "HOST-MEMORY"],
        ["Worker", address, "0.25", "1", "4", "-", "0%", "-"],
    ]


def test__load__its_own_rate_counts() -> None:
    ticks = 638_000_000_000_000_000
    with TinyServer(report_load=lambda: load_response(capacity=0, rate=0.5, ticks=ticks)) as server:
        answer = quaestor("load", f"127.0.0.1:{server.port}", "Worker", "-o", "json")
    load = json.loads(answer.out)["loads"][0]
    assert (load["load"], load["known_load_rate"], load["request_capacity"]) == (0.5, 0.5, 0)
    assert load["changed_at"] == "2022-09-28T22:13:20.000+00:00"


def test__load__of_what_takes_nothing_and_has_a_nonsensical_time() -> None:
    with TinyServer(report_load=lambda: load_response(capacity=0, ticks=2**63 - 1)) as server:
        answer = quaestor("load", f"127.0.0.1:{server.port}", "Worker", "-o", "json")
    load = json.loads(answer.out)["loads"][0]
    assert (load["load"], load["changed_at"]) == (None, None)


def test__unknown_service__exits_5() -> None:
    with TinyServer(report_load=load_response) as server:
        answer = quaestor("load", f"127.0.0.1:{server.port}", "Nobody")
    assert (answer.code, answer.out) == (5, "")
    assert 'does not report the load of the service "Nobody"' in answer.err


def test__server_without_the_protocol__exits_1() -> None:
    with TinyServer() as server:
        answer = quaestor("load", f"127.0.0.1:{server.port}", "Worker")
    assert (answer.code, answer.out) == (1, "")
    assert "does not implement Quaestor.LoadReporting.LoadReportingGrpc" in answer.err


def test__nobody_listens__exits_1() -> None:
    with reserved_port() as port:
        answer = quaestor("load", f"127.0.0.1:{port}", "Worker")
    assert (answer.code, answer.out) == (1, "")
    assert len(answer.err.splitlines()) == 1
    assert "Connection refused" in answer.err


def test__mutual_tls(tmp_path: Path) -> None:
    secured = Secured(tmp_path, is_mutual=True)
    with TinyServer(credentials=secured.credentials, report_load=load_response) as server:
        answer = quaestor("load", f"127.0.0.1:{server.port}", "Worker", *secured.trust, *secured.name, *secured.login)
    assert answer.code == 0, answer.err
