"""Actors of users on two real hosts: they find each other, and whoever waits for one on a lost host is told."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.cluster import ROOT
from support.host_cluster import PATIENCE_S, HostCluster, make_hosts, start_hosts
from support.waiting import wait_until

from quaestor_actors.errors import HostLostError
from quaestor_actors.remote import RemoteCluster

PATH = os.pathsep.join(filter(None, (str(ROOT / "tests"), os.environ.get("PYTHONPATH"))))
ACTORS = """
actors:
  Everywhere: {class: "support.user_actors:Echo"}
  Pinned: {class: "support.user_actors:Echo", hosts: [a2]}
  Seeing: {class: "support.user_actors:Seeing"}
"""

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[HostCluster]]:
    """Yield two hosts that know of each other; the second one has a camera."""
    hosts = make_hosts(tmp_path_factory.mktemp("hosts"), addresses=("127.0.0.1", "127.0.0.2"), cluster_extra=ACTORS)
    for host in hosts:
        host.environment_extra["PYTHONPATH"] = PATH
        file = host.directory / "quaestor.cluster.config.yml"
        file.write_text(re.sub(r"(a2: \{address: [^}]*)", r"\1, capabilities: [camera]", file.read_text()))
    try:
        start_hosts(hosts)
        yield hosts
    finally:
        for host in hosts:
            host.clean_up()


def connected(host: HostCluster) -> RemoteCluster:
    return RemoteCluster(Path(host.environment["QUAESTOR_RUNTIME_DIR"]) / host.name)


def ask(host: HostCluster, name: str, message: object) -> Any:
    with connected(host) as opened:
        return opened.ask(name, message, timeout_s=PATIENCE_S)


def test__each_host__runs_what_is_its_own(two: list[HostCluster]) -> None:
    assert [ask(host, "Everywhere", 1)[0] for host in two] == ["Everywhere@a1", "Everywhere@a2"]
    assert {ask(host, "Pinned", 1)[0] for host in two} == {"Pinned@a2"}
    assert {ask(host, "Seeing", 1)[0] for host in two} == {"Seeing@a2"}
    assert ask(two[0], "Everywhere@A2", 1)[0] == "Everywhere@a2"


def test__actors__tell_each_other_across_hosts_and_back(two: list[HostCluster]) -> None:
    first, _ = two
    with connected(first) as opened:
        for to in ("Everywhere@a2", "Pinned"):
            opened.tell("Everywhere", ("tell", to, ("say", to)), timeout_s=PATIENCE_S)
        opened.tell("Everywhere", ("tell", "Nobody", 1), timeout_s=PATIENCE_S)
        expected = {
            ("Everywhere@a2", ("say back", "Everywhere@a2")),
            ("Pinned@a2", ("say back", "Pinned")),
            ("Nobody", 1, "there is no actor Nobody on any host"),
        }
        wait_until(
            lambda: set(opened.ask("Everywhere", "seen", timeout_s=PATIENCE_S)) == expected,
            PATIENCE_S,
            "what was told to be answered",
        )


def test__host_lost__whoever_waits_for_it_is_told_long_before_the_time_is_over(two: list[HostCluster]) -> None:
    first, second = two

    def wait_for_nothing() -> Any:
        with connected(first) as opened:
            return opened.ask("Pinned@a2", "silence", timeout_s=100 * PATIENCE_S)

    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(wait_for_nothing)
        second.cut_power()
        error = waiting.exception(timeout=PATIENCE_S)
    assert isinstance(error, HostLostError)
    assert str(error) == "Pinned@a2: a2 is lost: not heard any more"
    # What is of this host is not concerned.
    assert ask(first, "Everywhere", 1)[0] == "Everywhere@a1"
    explained = first.run("explain", "Pinned@a2").stdout
    assert "host        a2: lost: not heard any more; this is what it said" in explained
