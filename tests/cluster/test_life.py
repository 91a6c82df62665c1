"""What the cluster does when members and actors end, fall ill or are told to stop."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest
from support.cluster import Cluster
from support.discovery import discovery
from support.ports import free_port
from support.processes import is_alive
from support.waiting import wait_until


def test__killed_worker__is_replaced_and_not_handed_out_meanwhile(running: Cluster) -> None:
    with discovery(running.balancer_port) as client:
        victim = running.member("Worker/1")
        wait_until(lambda: len(client.all()) == 2, what="both locations")
        os.kill(victim["pid"], signal.SIGKILL)
        wait_until(lambda: victim["port"] not in client.all(), timeout_s=2, what="the dead worker to be left out")
        # From here on it may come back only when its replacement serves.
        wait_until(lambda: victim["port"] in client.all(), what="the replacement to be handed out")
    replacement = running.member("Worker/1")
    assert replacement["state"] == "serving"
    assert replacement["pid"] != victim["pid"]
    assert replacement["restarts"] == 1
    assert "Worker/1     starting     restarted: killed by SIGKILL" in running.output


def test__worker_that_turns_not_serving__is_restarted(running: Cluster) -> None:
    victim = running.member("Worker/2")
    os.kill(victim["pid"], signal.SIGUSR1)
    running.wait_for_output("NOT_SERVING; exited with code 0")
    replaced = wait_until(
        lambda: (member := running.member("Worker/2"))["state"] == "serving" and member, what="the replacement"
    )
    assert replaced["pid"] != victim["pid"]


def test__hung_worker__is_left_out_and_replaced(cluster: Cluster) -> None:
    cluster.configure(
        cluster_extra="  heartBeatIntervalSeconds: 0.5\n  memberResponseTimeOutSeconds: 0.5\n"
        "  memberMaxShutdownTimeSeconds: 0.5\n"
    )
    cluster.launch()
    victim = cluster.member("Worker/1")
    os.kill(victim["pid"], signal.SIGSTOP)
    cluster.wait_for_output("killed by SIGKILL")
    wait_until(lambda: cluster.member("Worker/1")["state"] == "serving", what="the replacement")


@pytest.mark.parametrize("actor", ["registry", "agent/Worker", "agent/Worker/prober", "balancer", "root"])
def test__killed_actor__is_replaced_and_no_member_notices(running: Cluster, actor: str) -> None:
    before = {member["member"]: member["pid"] for member in running.status()["members"]}
    victim = running.actor_pid(actor)
    os.kill(victim, signal.SIGKILL)

    def is_whole_again() -> bool:
        actors = (running.status_or_none() or {"actors": []})["actors"]
        return len(actors) == 5 and all(
            each["state"] == "running" and each["pid"] != (victim if each["name"] == actor else 0) for each in actors
        )

    wait_until(is_whole_again, timeout_s=15, what="the tree to be whole again")
    assert {member["member"]: member["pid"] for member in running.status()["members"]} == before
    with discovery(running.balancer_port) as client:
        wait_until(lambda: client.all() == sorted(running.worker_ports), what="both locations")


@pytest.mark.parametrize("actor", ["registry", "agent/Worker", "agent/Worker/prober"])
def test__killed_actor_off_the_answers_way__clients_notice_nothing(running: Cluster, actor: str) -> None:
    everything = sorted(running.worker_ports)
    with discovery(running.balancer_port) as client:
        wait_until(lambda: client.all() == everything, what="both locations")
        victim = running.actor_pid(actor)
        os.kill(victim, signal.SIGKILL)
        # Every answer until long after the successor has told what it has.
        wait_until(lambda: client.all() != everything or running.actor_is_replaced(actor, victim), what="the successor")
        for _ in range(200):
            assert client.all() == everything


@pytest.mark.parametrize("actor", ["balancer", "root"])
def test__killed_actor_on_the_answers_way__the_first_answer_after_it_is_right(running: Cluster, actor: str) -> None:
    everything = sorted(running.worker_ports)
    with discovery(running.balancer_port) as client:
        wait_until(lambda: client.all() == everything, what="both locations")
        os.kill(running.actor_pid(actor), signal.SIGKILL)
        wait_until(lambda: client.all_or_nothing() == [], what="the balancer to be gone")
        assert wait_until(client.all_or_nothing, what="an answer") == everything


def test__killed_actor_system__is_replaced_and_no_member_notices(running: Cluster) -> None:
    before = {member["member"]: member["pid"] for member in running.status()["members"]}
    admin = int(next((running.directory / "run").glob("*/admin.pid")).read_text().split()[0])
    os.kill(admin, signal.SIGKILL)
    running.wait_for_output("the actor system ended unexpectedly")
    wait_until(lambda: running.run("status").returncode == 0, what="the tree to answer")
    assert {member["member"]: member["pid"] for member in running.status()["members"]} == before


def test__logger_killed_again_and_again_while_it_starts__the_actor_system_goes_on(running: Cluster) -> None:
    admin = psutil.Process(int(next((running.directory / "run").glob("*/admin.pid")).read_text().split()[0]))
    root = running.actor_pid("root")

    def logger() -> psutil.Process | None:
        return next((child for child in admin.children() if child.pid != root and is_alive(child)), None)

    for _ in range(5):
        wait_until(logger, what="a logger").kill()
    assert running.run("status").returncode == 0
    os.kill(running.actor_pid("registry"), signal.SIGKILL)
    wait_until(lambda: running.actor_is_replaced("registry", 0), what="the registry")
    assert running.actor_pid("root") == root


def test__killed_launcher__tree_runs_on_and_the_next_one_takes_over(running: Cluster) -> None:
    assert running.launcher is not None
    left = running.processes()
    before = {member["member"]: member["pid"] for member in running.status()["members"]}
    running.launcher.kill()
    running.launcher.wait()
    assert {member["member"]: member["pid"] for member in running.status()["members"]} == before
    assert "its launcher was killed; everything runs on" in running.run("status").stdout
    running.launch()
    assert "taking over from a launcher that was killed" in running.output
    assert {member["member"]: member["pid"] for member in running.status()["members"]} == before
    assert running.stop() == 0
    _, alive = psutil.wait_procs(left, timeout=5)
    assert not alive


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test__stop__leaves_no_process_and_no_port(running: Cluster, number: signal.Signals) -> None:
    processes = running.processes()
    assert len(processes) > 7
    assert running.stop(number, timeout_s=5) == 0
    _, alive = psutil.wait_procs(processes, timeout=1)
    assert not alive
    listening = {each.laddr.port for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN}
    assert not listening & {*running.worker_ports, running.balancer_port}
    assert running.run("status").returncode == 4


def test__stop__members_that_stay__are_adopted_by_the_next_start(cluster: Cluster) -> None:
    cluster.configure(shutdown_action="None")
    cluster.launch()
    before = {member["member"]: member["pid"] for member in cluster.status()["members"]}
    assert cluster.stop() == 0
    assert all(psutil.pid_exists(pid) for pid in before.values())
    cluster.launch()
    assert {member["member"]: member["pid"] for member in cluster.status()["members"]} == before


def test__second_launch__is_refused_and_changes_nothing(running: Cluster) -> None:
    before = running.status()["members"]
    again = running.run("cluster", "-c", str(running.directory))
    assert again.returncode == 5
    assert "is running already (launcher pid " in again.stderr
    assert [member["pid"] for member in running.status()["members"]] == [member["pid"] for member in before]


def test__balancer_port_taken__is_refused_with_the_holders_name(running: Cluster, tmp_path: Path) -> None:
    other = Cluster(
        directory=tmp_path / "other", worker_ports=(free_port(),), balancer_port=running.balancer_port, name="other"
    )
    other.directory.mkdir()
    other.configure()
    refused = other.run("cluster", "-c", str(other.directory))
    assert refused.returncode == 5
    assert f"port {running.balancer_port} is taken by pid " in refused.stderr


def test__load_balancer_alone__balances_what_somebody_else_runs(running: Cluster, tmp_path: Path) -> None:
    alone = Cluster(
        directory=tmp_path / "alone",
        worker_ports=running.worker_ports,
        balancer_port=free_port(),
        name="alone",
    )
    alone.directory.mkdir()
    alone.configure_balancer()
    try:
        alone.launch("load-balancer", wait_for="handed out to clients")
        with discovery(alone.balancer_port) as client:
            wait_until(lambda: client.all() == sorted(running.worker_ports), what="both locations")
            assert client.top() != client.top()
        assert alone.stop() == 0
    finally:
        alone.clean_up()
    assert running.member("Worker/1")["restarts"] == 0
