"""OTP's rules on real processes: who is restarted, who with whom, and when a supervisor gives up."""

from __future__ import annotations

import os
import signal

import psutil
import pytest
from support.cluster import Cluster
from support.waiting import wait_until

SLEEPS = """
  - agentType: Job
    executablePath: /bin/sleep
    commandLineArguments: "100000"
    processCount: {count}
    probe: none
    clusterShutdownAction: Kill
    {extra}
"""
SHELL = """
  - agentType: Job
    executablePath: /bin/sh
    commandLineArguments: "-c '{script}'"
    probe: none
    clusterShutdownAction: Kill
    {extra}
"""


def pids(cluster: Cluster) -> dict[str, int]:
    return {member["member"]: member["pid"] for member in cluster.status()["members"]}


@pytest.mark.parametrize(
    ("restart", "script", "ending"),
    [
        ("transient", "exit 0", "exited with code 0; not restarted, being transient"),
        ("temporary", "exit 3", "exited with code 3; not restarted, being temporary"),
    ],
)
def test__end_that_is_not_to_be_restarted__leaves_the_member_stopped(
    cluster: Cluster, restart: str, script: str, ending: str
) -> None:
    cluster.write(SHELL.format(script=script, extra=f"restart: {restart}"))
    cluster.launch(wait_for=ending)
    assert cluster.member("Job/1")["state"] == "stopped"
    assert cluster.stop() == 0


def test__transient__abnormal_end__is_restarted_and_the_reason_quotes_the_output(cluster: Cluster) -> None:
    cluster.write(SHELL.format(script="echo out of cheese >&2; exit 3", extra="restart: transient"))
    cluster.launch(wait_for="restarted: exited with code 3; last output: out of cheese")


def test__too_many_restarts__agent_gives_up_and_can_be_started_by_hand(cluster: Cluster) -> None:
    script = "test -e $QUAESTOR_RUNTIME_DIR/fixed && exec sleep 100000; exit 3"
    extra = "intensity: 2\n    periodSeconds: 60\n    backoffInitialSeconds: 0"
    cluster.write(SHELL.format(script=script, extra=extra))
    cluster.launch(wait_for="gave up")
    wait_until(lambda: "failed" in cluster.output, what="the member to be given up")
    member = cluster.member("Job/1")
    assert member["state"] == "failed"
    assert "3 restarts within 60 s (limit 2); the last: Job/1: exited with code 3" in member["reason"]
    assert "agent Job: gave up" in cluster.run("status").stdout
    (cluster.directory / "run" / "fixed").touch()
    assert cluster.run("start", "Job/1").stdout == "start Job/1: serving\n"
    started = cluster.wait_for_member("Job/1", "serving")
    assert started["reason"] == "started by hand"
    assert cluster.stop() == 0


def test__essential_agent_that_gives_up__ends_the_cluster_with_code_1(cluster: Cluster) -> None:
    other = SLEEPS.replace("Job", "Other").format(count=2, extra="")
    extra = "essential: true\n    intensity: 1\n    backoffInitialSeconds: 0"
    cluster.write(SHELL.format(script="exit 3", extra=extra) + other)
    cluster.launch(wait_for=None)
    assert cluster.wait_for_end() == 1
    assert "the essential agent Job gave up: 2 restarts within 60 s" in cluster.output
    assert not cluster.relatives()


@pytest.mark.parametrize(
    ("strategy", "replaced"), [("one_for_all", {1, 2, 3}), ("rest_for_one", {2, 3}), ("one_for_one", {2})]
)
def test__strategy__decides_who_is_restarted_with_one_that_ended(
    cluster: Cluster, strategy: str, replaced: set[int]
) -> None:
    cluster.write(SLEEPS.format(count=3, extra=f"strategy: {strategy}"))
    cluster.launch()
    before = pids(cluster)
    os.kill(before["Job/2"], signal.SIGKILL)

    def changed() -> set[int]:
        now = pids(cluster)
        new = {name for name, pid in now.items() if pid is not None and pid != before[name]}
        return {int(name[-1]) for name in new}

    wait_until(lambda: changed() == replaced, what=f"{replaced} to be replaced")
    wait_until(lambda: all(m["state"] == "serving" for m in cluster.status()["members"]), what="all to serve")
    assert changed() == replaced


