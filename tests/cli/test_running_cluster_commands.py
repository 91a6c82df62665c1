"""Every verb that shows something, beside a running cluster: all forms, watching, completion."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml
from support.cluster import QUAESTOR, ROOT, Cluster, make_cluster
from support.terminal import terminal
from support.waiting import wait_until

DEADLINE_S = 20.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run one cluster for all tests; none of them changes it."""
    cluster = make_cluster(tmp_path_factory.mktemp("shown"))
    try:
        cluster.launch()
        yield cluster
    finally:
        cluster.clean_up()


def said(cluster: Cluster, *arguments: str) -> str:
    """Return what a command prints, which succeeds and says nothing beside it."""
    answer = cluster.run(*arguments)
    assert (answer.returncode, answer.stderr) == (0, "")
    return answer.stdout


LISTS = [("status", "status"), ("tree", "status"), ("registry list", "registry-list"), ("discover Worker", "discover")]


@pytest.mark.parametrize(("command", "schema"), LISTS)
def test__every_list__for_people_and_for_machines(cluster: Cluster, command: str, schema: str) -> None:
    verb = command.split()
    document = json.loads(said(cluster, *verb, "-o", "json"))
    published = json.loads((ROOT / "docs" / "schemas" / f"{schema}.json").read_text())
    jsonschema.Draft7Validator(published).validate(document)
    rows = said(cluster, *verb, "-o", "tsv").splitlines()
    assert len({row.count("\t") for row in rows}) == 1
    assert len(rows) >= 3


def test__other_forms__of_a_list(cluster: Cluster) -> None:
    assert yaml.safe_load(said(cluster, "status", "-o", "yaml"))["cluster"] == "test"
    assert "INCARNATION" in said(cluster, "status", "-o", "wide")
    assert said(cluster, "tree", "-o", "text").startswith("launcher  pid ")


def test__discover__knows_tls_from_the_cluster(cluster: Cluster) -> None:
    addresses = sorted(f"localhost:{port}" for port in cluster.worker_ports)
    assert [line.split() for line in said(cluster, "discover", "Worker").splitlines()] == [
        ["SERVICE", "ADDRESS", "TLS"],
        *(["Worker", address, "no"] for address in addresses),
    ]
    best = said(cluster, "discover", "Worker", "--top", "1", "-o", "tsv").splitlines()[1].split("\t")
    assert best[1] in addresses


def test__health_and_load__of_a_member_and_of_the_balancer(cluster: Cluster) -> None:
    member, balancer = f"localhost:{cluster.worker_ports[0]}", f"127.0.0.1:{cluster.balancer_port}"
    assert "SERVING" in said(cluster, "health", member, "Worker")
    assert "SERVING" in said(cluster, "health", balancer)
    assert said(cluster, "load", member, "Worker").splitlines()[1].split()[:2] == ["Worker", member]


def test__plan__of_nothing_and_of_something(cluster: Cluster, tmp_path: Path) -> None:
    nothing = cluster.run("plan", "-c", str(cluster.directory), "-o", "json")
    assert json.loads(nothing.stdout) == {"schemaVersion": 1, "cluster": "test", "actions": []}
    changed = (
        (cluster.directory / "quaestor.cluster.config.yml").read_text().replace("Worker {Port}", "Worker {Port} 9")
    )
    (tmp_path / "quaestor.cluster.config.yml").write_text(changed)
    (tmp_path / "quaestor.loadbalancer.config.yml").write_text(
        (cluster.directory / "quaestor.loadbalancer.config.yml").read_text()
    )
    wide = said(cluster, "plan", "-c", str(tmp_path), "-o", "wide").splitlines()
    assert [line.split()[:2] for line in wide] == [
        ["ACTION", "SUBJECT"],
        ["replace", "Worker/1"],
        ["replace", "Worker/2"],
    ]


def test__watch__in_a_terminal_is_drawn_in_place_and_ctrl_c_touches_nothing(cluster: Cluster) -> None:
    before = cluster.status()
    command = (str(QUAESTOR), "status", "-w", "--interval", "0.2")
    with terminal(*command, columns=100, environment=cluster.environment) as screen:
        screen.expect(lambda text: text.count("\x1b[H") >= 3, "three frames")
        assert screen.press_ctrl_c() == 130
        shown = screen.written
    assert shown.startswith("\x1b[?1049h")
    assert "\x1b[2J" not in shown
    assert "\x1b[32mserving\x1b[0m" in shown
    after_it, left = shown.rsplit("\x1b[?1049l", 1)
    assert after_it
    assert "cluster test: 2/2 members serving" in left
    after = cluster.status()
    assert [member["pid"] for member in after["members"]] == [member["pid"] for member in before["members"]]


def test__watch__a_narrower_terminal_gets_a_narrower_table(cluster: Cluster) -> None:
    command = (str(QUAESTOR), "status", "-w", "--interval", "0.2")
    with terminal(*command, columns=120, environment=cluster.environment) as screen:
        screen.expect(lambda text: "RESTARTS" in text, "the full table")
        screen.resize(40, 24)
        before = len(screen.written)
        screen.expect(lambda text: "MEMBER    STATE    WHY" in text[before:], "the mini table")
        assert screen.terminate() == 128 + signal.SIGTERM
        assert screen.written.rstrip().count("\x1b[?1049l") == 1


def test__watch__off_a_terminal_appends_with_the_time(cluster: Cluster) -> None:
    output = cluster.directory / "watch.out"
    with output.open("wb") as file:
        watching = subprocess.Popen(
            [QUAESTOR, "status", "--watch", "--interval", "0.1"], env=cluster.environment, stdout=file
        )
    try:
        wait_until(lambda: output.read_text().count("members serving") >= 2, DEADLINE_S, "two frames")
        watching.send_signal(signal.SIGINT)
        assert watching.wait(DEADLINE_S) == 130
    finally:
        watching.kill()
        watching.wait()
    text = output.read_text()
    assert "\x1b" not in text
    assert text[:4].isdigit()
    assert text.splitlines()[1].startswith("cluster test: 2/2 members serving")


def test__watch__as_json_is_a_line_for_each_look(cluster: Cluster) -> None:
    command = [QUAESTOR, "status", "-w", "--interval", "0.1", "-o", "json"]
    with subprocess.Popen(command, env=cluster.environment, stdout=subprocess.PIPE, text=True) as watching:
        try:
            assert watching.stdout is not None
            for _ in range(2):
                assert json.loads(watching.stdout.readline())["cluster"] == "test"
        finally:
            watching.kill()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("quaestor", "sta"), ["start", "status"]),
        (("quaestor", "restart", "Wor"), ["Worker", "Worker/1", "Worker/2"]),
        (("quaestor", "discover", "W"), ["Worker"]),
        (("quaestor", "status", "--cluster", ""), ["test"]),
        (("quaestor", "status", "-o", "t"), ["table", "tsv"]),
        (("quaestor", "registry", "l"), ["list"]),
    ],
)
def test__completion__of_verbs_members_services_and_clusters(
    cluster: Cluster, words: tuple[str, ...], expected: list[str]
) -> None:
    environment = {
        **cluster.environment,
        "_QUAESTOR_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    answer = subprocess.run([QUAESTOR], env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert [line.partition(",")[2] for line in answer.stdout.splitlines()] == expected


def test__broken_pipe__is_no_traceback(cluster: Cluster) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    answer = subprocess.run(
        [QUAESTOR, "status"], env=cluster.environment, stdout=writing, stderr=subprocess.PIPE, timeout=20, check=False
    )
    os.close(writing)
    assert b"Traceback" not in answer.stderr
