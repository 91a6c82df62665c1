"""`events`, `explain`, `logs` and `wait` beside a real cluster whose processes are killed, and after its end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import jsonschema
import psutil
import pytest
from support.cluster import QUAESTOR, ROOT, Cluster, make_cluster
from support.terminal import terminal
from support.waiting import wait_until

DEADLINE_S = 20.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = make_cluster(tmp_path)
    try:
        yield cluster
    finally:
        cluster.clean_up()


@contextmanager
def following(cluster: Cluster, *arguments: str) -> Iterator[Path]:
    """Run a command that follows something, with its output in a file, until the block ends."""
    path = cluster.directory / f"{arguments[0]}.out"
    with path.open("wb") as output:
        process = subprocess.Popen([QUAESTOR, *arguments], env=cluster.environment, stdout=output, stderr=output)
    try:
        yield path
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 130
    finally:
        process.kill()
        process.wait()


def wait_for(path: Path, pattern: str) -> None:
    wait_until(lambda: re.search(pattern, path.read_text()), DEADLINE_S, f"{pattern} in {path.name}")


def told(cluster: Cluster, *arguments: str) -> list[tuple[str, str, str]]:
    """Return who is in which state, and why, as `quaestor events` says."""
    answer = cluster.run("events", "-o", "json", "--lines", "1000", *arguments)
    assert (answer.returncode, answer.stderr) == (0, "")
    document = json.loads(answer.stdout)
    jsonschema.validate(document, json.loads((ROOT / "docs" / "schemas" / "events.json").read_text()))
    return [(event["subject"], event["after"], event["reason"]) for event in document["events"]]


def test__story_of_kills__is_told_by_every_verb_and_survives_them(cluster: Cluster) -> None:
    cluster.launch()
    assert cluster.run("wait", "--timeout", "20").returncode == 0
    with (
        following(cluster, "events", "-f", "Worker/1") as seen,
        following(cluster, "logs", "-f", "Worker/1") as written,
    ):
        wait_for(seen, "-> serving")
        wait_for(written, "serves on")
        former = cluster.member("Worker/1")["pid"]
        os.kill(former, signal.SIGKILL)
        wait_for(seen, r"starting -> serving +restarted: killed by SIGKILL")
        wait_until(lambda: cluster.member("Worker/1")["pid"] not in {None, former}, DEADLINE_S)
        again = cluster.wait_for_member("Worker/1", "serving")["pid"]
        wait_for(written, f"pid {again}")

    explained = cluster.run("explain", "Worker/1").stdout
    assert explained.startswith("Worker/1: serving for ")
    for part in ("restarted: killed by SIGKILL", f"pid {again}", "unexpected ends in a row: 1", f"pid {former}\n"):
        assert part in explained
    document = json.loads(cluster.run("explain", "Worker/1", "-o", "json").stdout)
    jsonschema.validate(document, json.loads((ROOT / "docs" / "schemas" / "explain.json").read_text()))
    created = psutil.Process(again).create_time()
    assert datetime.fromisoformat(document["process_started"]).timestamp() == pytest.approx(created, abs=1.0)
    assert "2/2 members serving" in cluster.run("explain", "Worker").stdout
    unknown = cluster.run("explain", "Nobody")
    assert (unknown.returncode, "there are: Worker, Worker/1, Worker/2" in unknown.stderr) == (5, True)

    members = told(cluster, "Worker/1")
    supervisor = cluster.actor_pid("agent/Worker")
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: cluster.actor_is_replaced("agent/Worker", supervisor), DEADLINE_S)
    assert told(cluster, "Worker/1") == members
    assert ("agent/Worker", "running", "restarted: its process ended unexpectedly") in told(cluster)

    root = cluster.actor_pid("root")
    os.kill(root, signal.SIGKILL)
    wait_until(lambda: cluster.actor_is_replaced("root", root), DEADLINE_S)
    wait_until(lambda: cluster.run("wait", "--timeout", "5").returncode == 0, DEADLINE_S)
    assert told(cluster, "Worker/1") == members
    assert [each[1] for each in told(cluster, "test")] == ["running", "running"]

    cluster.clean_up()
    assert told(cluster, "--since", "1h", "test")[-1][1:] == ("stopped", "every actor has stopped")
    assert told(cluster, "Worker/1")[-1][1] == "stopped"
    assert f"pid {again}\n" in cluster.run("logs", "Worker/1").stdout
    assert cluster.run("wait", "--timeout", "0").returncode == 4


def test__wait__is_there_before_the_cluster(cluster: Cluster) -> None:
    with terminal(str(QUAESTOR), "wait", "Worker", environment=cluster.environment) as waiting:
        waiting.expect(lambda text: "waiting for the cluster: away: no cluster is running" in text, "what it waits for")
        cluster.launch()
        assert waiting.end() == 0


def test__wait__says_who_holds_it_up(cluster: Cluster) -> None:
    cluster.launch()
    assert cluster.run("stop", "Worker/2").returncode == 0
    assert cluster.run("wait", "--stopped", "Worker/2", "--timeout", "20").returncode == 0
    late = cluster.run("wait", "Worker", "--timeout", "0.2")
    assert (late.returncode, late.stdout) == (124, "")
    assert "\n  Worker/2: stopped: stopped by hand" in late.stderr
    assert "Worker/1" not in late.stderr
    assert cluster.run("wait", "Worker/9").returncode == 5
    with terminal(str(QUAESTOR), "wait", "Worker", environment=cluster.environment) as waiting:
        waiting.expect(lambda text: "waiting for Worker/2: stopped: stopped by hand" in text, "who holds it up")
        assert cluster.run("start", "Worker/2").returncode == 0
        assert waiting.end() == 0
