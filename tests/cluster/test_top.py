"""`quaestor top` beside a real cluster: in a terminal, with keys, and elsewhere."""

from __future__ import annotations

import json
import os
import signal

import jsonschema
from support.cluster import QUAESTOR, ROOT, Cluster
from support.terminal import terminal
from support.waiting import wait_until


def test__one_page__off_a_terminal(running: Cluster) -> None:
    answer = running.run("top")
    assert (answer.returncode, answer.stderr) == (0, "")
    head, machine, _, titles, *rows = answer.stdout.splitlines()
    assert head.startswith("cluster test: 2/2 members serving")
    assert machine.startswith("this machine: load ")
    assert titles.split() == ["MEMBER", "STATE", "SINCE", "CPU%", "MEM", "LOAD", "PID", "RESTARTS", "WHY"]
    assert {row.split()[0] for row in rows} == {"Worker/1", "Worker/2"}
    document = json.loads(running.run("top", "-o", "json").stdout)
    jsonschema.validate(document, json.loads((ROOT / "docs" / "schemas" / "top.json").read_text()))
    for member in document["members"]:
        assert member["load"] == 0.0
        assert member["cpu_percent"] >= 0.0
        assert member["memory_bytes"] > 1_000_000


def test__balancer_that_hangs__is_said_and_the_rest_is_shown(running: Cluster) -> None:
    balancer = running.actor_pid("balancer")
    os.kill(balancer, signal.SIGSTOP)
    try:
        page = running.run("top").stdout
    finally:
        os.kill(balancer, signal.SIGCONT)
    assert "balancer: does not answer, so no load is known" in page
    assert "Worker/2  serving" in page


def test__in_a_terminal__keys_and_the_end(running: Cluster) -> None:
    command = (str(QUAESTOR), "top", "-n", "0.2")
    with terminal(*command, environment=running.environment) as shown:
        shown.expect(lambda text: "by what is wrong; keys" in text and "Worker/1" in text, "the first page")
        os.kill(running.member("Worker/2")["pid"], signal.SIGKILL)
        shown.expect(lambda text: "restarted: killed by SIGKILL" in text, "what was wrong")
        shown.type("xc")
        shown.expect(lambda text: "by CPU; keys" in text, "another order")
        shown.type("q")
        assert shown.end() == 0
        # The page stays on the first screen, without the heading.
        assert "Worker/1" in shown.written.rpartition("\x1b[?1049l")[2]
        assert "keys" not in shown.written.rpartition("\x1b[?1049l")[2]
    running.wait_for_member("Worker/2", "serving")


def test__ctrl_c__leaves_the_cluster_alone(running: Cluster) -> None:
    pids = {member["pid"] for member in running.status()["members"]}
    with terminal(str(QUAESTOR), "top", environment=running.environment) as shown:
        shown.expect(lambda text: "Worker/1" in text, "the first page")
        assert shown.press_ctrl_c() == 130
        assert shown.written.endswith(shown.written.rpartition("\x1b[?1049l")[2])
    assert {member["pid"] for member in running.status()["members"]} == pids
    assert running.launcher is not None
    assert running.launcher.poll() is None


def test__cluster_that_ends__is_said_and_shown_as_it_was(running: Cluster) -> None:
    with terminal(str(QUAESTOR), "top", "-n", "0.2", environment=running.environment) as shown:
        shown.expect(lambda text: "Worker/1" in text, "the first page")
        assert running.stop() == 0
        shown.expect(lambda text: "this is how it was last" in text, "that it is gone")
        assert shown.press_ctrl_c() == 130
    wait_until(lambda: running.run("top").returncode == 4, 20.0, "no cluster")