def test__work_done_by_a_significant_agent__ends_the_cluster_with_code_0(cluster: Cluster) -> None:
    work = SHELL.format(
        script="exit 0", extra="restart: transient\n    autoShutdown: all_significant\n    significant: true"
    )
    cluster.write(
        work + SLEEPS.replace("Job", "Other").format(count=1, extra=""), cluster_extra="autoShutdown: any_significant"
    )
    cluster.launch(wait_for=None)
    assert cluster.wait_for_end() == 0
    assert "auto shutdown: agent Job is done (Job/1 exited with code 0)" in cluster.output
    assert not cluster.relatives()


def test__agent_that_gives_up__is_started_afresh_with_those_after_it(cluster: Cluster) -> None:
    script = "test -e $QUAESTOR_RUNTIME_DIR/crash || exec sleep 100000; rm $QUAESTOR_RUNTIME_DIR/crash; exit 3"
    agents = (
        SLEEPS.replace("Job", "Before").format(count=1, extra="")
        + SHELL.format(script=script, extra="intensity: 0")
        + SLEEPS.replace("Job", "After").format(count=1, extra="")
    )
    cluster.write(agents, cluster_extra="strategy: rest_for_one\nintensity: 5")
    cluster.launch()
    before = pids(cluster)
    os.kill(before["Job/1"], signal.SIGKILL)
    cluster.wait_for_output("agent Job gave up and is started afresh")
    wait_until(lambda: pids(cluster)["After/1"] not in {None, before["After/1"]}, what="the later agent to restart")
    after = cluster.wait_for_member("Job/1", "serving")
    assert after["pid"] != before["Job/1"]
    assert pids(cluster)["Before/1"] == before["Before/1"]


def test__stop_and_restart_by_hand__touch_only_whom_they_name(cluster: Cluster) -> None:
    cluster.write(SLEEPS.format(count=2, extra=""))
    cluster.launch()
    before = pids(cluster)
    assert cluster.run("stop", "Job/1").returncode == 0
    cluster.wait_for_member("Job/1", "stopped")
    assert not psutil.pid_exists(before["Job/1"])
    assert cluster.run("restart", "Job").returncode == 0
    cluster.wait_for_member("Job/1", "serving")
    wait_until(lambda: pids(cluster)["Job/2"] not in {None, before["Job/2"]}, what="the restart")
    refused = cluster.run("restart", "Job/9")
    assert refused.returncode == 5
    assert "has no member 'Job/9'; nothing was done" in refused.stderr


def test__crash_loop__backs_off(cluster: Cluster) -> None:
    cluster.write(SHELL.format(script="exit 3", extra="backoffInitialSeconds: 0.05\n    backoffJitter: 0"))
    cluster.launch(wait_for="failure 4 in a row, next try after 0.2 s")
    assert "failure 2 in a row, next try after 0.05 s" in cluster.output
    assert "failure 3 in a row, next try after 0.1 s" in cluster.output


def test__failed_starts__reach_the_limit__member_is_given_up_alone(cluster: Cluster) -> None:
    cluster.write(
        """
  - agentType: Job
    executablePath: /bin/false
    probe: tcp
    backoffInitialSeconds: 0.01
    clusterShutdownAction: Kill
"""
        + SLEEPS.replace("Job", "Other").format(count=1, extra=""),
        cluster_extra="memberMaxStartupRetries: 3",
    )
    cluster.launch(wait_for="given up after 3 failed starts in a row; the last: exited with code 1")
    assert cluster.member("Other/1")["state"] == "serving"
