"""Floating agents on three hosts with a real etcd: where they run, and what becomes of them when a host is lost."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from support.cluster import WORKER
from support.discovery import discovery
from support.etcd import EtcdCluster, run_etcd
from support.floating_hosts import NAMES, Host, Hosts, boot_now, overlap_s, run_hosts
from support.namespaces import why_not
from support.waiting import wait_until

TTL_S = 4
"""Long enough for hosts that are well to keep it, on a machine that is very busy."""
START_S = 5.0
"""Until a member executes: a Python on a machine that is very busy."""
LONG_TTL_S = 30
"""Nobody waits for the end of such a lease."""
KILL_S = 2.0
"""Until a process is dead that is killed at once, on a machine that is very busy."""
ONE = "Witness/1"
NO_NAMESPACES = why_not()


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """Yield an etcd of one node."""
    with run_etcd(tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster


def wait_hosts(hosts: Hosts, *names: str) -> None:
    """Wait until etcd says that these hosts are there, and no others."""
    wait_until(lambda: hosts.keys("hosts/").keys() == set(names), 60, f"{names} to be there")


def moved(hosts: Hosts, member: str, former: str, within_s: float) -> str:
    """Wait until a member executes on another host, and return on which."""
    others = [name for name in hosts.by_name if name != former]
    return hosts.wait_running(member, timeout_s=within_s, on=others)[member]


def pids(hosts: Hosts) -> dict[str, int]:
    """Return the processes that execute now, by member."""
    executing = hosts.executing()
    return {each.member: each.pid for each in hosts.testimonies() if each.host in executing.get(each.member, ())}


def test__three_hosts__run_each_copy_once__and_one_coordinates(tmp_path: Path, etcd: EtcdCluster) -> None:
    with run_hosts(tmp_path, etcd, floating="{count: 3}") as hosts:
        hosts.wait_running(ONE, "Witness/2", "Witness/3")
        wait_hosts(hosts, *NAMES)
        assert hosts.coordinator() in NAMES
        assert overlap_s(hosts.testimonies()) == 0.0
        for name in NAMES:
            view = hosts[name].status()["coordination"]
            assert (view["host"], view["trouble"]) == (name, "")


def test__host_that_stops_in_order__is_followed_at_once(tmp_path: Path, etcd: EtcdCluster) -> None:
    with run_hosts(tmp_path, etcd, names=("a1", "a2"), ttl_s=LONG_TTL_S) as hosts:
        wait_hosts(hosts, "a1", "a2")
        first = hosts.wait_running(ONE)[ONE]
        assert hosts[first].stop() == 0
        last = moved(hosts, ONE, first, START_S)
        assert hosts.keys("hosts/").keys() == {last}
        assert not hosts[first].everything()
        assert hosts[last].stop() == 0
        assert hosts.keys("") == {f"slots/{ONE}": last}
        assert not hosts[last].everything()
        before, after = hosts.testimonies(ONE)
        assert before.last < after.began
        assert before.token < after.token


def let_pass(seconds: float) -> None:
    """Wait for nothing to happen."""
    until = boot_now() + seconds
    wait_until(lambda: boot_now() > until, seconds + 60, "time to pass")


def power_off(host: Host) -> None:
    host.kill_all()


def lose_tree(host: Host) -> None:
    host.kill_tree()


def cut_off(host: Host) -> None:
    assert host.proxy is not None
    host.proxy.cut()


@pytest.mark.parametrize("lose", [power_off, lose_tree, cut_off])
def test__host_that_is_lost__its_copy_has_ended_before_another_host_starts_it(
    tmp_path: Path, etcd: EtcdCluster, record_property: Callable[[str, object], None], lose: Callable[[Host], None]
) -> None:
    with run_hosts(tmp_path, etcd, ttl_s=TTL_S) as hosts:
        wait_hosts(hosts, *NAMES)
        first = hosts.wait_running(ONE)[ONE]
        lost_at = boot_now()
        lose(hosts[first])
        moved(hosts, ONE, first, TTL_S + START_S + 1.0)
        before, after = hosts.testimonies(ONE)
        assert before.last < after.began
        assert before.token < after.token
        gap = f"ran {before.last - lost_at:.2f} s longer, and elsewhere after {after.began - lost_at:.2f} s"
        record_property("figures", f"{lose.__name__}, lease {TTL_S} s: {gap}")
        # Whoever is left there alone does not stay for ever.
        if lose is not cut_off:
            wait_until(lambda: not hosts[first].everything(), 60, "the warden to end")


@pytest.mark.skipif(bool(NO_NAMESPACES), reason=NO_NAMESPACES)
def test__host_whose_cable_is_pulled_out__its_copy_has_ended_before_another_host_starts_it(
    tmp_path: Path, etcd: EtcdCluster, record_property: Callable[[str, object], None]
) -> None:
    with run_hosts(tmp_path, etcd, ttl_s=TTL_S, with_namespaces=True) as hosts:
        wait_hosts(hosts, *NAMES)
        first = hosts.wait_running(ONE)[ONE]
        cable = hosts[first].namespace
        assert cable is not None
        lost_at = boot_now()
        cable.cut()
        second = moved(hosts, ONE, first, TTL_S + START_S + 1.0)
        before, after = hosts.testimonies(ONE)
        assert before.last < after.began
        gap = f"ran {before.last - lost_at:.2f} s longer, and elsewhere after {after.began - lost_at:.2f} s"
        record_property("figures", f"cable pulled out, lease {TTL_S} s: {gap}")
        cable.heal()
        wait_hosts(hosts, *NAMES)
        let_pass(2 * TTL_S)
        assert hosts.executing() == {ONE: [second]}
        assert len(hosts.testimonies()) == 2


def test__coordinator_actor_that_hangs__neither_it_nor_a_supervisor_keeps_a_copy_alive(
    tmp_path: Path, etcd: EtcdCluster
) -> None:
    with run_hosts(tmp_path, etcd, ttl_s=TTL_S) as hosts:
        wait_hosts(hosts, *NAMES)
        first = hosts.wait_running(ONE)[ONE]
        hung = psutil.Process(hosts[first].actor_pid("coordinator"))
        hung.suspend()
        second = moved(hosts, ONE, first, TTL_S + START_S + 1.0)
        let_pass(TTL_S)
        assert hosts.executing() == {ONE: [second]}
        assert overlap_s(hosts.testimonies()) == 0.0
        hung.resume()
        wait_hosts(hosts, *NAMES)
        let_pass(2 * TTL_S)
        assert hosts.executing() == {ONE: [second]}
        assert len(hosts.testimonies()) == 2


def test__host_that_was_cut_off_and_returns__nothing_flaps(tmp_path: Path, etcd: EtcdCluster) -> None:
    with run_hosts(tmp_path, etcd, ttl_s=TTL_S) as hosts:
        wait_hosts(hosts, *NAMES)
        first = hosts.wait_running(ONE)[ONE]
        cut = hosts[first].proxy
        assert cut is not None
        cut.cut()
        moved(hosts, ONE, first, TTL_S + START_S + 1.0)
        coordinator = wait_until(hosts.coordinator, 10, "a coordinator")
        running = pids(hosts)
        cut.heal()
        wait_hosts(hosts, *NAMES)
        let_pass(2 * TTL_S)
        assert (pids(hosts), hosts.coordinator()) == (running, coordinator)
        assert len(hosts.testimonies()) == 2


def test__paused_host__runs_its_copy_no_longer_than_a_kill_takes_when_it_goes_on(
    tmp_path: Path, etcd: EtcdCluster, record_property: Callable[[str, object], None]
) -> None:
    with run_hosts(tmp_path, etcd, ttl_s=TTL_S) as hosts:
        wait_hosts(hosts, *NAMES)
        first = hosts.wait_running(ONE)[ONE]
        paused = hosts[first].pause()
        moved(hosts, ONE, first, TTL_S + START_S + 1.0)
        before, after = hosts.testimonies(ONE)
        assert before.last < after.began
        resumed_at = boot_now()
        for process in reversed(paused):
            process.resume()
        wait_until(lambda: not psutil.pid_exists(before.pid), 60, "the copy that is out of date to end")
        last = hosts.testimonies(ONE)[0].last
        assert last - resumed_at < KILL_S
        record_property("figures", f"paused, lease {TTL_S} s: two copies executed for {last - resumed_at:.3f} s")
        wait_hosts(hosts, *NAMES)
        assert pids(hosts) == {ONE: after.pid}


def test__lost_coordinator__another_one_takes_over_and_nothing_moves(
    tmp_path: Path, etcd: EtcdCluster, record_property: Callable[[str, object], None]
) -> None:
    with run_hosts(tmp_path, etcd, ttl_s=TTL_S, floating="{count: 2}") as hosts:
        hosts.wait_running(ONE, "Witness/2")
        wait_hosts(hosts, *NAMES)
        lost = hosts.coordinator()
        elsewhere = {each.member: each.pid for each in hosts.testimonies() if each.host != lost}
        lost_at = boot_now()
        hosts[lost].kill_all()
        wait_until(lambda: hosts.coordinator() not in {lost, ""}, TTL_S + 1.0 + START_S, "another coordinator")
        record_property("figures", f"coordinator lost, lease {TTL_S} s: another after {boot_now() - lost_at:.2f} s")
        hosts.wait_running(ONE, "Witness/2", timeout_s=TTL_S + START_S + 1.0, on=[n for n in NAMES if n != lost])
        assert elsewhere.items() <= pids(hosts).items()


def test__floating_service__is_found_on_the_host_that_took_over(tmp_path: Path, etcd: EtcdCluster) -> None:
    started = f"executablePath: {WORKER}, commandLineArguments: 'Worker {{Port}}', hostName: localhost"
    worker = f"- {{agentType: Worker, {started}, serviceNames: [Worker], floating: {{}}}}"
    more = worker, "- {agentType: LoadBalancer, hostName: 127.0.0.1, ports: [BALANCER_PORT]}"
    with run_hosts(tmp_path, etcd, names=("a1", "a2"), ttl_s=TTL_S, more_agents=more) as hosts, ExitStack() as stack:
        ports = {name: host.balancer_port for name, host in hosts.by_name.items()}
        clients = {name: stack.enter_context(discovery(port)) for name, port in ports.items()}
        wait_hosts(hosts, "a1", "a2")
        found = [wait_until(client.all_or_nothing, 60, "the service") for client in clients.values()]
        assert found[0] == found[1]
        first = wait_until(lambda: hosts.keys("claims/").get("Worker/1"), 60, "a claim")
        (second,) = {"a1", "a2"} - {first}
        hosts[first].kill_all()
        client = clients[second]
        wait_until(
            lambda: client.all_or_nothing() not in ([], found[0]), TTL_S + START_S + 1.0, "the service elsewhere"
        )
        assert len(client.all()) == 1


def test__lost_actors__nobody_notices(tmp_path: Path, etcd: EtcdCluster) -> None:
    with run_hosts(tmp_path, etcd, names=("a1",), ttl_s=LONG_TTL_S) as hosts:
        hosts.wait_running(ONE)
        running, host = pids(hosts), hosts["a1"]
        for name in ("coordinator", "agent/Witness", "root"):
            former = host.actor_pid(name)
            psutil.Process(former).kill()
            wait_until(lambda name=name, former=former: host.actor_is_replaced(name, former), 60, f"another {name}")
        wait_until(host.wardens, 60, "the warden")[0].kill()
        let_pass(2.0)
        assert pids(hosts) == running
        assert len(wait_until(host.wardens, 60, "another warden")) == 1


def test__copy_that_ends__is_started_again_where_it_was(tmp_path: Path, etcd: EtcdCluster) -> None:
    with run_hosts(tmp_path, etcd, names=("a1", "a2"), ttl_s=LONG_TTL_S) as hosts:
        hosts.wait_running(ONE)
        first = hosts.testimonies(ONE)[0]
        psutil.Process(first.pid).kill()
        wait_until(lambda: len(hosts.testimonies(ONE)) == 2, 60, "another process")
        second = hosts.testimonies(ONE)[1]
        assert (second.host, second.token) == (first.host, first.token)


def test__changed_count__takes_effect_and_nothing_that_stays_moves(tmp_path: Path, etcd: EtcdCluster) -> None:
    with run_hosts(tmp_path, etcd, names=("a1", "a2"), ttl_s=LONG_TTL_S, floating="{count: 2}") as hosts:
        hosts.wait_running(ONE, "Witness/2")
        before = pids(hosts)
        _scale(hosts, 4)
        hosts.wait_running(*(f"Witness/{number}" for number in range(1, 5)))
        _scale(hosts, 1)
        hosts.wait_running(ONE)
        assert pids(hosts) == {ONE: before[ONE]}
        wait_until(lambda: hosts.keys("slots/").keys() == hosts.keys("claims/").keys() == {ONE}, 60, "the keys to go")


def _scale(hosts: Hosts, count: int) -> None:
    for host in hosts.by_name.values():
        host.floating = f"{{count: {count}}}"
        host.configure_floating()
        assert host.launcher is not None
        host.launcher.send_signal(signal.SIGHUP)


def test__store_that_is_away_for_long__ends_what_floats_until_it_is_back(tmp_path: Path, etcd: EtcdCluster) -> None:
    with run_hosts(tmp_path, etcd, names=("a1", "a2"), ttl_s=TTL_S) as hosts:
        hosts.wait_running(ONE)
        for host in hosts.by_name.values():
            cut_off(host)
        wait_until(lambda: not hosts.executing(), 60, "everything to end")
        for host in hosts.by_name.values():
            assert host.proxy is not None
            host.proxy.heal()
        hosts.wait_running(ONE)
        assert overlap_s(hosts.testimonies()) == 0.0
