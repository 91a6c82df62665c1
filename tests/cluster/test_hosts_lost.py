"""A host is lost and comes back: the others know, show it with its age, and go on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.host_cluster import PATIENCE_S, HostCluster, all_joined, make_hosts, see, start_hosts
from support.waiting import wait_until

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def three(tmp_path: Path) -> Iterator[list[HostCluster]]:
    """Yield three hosts that run and know of each other."""
    hosts = make_hosts(tmp_path)
    try:
        start_hosts(hosts)
        yield hosts
    finally:
        for host in hosts:
            host.signal_everything(signal.SIGCONT)
            host.clean_up()


def test__host_without_power__is_shown_with_its_age_and_comes_back(three: list[HostCluster]) -> None:
    first, second, third = three
    before = first.members()
    third.cut_power()
    wait_until(lambda: see([first, second], third, "lost"), PATIENCE_S, "it to be lost")
    seen = second.status()
    (host,) = [each for each in seen["hosts"] if each["name"] == "a3"]
    assert (host["is_current"], host["reason"]) == (False, "not heard any more")
    assert host["answered"] is not None
    assert {each["cluster_host"] for each in seen["members"]} == {"a1", "a2", "a3"}
    shown = second.run("status").stdout
    assert "cluster many: 4/6 members serving, 2 unknown, 2/3 hosts answer" in shown
    assert "host a3: lost for" in shown
    assert "a3 is lost; was serving" in shown
    assert "its last answer is" in shown

    answer = first.run("restart", "Sleeper/1@a3")
    assert answer.returncode == 1
    assert "is on a3, which is lost: not heard any more; nothing was done" in answer.stderr
    answer = first.run("start", "Sleeper/1")
    assert answer.returncode == 0
    assert answer.stdout.splitlines() == ["start Sleeper/1@a1: requested", "start Sleeper/1@a2: requested"]
    assert "left out: a3, which is lost" in answer.stderr

    third.launch()
    wait_until(lambda: all_joined(three), PATIENCE_S, "it to be back")
    after = first.members()
    assert {name for name in after if before[name]["pid"] != after[name]["pid"]} == {"Sleeper/1@a3", "Sleeper/2@a3"}


def test__host_that_stands_still__delays_nobody_and_comes_back(three: list[HostCluster]) -> None:
    first, second, third = three
    third.signal_everything(signal.SIGSTOP)
    # It is not known to be lost yet.
    answer = first.run("restart", "Sleeper/1@a2")
    assert (answer.returncode, answer.stdout) == (0, "restart Sleeper/1@a2: requested\n"), answer.stderr
    wait_until(lambda: see([first, second], third, "lost"), PATIENCE_S, "it to be lost")
    assert {first.states()["a2"], second.states()["a1"]} == {"joined"}
    third.signal_everything(signal.SIGCONT)
    wait_until(lambda: all_joined(three), PATIENCE_S, "it to be back")


def test__host_that_is_stopped_in_order__has_left(three: list[HostCluster]) -> None:
    first, second, third = three
    assert third.stop() == 0
    wait_until(lambda: see([first, second], third, "lost"), PATIENCE_S, "it to be gone")
    assert first.hosts()["a3"]["reason"] == "it has left"


def test__actor_for_the_other_hosts_hangs__this_host_is_shown(three: list[HostCluster]) -> None:
    first = three[0]
    actors = first.status()["actors"]
    (pid,) = [each["pid"] for each in actors if (each["cluster_host"], each["name"]) == ("a1", "hosts")]
    os.kill(pid, signal.SIGSTOP)
    answer = first.run("status")
    assert (answer.returncode, answer.stdout.count("serving")) == (0, 3), answer.stderr
    assert "this host alone answers" in answer.stderr
    answer = first.run("events", "Sleeper/1", "--lines", "1")
    assert (answer.returncode, answer.stdout.count("Sleeper/1")) == (0, 1), answer.stderr
    assert "the events of this host alone" in answer.stderr
    answer = first.run("logs", "Sleeper/1", "--lines", "1")
    assert (answer.returncode, answer.stdout.count("here is pid")) == (0, 1), answer.stderr
    assert "the output of this host alone" in answer.stderr
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: all_joined(three), PATIENCE_S, "all to know of each other")


@pytest.mark.parametrize("victim", ["hosts", "root"])
def test__actor_that_is_killed__is_replaced_and_all_are_known_again(three: list[HostCluster], victim: str) -> None:
    first = three[0]
    actors = first.status()["actors"]
    former = {(each["cluster_host"], each["name"]): each["pid"] for each in actors}
    (process,) = [each for each in first.everything() if each.pid == former["a1", victim]]
    process.kill()

    def is_replaced() -> bool:
        found = (first.status_or_none() or {"actors": []})["actors"]
        now = {(each["cluster_host"], each["name"]): each["pid"] for each in found}
        return now.get(("a1", victim)) not in {None, former["a1", victim]} and now.keys() == former.keys()

    wait_until(is_replaced, PATIENCE_S, f"{victim} to be replaced")
    wait_until(lambda: all_joined(three), PATIENCE_S, "all to know of each other")
