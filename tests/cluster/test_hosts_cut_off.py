"""A host is cut off from the others, and both sides go on: in networks of their own, for which root is needed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.host_cluster import PATIENCE_S, HostCluster, all_joined, make_hosts, see, start_hosts
from support.host_networks import HostNetworks, host_networks, why_impossible
from support.waiting import wait_until

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def networks() -> Iterator[HostNetworks]:
    """Yield networks for three hosts; skip where they cannot be made."""
    if (why := why_impossible()) is not None:
        pytest.skip(why)
    with host_networks(3) as made:
        yield made


@pytest.fixture
def three(tmp_path: Path, networks: HostNetworks) -> Iterator[list[HostCluster]]:
    """Yield three hosts that run and know of each other."""
    hosts = make_hosts(tmp_path, addresses=networks.addresses)
    for number, host in enumerate(hosts):
        host.prefix = networks.prefix(number)
    try:
        start_hosts(hosts)
        yield hosts
    finally:
        for host in hosts:
            host.clean_up()


def test__host_that_is_cut_off__keeps_what_it_has_and_both_sides_know(
    three: list[HostCluster], networks: HostNetworks
) -> None:
    first, second, third = three
    before = first.members()
    networks.pull(2)
    wait_until(lambda: see([first, second], third, "lost"), PATIENCE_S, "the others to know")
    wait_until(lambda: third.states() == {"a1": "lost", "a2": "lost", "a3": "here"}, PATIENCE_S, "it to know")

    # Those that see each other are not held up by it.
    answer = first.run("restart", "Sleeper/1@a2")
    assert (answer.returncode, answer.stdout) == (0, "restart Sleeper/1@a2: requested\n"), answer.stderr

    # It is alone, and heals, commands and shows what it has.
    os.kill(before["Sleeper/1@a3"]["pid"], signal.SIGKILL)
    wait_until(lambda: _is_new(third, "Sleeper/1@a3", before), PATIENCE_S, "it to replace its member")
    assert third.run("stop", "Sleeper/2@a3").returncode == 0
    wait_until(lambda: third.members()["Sleeper/2@a3"]["state"] == "stopped", PATIENCE_S, "it to stop its member")
    assert third.members()["Sleeper/1@a1"]["pid"] == before["Sleeper/1@a1"]["pid"]
    assert not third.members()["Sleeper/1@a1"]["is_current"]

    networks.plug(2)
    wait_until(lambda: all_joined(three), PATIENCE_S, "it to be back")
    after = first.members()
    assert after["Sleeper/2@a3"]["state"] == "stopped"
    untouched = {"Sleeper/1@a1", "Sleeper/2@a1", "Sleeper/2@a2"}
    assert {name: after[name]["pid"] for name in untouched} == {name: before[name]["pid"] for name in untouched}


def test__every_host_alone__goes_on_and_they_find_each_other_again(
    three: list[HostCluster], networks: HostNetworks
) -> None:
    before = three[0].members()
    for number in range(3):
        networks.pull(number)
    for host in three:
        others = [other for other in three if other is not host]
        wait_until(lambda host=host, others=others: all(see([host], other, "lost") for other in others), PATIENCE_S)
    # A host that is stopped while it is alone stops at once.
    assert three[1].stop() == 0
    for number in range(3):
        networks.plug(number)
    three[1].launch()
    wait_until(lambda: all_joined(three), PATIENCE_S, "everybody to be back")
    after = three[0].members()
    untouched = [name for name in before if not name.endswith("@a2")]
    assert {name: after[name]["pid"] for name in untouched} == {name: before[name]["pid"] for name in untouched}


def test__way_that_is_closed_in_one_direction__is_between_these_two_alone(
    three: list[HostCluster], networks: HostNetworks
) -> None:
    first, second, third = three
    networks.block(0, 2)
    wait_until(lambda: see([first], third, "lost") and see([third], first, "lost"), PATIENCE_S, "both to know")
    assert second.states() == {"a1": "joined", "a2": "here", "a3": "joined"}
    answer = second.run("restart", "Sleeper/1@a3")
    assert (answer.returncode, answer.stdout) == (0, "restart Sleeper/1@a3: requested\n"), answer.stderr
    networks.unblock(0, 2)
    wait_until(lambda: all_joined(three), PATIENCE_S, "both to be back")


def _is_new(host: HostCluster, name: str, before: dict[str, dict[str, object]]) -> bool:
    member = host.members()[name]
    return member["state"] == "serving" and member["pid"] != before[name]["pid"]
