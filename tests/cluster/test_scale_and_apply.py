"""The number of members by hand, and the configuration by command: on a cluster that runs."""

from __future__ import annotations

import os
import signal
import subprocess

from support.cluster import QUAESTOR, Cluster
from support.terminal import terminal
from support.waiting import wait_until

JOBS = """
  - agentType: Job
    executablePath: /bin/sleep
    commandLineArguments: "{seconds}"
    processCount: 2
    probe: none
    clusterShutdownAction: Kill
"""


def jobs(cluster: Cluster) -> dict[str, int]:
    return {member["member"]: member["pid"] for member in cluster.status()["members"]}


def test__scale__holds_until_the_configuration_is_applied(cluster: Cluster) -> None:
    cluster.write(JOBS.format(seconds=100000))
    cluster.launch()
    before = jobs(cluster)
    up = cluster.run("scale", "Job", "4")
    assert (up.returncode, up.stdout) == (0, "start Job/3: serving\nstart Job/4: serving\n")
    assert "Job has 4 members until the configuration is read again" in up.stderr
    assert {name: jobs(cluster)[name] for name in before} == before
    planned = cluster.run("plan", "-c", str(cluster.directory))
    assert [line.split(":")[0] for line in planned.stdout.splitlines()] == ["stop     Job/3", "stop     Job/4"]

    # The launcher remembers it for a tree that it starts anew.
    root = cluster.actor_pid("root")
    os.kill(root, signal.SIGKILL)
    wait_until(lambda: cluster.actor_is_replaced("root", root), what="another tree")
    wait_until(lambda: len(jobs(cluster)) == 4 and all(jobs(cluster).values()), what="four members")

    unsure = cluster.run("apply")
    assert (unsure.returncode, unsure.stdout) == (2, planned.stdout)
    assert "say --yes" in unsure.stderr
    applied = cluster.run("apply", "--yes")
    assert (applied.returncode, applied.stdout) == (0, planned.stdout + "stop Job/3: gone\nstop Job/4: gone\n")
    assert jobs(cluster) == before
    again = cluster.run("apply", "--yes")
    assert (again.returncode, again.stdout) == (0, "")
    assert "nothing would change" in again.stderr


def test__scale__what_is_impossible_is_refused_and_nothing_is_done(cluster: Cluster) -> None:
    cluster.launch()
    more = cluster.run("scale", "Worker", "3")
    assert (more.returncode, more.stdout) == (2, "")
    assert "Worker has 2 ports (" in more.stderr
    assert cluster.run("scale", "Nobody", "3").returncode == 5
    assert cluster.run("scale", "LoadBalancer", "2").returncode == 2
    fewer = cluster.run("scale", "Worker", "1")
    assert (fewer.returncode, fewer.stdout) == (0, "stop Worker/2: gone\n")
    back = cluster.run("scale", "Worker", "2", "--no-wait")
    assert (back.returncode, back.stdout) == (0, "start Worker/2: requested\n")
    cluster.wait_for_member("Worker/2", "serving")
    assert "has 2 members already" in cluster.run("scale", "Worker", "2").stderr


def test__apply__reads_as_the_host_as_which_the_launcher_was_started(cluster: Cluster) -> None:
    one = "hosts: {a1: {address: 127.0.0.1}}"
    cluster.write(JOBS.format(seconds=100000), cluster_extra=one)
    with (cluster.directory / "launcher.out").open("wb") as output:
        cluster.launcher = subprocess.Popen(
            [QUAESTOR, "cluster", "-c", cluster.directory, "--host", "a1"],
            env=cluster.environment,
            stdout=output,
            stderr=output,
        )
    cluster.wait_for_output("members serve")
    assert cluster.run("apply", "--yes").returncode == 0
    # By their addresses both are this machine; it is told which one it is.
    cookie = cluster.directory / "cookie"
    cookie.write_bytes(os.urandom(32))
    cookie.chmod(0o600)
    two = "cookieFile: cookie\nhosts: {a1: {address: 127.0.0.1}, a2: {address: 127.0.0.2}}"
    cluster.write(JOBS.format(seconds=100000), cluster_extra=two)
    assert "say with --host" in cluster.run("check", "-c", str(cluster.directory)).stderr
    refused = cluster.run("apply", "--yes")
    assert (refused.returncode, "hosts and cookieFile cannot change" in refused.stderr) == (5, True), refused.stderr


def test__apply__bad_file_is_2_and_changes_nothing(cluster: Cluster) -> None:
    cluster.write(JOBS.format(seconds=100000))
    cluster.launch()
    before = jobs(cluster)
    cluster.write(JOBS.format(seconds=100000) + "    bogus: 1\n")
    refused = cluster.run("apply", "--yes")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "bogus" in refused.stderr
    assert jobs(cluster) == before


def test__apply__asks_on_a_terminal_and_takes_no_for_an_answer(cluster: Cluster) -> None:
    cluster.write(JOBS.format(seconds=100000))
    cluster.launch()
    assert cluster.run("scale", "Job", "3").returncode == 0
    with terminal(str(QUAESTOR), "apply", environment=cluster.environment) as asked:
        asked.expect(
            lambda text: "stop     Job/3: no longer configured" in text and "Go on? [y/N]" in text, "a question"
        )
        asked.type("n\n")
        assert asked.end() == 1
        assert "nothing was done" in asked.written
    assert len(jobs(cluster)) == 3
    with terminal(str(QUAESTOR), "apply", environment=cluster.environment) as asked:
        asked.expect(lambda text: "Go on? [y/N]" in text, "a question")
        asked.type("y\n")
        assert asked.end() == 0
        assert "stop Job/3: gone" in asked.written
    assert len(jobs(cluster)) == 2


def test__apply__launcher_was_killed__says_so(cluster: Cluster) -> None:
    cluster.write(JOBS.format(seconds=100000))
    cluster.launch()
    assert cluster.launcher is not None
    cluster.launcher.kill()
    cluster.launcher.wait()
    refused = cluster.run("apply", "--yes")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "was killed, and reads nothing; start it again with: quaestor cluster" in refused.stderr


def test__apply__balancer_that_runs_alone(cluster: Cluster) -> None:
    cluster.launch("load-balancer", wait_for="running")
    wait_until(lambda: cluster.run("apply", "--yes", timeout_s=60).returncode == 0, 30.0, "an answer")
    assert "nothing would change" in cluster.run("apply").stderr
