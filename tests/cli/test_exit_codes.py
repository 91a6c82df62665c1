"""The exit codes of every verb: those of docs/cli.md, and what each of them ends with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cluster import ROOT, Cluster, make_cluster
from support.command_line import quaestor
from support.grpc_servers import NOT_SERVING, TinyServer, load_response, reserved_port

from quaestor_actors.cli.exit_codes import ExitCode
from quaestor_actors.cli.main import COMMANDS

PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def documented() -> dict[str, set[int]]:
    """Return the exit codes of each verb that the page gives."""
    rows = re.findall(r"^\| `([a-z -]+)` \| ([0-9, ]+) \|", PAGE, re.MULTILINE)
    return {verb: {int(code) for code in codes.split(",")} for verb, codes in rows}


def test__page__has_every_verb_and_every_code() -> None:
    table = documented()
    verbs = set(COMMANDS) - {"registry"} | {"registry list", "registry watch", "registry remove"}
    assert set(table) == verbs
    assert set().union(*table.values()) == {code.value for code in ExitCode}
    explained = re.findall(r"^\| ([0-9]+) \| ", PAGE, re.MULTILINE)
    assert [int(code) for code in explained] == [code.value for code in ExitCode]


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Return a configured cluster that is never started; no other runs where commands of this process look."""
    monkeypatch.setenv("QUAESTOR_RUNTIME_DIR", str(tmp_path / "run"))
    return make_cluster(tmp_path)


@pytest.mark.parametrize("verb", sorted(documented()))
def test__wrong_usage__is_2(verb: str) -> None:
    answer = quaestor(*verb.split(), "--bogus")
    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert answer.err.startswith(f"Usage: quaestor {verb}")
    assert 2 in documented()[verb]


@pytest.mark.parametrize(
    "command",
    [
        "status",
        "tree",
        "start Worker",
        "stop Worker",
        "restart Worker",
        "drain Worker",
        "scale Worker 2",
        "apply",
        "registry list",
        "registry watch",
        "discover W",
        "explain W/1",
        "wait --timeout 0",
        "wait --stopped",
    ],
)
@pytest.mark.usefixtures("nowhere")
def test__no_cluster__is_4(command: str) -> None:
    answer = quaestor(*command.split())
    assert (answer.code, answer.out) == (ExitCode.NOT_RUNNING, "")
    assert "no cluster is running here" in answer.err
    assert len(answer.err.splitlines()) == 1


@pytest.mark.parametrize("command", ["events", "logs W/1"])
@pytest.mark.usefixtures("nowhere")
def test__no_cluster_ever__is_4(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUAESTOR_LOG_DIR", str(tmp_path / "log"))
    answer = quaestor(*command.split())
    assert (answer.code, answer.out) == (ExitCode.NOT_RUNNING, "")
    assert "no cluster has left logs here" in answer.err
    assert len(answer.err.splitlines()) == 1


# Those that read a configuration do so in a child process: not in one of pytest's, which has threads.


@pytest.mark.parametrize("command", ["plan", "registry remove Worker localhost:5161"])
def test__no_cluster__is_4_for_those_that_read_a_configuration_first(nowhere: Cluster, command: str) -> None:
    answer = nowhere.run(*command.split(), "-c", str(nowhere.directory))
    assert (answer.returncode, answer.stdout) == (ExitCode.NOT_RUNNING, "")


@pytest.mark.parametrize("verb", ["cluster", "load-balancer", "plan", "check", "install-service", "registry list"])
def test__missing_configuration__is_2(nowhere: Cluster, verb: str) -> None:
    answer = nowhere.run(*verb.split(), "-c", str(nowhere.directory / "missing"))
    assert answer.returncode == ExitCode.USAGE
    assert "not found in" in answer.stderr


@pytest.fixture
def server() -> Iterator[TinyServer]:
    with TinyServer(report_load=load_response) as running:
        yield running


def test__what_succeeds__is_0(nowhere: Cluster, server: TinyServer) -> None:
    address = f"127.0.0.1:{server.port}"
    for command in (
        ("check", "-c", str(nowhere.directory)),
        ("health", address, "Worker"),
        ("load", address, "Worker"),
        ("schema",),
        ("completion", "zsh"),
        ("version",),
    ):
        answer = quaestor(*command)
        assert (answer.code, answer.err) == (ExitCode.OK, ""), command
        assert answer.out


def test__not_healthy__is_3_only_where_it_was_asked(server: TinyServer) -> None:
    server.set("Worker", NOT_SERVING)
    assert quaestor("health", f"127.0.0.1:{server.port}", "Worker").code == ExitCode.NOT_HEALTHY
    assert [verb for verb, codes in documented().items() if ExitCode.NOT_HEALTHY in codes] == ["health", "doctor"]


def test__nobody_answers__is_1() -> None:
    with reserved_port() as port:
        address = f"127.0.0.1:{port}"
        for command in (("health", address), ("load", address, "W"), ("discover", "W", "--address", address)):
            assert quaestor(*command).code == ExitCode.FAILED


def test__not_there__is_5(server: TinyServer) -> None:
    assert quaestor("load", f"127.0.0.1:{server.port}", "Nobody").code == ExitCode.CONFLICT
