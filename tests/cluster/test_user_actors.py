"""Actors of users in a real cluster on one machine: asked from outside, killed, crashed, changed and given up."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.cluster import ROOT, Cluster
from support.waiting import wait_until

from quaestor_actors.adapters import runtime_directory
from quaestor_actors.errors import ActorFailedError, MessageError, NoAnswerError, NoSuchActorError, NotRunningError
from quaestor_actors.remote import RemoteCluster, connect

PATIENCE_S = 60.0
PATH = os.pathsep.join(filter(None, (str(ROOT / "tests"), os.environ.get("PYTHONPATH"))))
"""Where the classes are that the cluster runs."""


def write(cluster: Cluster, *lines: str) -> None:
    """Write a configuration with these actors, and no agents."""
    of_actors = "".join(f"    {line}\n" for line in lines)
    replacement = cluster.directory / "new.yml"
    replacement.write_text(f"clusterConfig:\n  name: test\n  actors:\n{of_actors}agents: []\n")
    replacement.rename(cluster.directory / "quaestor.cluster.config.yml")


ECHO = "Echo: {class: 'support.user_actors:Echo'}"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    made = Cluster(directory=tmp_path, worker_ports=(), balancer_port=0, environment_extra={"PYTHONPATH": PATH})
    monkeypatch.setenv("QUAESTOR_RUNTIME_DIR", made.environment["QUAESTOR_RUNTIME_DIR"])
    try:
        yield made
    finally:
        made.clean_up()


def launch(cluster: Cluster, *lines: str) -> None:
    """Start a cluster of these actors, and wait until it can be asked."""
    write(cluster, *lines)
    cluster.launch(wait_for=None)
    wait_until(lambda: cluster.status_or_none() is not None, PATIENCE_S, "the cluster to answer")


def shown(cluster: Cluster, name: str = "Echo") -> dict[str, Any]:
    document = cluster.status_or_none() or {"actors": []}
    return next((each for each in document["actors"] if each["name"] == f"actor/{name}"), {"state": ""})


def ask(message: object, name: str = "Echo", *, timeout_s: float = PATIENCE_S) -> Any:
    with connect("test") as opened:
        return opened.ask(name, message, timeout_s=timeout_s)


def test__asked__answers_from_a_process_of_its_own(cluster: Cluster) -> None:
    launch(cluster, ECHO)
    with connect() as opened:
        name, greeting, message, pid = opened.ask("Echo", {"a": [1]}, timeout_s=PATIENCE_S)
        assert (name, greeting, message) == ("Echo", "hello", {"a": [1]})
        assert pid == cluster.actor_pid("actor/Echo")
        opened.tell("Echo", ("say", 5), timeout_s=PATIENCE_S)
        assert opened.ask("Echo", "seen", timeout_s=PATIENCE_S) == (("", 5),)
        large = b"x" * 3_000_000
        assert opened.ask("Echo", large, timeout_s=PATIENCE_S)[2] == large
        with pytest.raises(MessageError, match="over the limit of 4000000"):
            opened.ask("Echo", b"x" * 4_000_001)
        with pytest.raises(MessageError, match="a lock cannot be pickled: TypeError"):
            opened.ask("Echo", threading.Lock())
        with pytest.raises(NoSuchActorError, match=r"^Ehco: there is no actor Ehco; there are: Echo$"):
            opened.ask("Ehco", 1, timeout_s=PATIENCE_S)
        with pytest.raises(NoSuchActorError, match=r"^Echo@a3: there is no host a3; the cluster is on one machine$"):
            opened.tell("Echo@a3", 1, timeout_s=PATIENCE_S)
        with pytest.raises(NoAnswerError, match=r"^Echo: no answer within 0\.5 s$"):
            opened.ask("Echo", "silence", timeout_s=0.5)


def test__class_of_the_client_s_own_program__is_refused_and_harms_nobody(cluster: Cluster) -> None:
    launch(cluster, ECHO)
    before = cluster.actor_pid("actor/Echo")
    program = (
        "from quaestor_actors.remote import connect\nclass Own: ...\n"
        f"with connect('test') as opened: opened.ask('Echo', Own(), timeout_s={PATIENCE_S})"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env=cluster.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    last = answer.stderr.strip().splitlines()[-1]
    assert last.startswith("quaestor_actors.errors.ActorFailedError: Echo: a message cannot be read (AttributeError: ")
    assert last.endswith("its class must be importable, under the same name, by whoever gets it")
    assert cluster.actor_pid("actor/Echo") == before


def test__crash__is_told_written_down_explained_and_made_good(cluster: Cluster) -> None:
    launch(cluster, ECHO)
    before = cluster.actor_pid("actor/Echo")
    with connect() as opened:
        with pytest.raises(
            ActorFailedError, match=r"^Echo: Echo crashed: ValueError: too hot \(in receive, .*py:\d+\)$"
        ):
            opened.ask("Echo", "crash", timeout_s=PATIENCE_S)
        # Whoever asks next is answered by the successor, however soon that is.
        assert opened.ask("Echo", "hi", timeout_s=PATIENCE_S)[3] != before
    wait_until(lambda: shown(cluster)["state"] == "running", PATIENCE_S, "it to be back")
    assert "restarted: ValueError: too hot" in shown(cluster)["reason"]
    told = json.loads(cluster.run("events", "Echo", "-o", "json").stdout)["events"]
    assert [event["after"] for event in told] == ["crashed", "starting", "running"]
    explained = cluster.run("explain", "Echo")
    assert re.search(r"^actor Echo: running for .*\n  why +restarted: ValueError: too hot", explained.stdout)
    document = json.loads(cluster.run("explain", "Echo", "-o", "json").stdout)
    jsonschema.validate(document, json.loads((ROOT / "docs" / "schemas" / "explain.json").read_text()))
    assert (document["subject"], document["agent"]) == ("actor/Echo", None)
    assert document["supervisor"]["restarts"] == 1
    assert cluster.run("explain", "Nobody").returncode == 5
    assert "└─ actor/Echo  running" in cluster.run("tree").stdout


@pytest.mark.parametrize("how", ["killed", "exits"])
def test__process_gone__another_one_answers(cluster: Cluster, how: str) -> None:
    launch(cluster, ECHO)
    before = cluster.actor_pid("actor/Echo")
    with connect() as opened:
        if how == "killed":
            os.kill(before, signal.SIGKILL)
        else:
            with pytest.raises(NoAnswerError, match=r"^Echo: it was replaced while it was asked$"):
                opened.ask("Echo", "exit", timeout_s=PATIENCE_S)
        assert opened.ask("Echo", "hi", timeout_s=PATIENCE_S)[3] != before
    assert shown(cluster)["reason"] == "restarted: its process ended unexpectedly"


def test__tree_is_lost__the_same_connection_finds_the_next_one(cluster: Cluster) -> None:
    launch(cluster, ECHO)
    with connect() as opened:
        before = opened.ask("Echo", "hi", timeout_s=PATIENCE_S)[3]
        os.kill(cluster.actor_pid("root"), signal.SIGKILL)

        def is_another() -> bool:
            try:
                return bool(opened.ask("Echo", "hi", timeout_s=PATIENCE_S)[3] != before)
            except NoAnswerError:
                # It was asked in the moment of its end.
                return False

        wait_until(is_another, PATIENCE_S, "the next one to answer")


def test__given_up__is_said_everywhere_and_the_rest_goes_on(cluster: Cluster) -> None:
    limit = "Echo: {class: 'support.user_actors:Echo', intensity: 0}"
    launch(cluster, limit, ECHO.replace("Echo:", "Other:", 1))
    with pytest.raises(ActorFailedError, match="crashed"):
        ask("crash")
    wait_until(lambda: shown(cluster)["state"] == "failed", PATIENCE_S, "it to be given up")
    why = "1 restarts within 60 s (limit 0); the last: ValueError: too hot"
    with pytest.raises(ActorFailedError, match=f"^Echo: it was given up: {re.escape(why)}"):
        ask("hi")
    assert f"actor Echo: failed: {why}" in cluster.run("status").stdout
    wait_until(lambda: f"actor/Echo failed {why}" in re.sub(" +", " ", cluster.output), PATIENCE_S, "it to be told")
    assert "nothing, until its configuration changes" in cluster.run("explain", "Echo").stdout
    assert ask("hi", "Other")[0] == "Other"
    assert cluster.stop() == 0


def test__given_up__essential__ends_the_cluster_with_code_1(cluster: Cluster) -> None:
    launch(cluster, "Echo: {class: 'support.user_actors:Echo', intensity: 0, essential: true}")
    with pytest.raises(ActorFailedError, match="crashed"):
        ask("crash")
    assert cluster.wait_for_end() == 1
    assert "the essential actor Echo was given up: 1 restarts within 60 s (limit 0)" in cluster.output
    with pytest.raises(NotRunningError):
        connect("test")


def test__changed_configuration__is_planned_and_carried_out(cluster: Cluster) -> None:
    launch(cluster, ECHO, ECHO.replace("Echo:", "Other:", 1))
    others = cluster.actor_pid("actor/Other")
    changed = "Echo: {class: 'support.user_actors:Echo', settings: {greeting: good day}}"
    other = "Other: {class: 'support.user_actors:Echo', essential: true}"
    third = "Third: {class: 'support.user_actors:Echo'}"
    write(cluster, changed, other, third)
    assert cluster.run("apply", "--yes").returncode == 0
    # The launcher may have seen it before it was told.
    wait_until(lambda: "Third: actor, added" in cluster.output, PATIENCE_S, "what is done to be told")
    told = re.findall(r"(\w+) +(\w+): (actor, .*)", cluster.output)
    assert told == [
        ("replace", "Echo", "actor, settings changed"),
        ("change", "Other", "actor, essential changed"),
        ("start", "Third", "actor, added"),
    ]
    assert ask("hi")[1] == "good day"
    assert ask("hi", "Third")[0] == "Third"
    assert cluster.actor_pid("actor/Other") == others
    write(cluster, changed)
    assert cluster.run("apply", "--yes").returncode == 0
    wait_until(lambda: shown(cluster, "Other")["state"] == "", PATIENCE_S, "it to be gone")
    log = (cluster.directory / "log" / "test" / "system.log").read_text()
    assert "actor/Other: Other was asked to stop" in log


def test__launcher_is_killed__actors_run_on_and_the_next_one_takes_over(cluster: Cluster) -> None:
    launch(cluster, ECHO)
    before = ask("hi")[3]
    assert cluster.launcher is not None
    cluster.launcher.kill()
    cluster.launcher.wait(PATIENCE_S)
    assert ask("hi")[3] == before
    cluster.launch(wait_for="taking over from a launcher that was killed")
    wait_until(lambda: shown(cluster)["state"] == "running", PATIENCE_S, "the next tree")
    assert ask("hi")[3] != before
    assert cluster.stop() == 0


def test__connection__is_to_a_cluster_that_runs_and_needs_its_cookie(cluster: Cluster) -> None:
    with pytest.raises(NotRunningError, match="no cluster 'test' is running"):
        connect("test")
    launch(cluster, ECHO)
    directory = runtime_directory.base_directory(os.environ) / "test"
    cookie = directory / "cookie"
    right = cookie.read_bytes()
    cookie.write_bytes(os.urandom(32))
    with pytest.raises(NotRunningError):
        RemoteCluster(directory)
    cookie.write_bytes(right)
    assert ask("hi")[0] == "Echo"
