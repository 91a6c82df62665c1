"""`quaestor discover` against a balancer as the original has it, which is given by its address."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.asked_servers import OriginalBalancer, Secured, serving
from support.cluster import Cluster, make_cluster
from support.command_line import quaestor
from support.grpc_servers import TinyServer, reserved_port


def test__all__sorted_and_without_being_handed_out() -> None:
    balancer = OriginalBalancer(5162, 5161)
    with serving(balancer) as address:
        answer = quaestor("discover", "Worker", "--address", address)
    assert (answer.code, answer.err) == (0, "")
    assert [line.split() for line in answer.out.splitlines()] == [
        ["SERVICE", "ADDRESS", "TLS"],
        ["Worker", "10.0.0.7:5161", "-"],
        ["Worker", "10.0.0.7:5162", "-"],
    ]
    assert [(kind, request.max_count) for kind, request in balancer.requests] == [("all", 0)]


def test__top__in_the_balancers_order() -> None:
    balancer = OriginalBalancer(5163, 5161, 5162)
    with serving(balancer) as address:
        answer = quaestor("discover", "Worker", "--address", address, "--top", "2", "--scope", "blue", "-o", "json")
    document = json.loads(answer.out)
    assert [location["port"] for location in document["locations"]] == [5163, 5161]
    assert document["is_ranked"] is True
    assert [(kind, request.max_count, request.scope) for kind, request in balancer.requests] == [("top", 2, "blue")]


def test__nobody__exits_5_and_says_so() -> None:
    with serving(OriginalBalancer(5161)) as address:
        people = quaestor("discover", "Nobody", "--address", address)
        machines = quaestor("discover", "Nobody", "--address", address, "-o", "json")
    assert (people.code, people.out) == (5, "")
    assert people.err.startswith(f"quaestor: the balancer at {address} knows nobody who serves 'Nobody'; ")
    assert machines.code == 5
    assert json.loads(machines.out)["locations"] == []


def test__no_balancer_there__exits_1() -> None:
    with reserved_port() as port:
        answer = quaestor("discover", "Worker", "--address", f"127.0.0.1:{port}")
    assert (answer.code, answer.out) == (1, "")
    assert "Connection refused" in answer.err


def test__a_server_that_is_no_balancer__exits_1() -> None:
    with TinyServer() as server:
        answer = quaestor("discover", "Worker", "--address", f"127.0.0.1:{server.port}")
    assert (answer.code, answer.out) == (1, "")
    assert "does not implement Quaestor.ServiceDiscovery.ServiceDiscoveryGrpc" in answer.err


@pytest.mark.parametrize("is_mutual", [False, True])
def test__tls(tmp_path: Path, *, is_mutual: bool) -> None:
    secured = Secured(tmp_path, is_mutual=is_mutual)
    login = secured.login if is_mutual else ()
    with serving(OriginalBalancer(5161), secured.credentials) as address:
        answer = quaestor("discover", "Worker", "--address", address, *secured.trust, *secured.name, *login)
        refused = quaestor("discover", "Worker", "--address", address)
    assert answer.code == 0, answer.err
    assert "10.0.0.7:5161" in answer.out
    assert (refused.code, len(refused.err.splitlines())) == (1, 1)


@pytest.mark.parametrize(
    "arguments",
    [("--top", "1", "--all"), ("--top", "0"), ("--address", "nowhere"), ("--address", "a:1", "--cluster", "b")],
)
def test__what_cannot_be_meant__is_wrong_usage(arguments: tuple[str, ...]) -> None:
    answer = quaestor("discover", "Worker", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("Usage: quaestor discover ")


def test__no_cluster_and_no_address__exits_4_and_names_both_ways(tmp_path: Path) -> None:
    nowhere: Cluster = make_cluster(tmp_path)
    answer = nowhere.run("discover", "Worker")
    assert answer.returncode == 4
    assert answer.stderr.endswith("start one with: quaestor cluster, or name a balancer with --address HOST:PORT\n")
