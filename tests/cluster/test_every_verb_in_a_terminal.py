"""Every verb is run once in a real terminal of 100 columns, beside a cluster of the sample worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cluster import QUAESTOR, Cluster, make_cluster
from support.tmux import TMUX, Tmux, tmux

from quaestor_actors.cli.main import COMMANDS

COLUMNS = 100
WITH_PATHS = {"check", "plan"}
"""Verbs that say in a sentence how a file is; here its path may be longer than a line."""

pytestmark = [
    pytest.mark.skipif(TMUX is None, reason="tmux is not installed"),
    pytest.mark.timeout(400),
]


@pytest.fixture
def window(tmp_path: Path, cluster: Cluster) -> Iterator[Tmux]:
    with tmux(tmp_path, columns=COLUMNS, environment=cluster.environment) as opened:
        yield opened


def run(window: Tmux, *arguments: str, expected: int = 0, may_wrap: bool = False) -> str:
    """Run a verb to its end, and return what it has shown."""
    window.start(str(QUAESTOR), *arguments)
    code, shown = window.end(), window.shown()
    assert code == expected, f"{arguments} ended with {code}: {shown}"
    assert "Traceback" not in shown
    assert may_wrap or not window.is_wrapped(), f"{arguments}: {shown}"
    return shown


def run_until(window: Tmux, key: str, *arguments: str, seen: str, expected: int) -> None:
    """Run a verb that goes on, press a key when something is seen, and compare its end."""
    window.start(str(QUAESTOR), *arguments)
    window.expect(lambda shown: seen in shown, f"{seen!r} of {arguments}")
    assert not window.is_wrapped(), window.shown()
    window.press(key)
    code = window.end()
    assert code == expected, f"{arguments} ended with {code}: {window.shown()}"
    assert "Traceback" not in window.shown()


def looking(cluster: Cluster) -> list[tuple[tuple[str, ...], str]]:
    """Return verbs that change nothing, and what each of them shows."""
    directory, address = str(cluster.directory), f"localhost:{cluster.worker_ports[0]}"
    return [
        (("check", "-c", directory), "config.yml: ok"),
        (("plan", "-c", directory), "nothing"),
        (("wait", "--serving", "--timeout", "30"), ""),
        (("status",), "cluster test: 2/2 members serving"),
        (("status", "-o", "wide", "--color", "never"), "INCARNATION"),
        (("tree",), "agent/Worker/prober"),
        (("top", "--once"), "this machine: load"),
        (("hosts",), "on this machine alone"),
        (("explain", "Worker/1"), "Worker/1: serving for"),
        (("explain", "Worker"), "2/2 members serving"),
        (("events", "--since", "1h"), "cluster start"),
        (("registry", "list"), "Worker of test"),
        (("discover", "Worker"), address),
        (("discover", "Worker", "--top", "1"), "SERVICE"),
        (("health", address, "Worker"), "SERVING"),
        (("load", address, "Worker"), "CAPACITY"),
        (("doctor", "-c", directory), "nothing is wrong"),
        (("version",), "quaestor"),
    ]


CHANGING: list[tuple[tuple[str, ...], str]] = [
    (("stop", "Worker/2"), "stop Worker/2: stopped"),
    (("wait", "--stopped", "Worker/2"), ""),
    (("start", "Worker/2"), "start Worker/2: serving"),
    (("restart", "Worker/1"), "restart Worker/1: serving"),
    (("restart", "Worker", "--rolling"), "restart Worker/2: serving"),
    (("drain", "Worker/1"), "drain Worker/1: drained"),
    (("start", "Worker/*"), "start Worker/1: serving"),
    (("scale", "Worker", "1"), "stop Worker/2: gone"),
    (("apply", "--yes"), "start Worker/2: serving"),
]
"""Verbs that change something, and put it back, with what each of them shows."""


def test__every_verb__in_a_terminal(cluster: Cluster, window: Tmux, tmp_path: Path) -> None:
    window.start(str(QUAESTOR), "cluster", "-c", str(cluster.directory))
    window.expect(lambda shown: "all 2 members serve" in shown, "all members to serve")
    (tmp_path / "second").mkdir()
    with tmux(tmp_path / "second", columns=COLUMNS, environment=cluster.environment) as other:
        done = {"cluster"}
        for command, seen in looking(cluster) + CHANGING:
            shown = run(other, *command, may_wrap=command[0] in WITH_PATHS)
            assert seen in (shown.replace("\n", "") if command[0] in WITH_PATHS else shown), f"{command}: {shown}"
            done.add(command[0])
        for command in (("logs", "Worker", "--lines", "5"), ("schema",), ("completion", "bash")):
            # What these write is others' text, or a file.
            run(other, *command, may_wrap=True)
            done.add(command[0])
        before = cluster.status()
        for key, expected, command, seen in (
            ("C-c", 130, ("status", "-w"), "Worker/2"),
            ("C-c", 130, ("top",), "keys: w wrong"),
            ("q", 0, ("top",), "keys: w wrong"),
            ("C-c", 130, ("events", "-f", "Worker/1"), "serving"),
            ("C-c", 130, ("logs", "-f", "Worker/1"), "serves on"),
        ):
            run_until(other, key, *command, seen=seen, expected=expected)
        after = cluster.status()
        assert [member["pid"] for member in after["members"]] == [member["pid"] for member in before["members"]]
        assert after["launcher_pid"] == before["launcher_pid"]
    window.press("C-c")
    assert window.end() == 0
    # Each of these has a cluster, or a file, of its own; they are driven elsewhere.
    assert set(COMMANDS) - done == {"load-balancer", "chaos", "install-service"}


def test__balancer_alone__in_a_terminal(tmp_path: Path, window: Tmux) -> None:
    alone = make_cluster(tmp_path)
    window.start(str(QUAESTOR), "load-balancer", "-c", str(alone.directory))
    window.expect(lambda shown: "withheld" in shown, "what nobody serves")
    window.press("C-c")
    assert window.end() == 0
    assert "Traceback" not in window.shown()
