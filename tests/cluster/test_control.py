"""Members commanded by hand on real processes: drained and put back, restarted one by one, waited for or not."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from support.cluster import QUAESTOR, WORKER, Cluster
from support.terminal import terminal
from support.waiting import wait_until


def offered(cluster: Cluster) -> set[int]:
    """Return the ports that clients are sent to."""
    answer = cluster.run("discover", "Worker", "-o", "tsv")
    return {int(line.split("\t")[1].rpartition(":")[2]) for line in answer.stdout.splitlines()[1:]}


def drained(cluster: Cluster, *, incarnation: int) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        one = cluster.member("Worker/1")
        return one if (one["state"], one["incarnation"]) == ("drained", incarnation) else None

    return wait_until(found, what=f"Worker/1 to be drained with incarnation {incarnation}")


def with_a_busy_first_worker(cluster: Cluster) -> None:
    cluster.configure()
    file = cluster.directory / "quaestor.cluster.config.yml"
    # It reports one running request for ever.
    file.write_text(file.read_text().replace('Worker {Port}"', 'Worker {Port} 0 1"'))


def test__drain__takes_it_out_whatever_becomes_of_it_until_it_is_put_back(cluster: Cluster) -> None:
    cluster.launch()
    first, second = cluster.worker_ports
    answer = cluster.run("drain", "Worker/1")
    assert (answer.returncode, answer.stdout) == (0, "drain Worker/1: drained\n")
    wait_until(lambda: offered(cluster) == {second}, what="one location")
    assert "1/2 members serving, 1 drained" in cluster.run("status").stdout
    assert drained(cluster, incarnation=1)["reason"].startswith("drained by hand; ")

    os.kill(cluster.member("Worker/1")["pid"], signal.SIGKILL)
    assert drained(cluster, incarnation=2)["reason"].startswith("drained by hand; ")
    supervisor = cluster.actor_pid("agent/Worker")
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: cluster.actor_is_replaced("agent/Worker", supervisor), what="another supervisor")
    assert cluster.run("restart", "Worker/1").returncode == 0
    drained(cluster, incarnation=3)
    assert offered(cluster) == {second}

    answer = cluster.run("start", "Worker/1")
    assert (answer.returncode, answer.stdout) == (0, "start Worker/1: serving\n")
    assert cluster.member("Worker/1")["reason"] == "put back by hand"
    wait_until(lambda: offered(cluster) == {first, second}, what="both locations")
    last = cluster.run("events", "Worker/1", "-o", "tsv").stdout.splitlines()[-1].split("\t")
    assert (last[4:6], last[-1]) == (["drained", "serving"], "put back by hand")


def test__drain__of_a_busy_member__waits_for_its_requests_and_not_for_ever(cluster: Cluster) -> None:
    with_a_busy_first_worker(cluster)
    cluster.launch()
    assert cluster.run("drain", "Worker/1", "--no-wait").returncode == 0
    cluster.wait_for_member("Worker/1", "drained")
    late = cluster.run("drain", "Worker/1", "--timeout", "0.5")
    assert (late.returncode, late.stdout) == (124, "")
    assert late.stderr.splitlines()[-2:] == [
        "quaestor: after 0.5 s drain Worker/1 is not done, and goes on:",
        "  Worker/1: drained: drained by hand",
    ]


def test__ctrl_c__ends_the_watching_and_nothing_else(cluster: Cluster) -> None:
    with_a_busy_first_worker(cluster)
    cluster.launch()
    with terminal(str(QUAESTOR), "drain", "Worker/1", environment=cluster.environment) as watching:
        watching.expect(
            lambda text: "s left: waiting for Worker/1: drained: drained by hand; finishes its" in text,
            "who holds it up",
        )
        assert watching.press_ctrl_c() == 130
        assert "no longer watching; the cluster goes on with drain Worker/1: `quaestor status`" in watching.written
    assert cluster.member("Worker/1")["state"] == "drained"


def test__no_wait__ends_at_once(cluster: Cluster) -> None:
    with_a_busy_first_worker(cluster)
    cluster.launch()
    answer = cluster.run("drain", "Worker", "--no-wait")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout == "drain Worker/1: requested\ndrain Worker/2: requested\n"


def fragile_workers(cluster: Cluster) -> Path:
    """Configure workers that do not start while the returned file is there."""
    broken, script = cluster.directory / "broken", cluster.directory / "worker.sh"
    script.write_text(
        f'#!/bin/sh\ntest -e {broken} && {{ echo out of cheese; exit 3; }}\nexec {sys.executable} {WORKER} "$@"\n'
    )
    script.chmod(0o755)
    cluster.configure()
    file = cluster.directory / "quaestor.cluster.config.yml"
    file.write_text(file.read_text().replace(f"executablePath: {WORKER}", f"executablePath: {script}"))
    return broken


def test__rolling_restart__goes_on_while_replacements_serve_and_stops_when_one_does_not(cluster: Cluster) -> None:
    broken = fragile_workers(cluster)
    cluster.launch()
    done = cluster.run("restart", "Worker", "--rolling")
    assert (done.returncode, done.stdout) == (0, "restart Worker/1: serving\nrestart Worker/2: serving\n")
    before = cluster.member("Worker/2")
    assert before["incarnation"] == 2

    broken.touch()
    failed = cluster.run("restart", "Worker", "--rolling")
    assert (failed.returncode, failed.stdout) == (1, "")
    why = "Worker/1 did not serve after its restart: restarted: exited with code 3"
    assert f"  Worker/2: serving: {why}" in failed.stderr
    assert "Worker/2 not restarted" in failed.stderr
    after = cluster.member("Worker/2")
    assert (after["pid"], after["state"]) == (before["pid"], "serving")
    assert f"aborted: {why}" in cluster.run("events", "Worker", "-o", "tsv").stdout
    assert why in cluster.run("explain", "Worker").stdout

    broken.unlink()
    cluster.wait_for_member("Worker/1", "serving")
    again = cluster.run("restart", "Worker", "--rolling")
    assert (again.returncode, again.stdout) == (0, "restart Worker/1: serving\nrestart Worker/2: serving\n")
