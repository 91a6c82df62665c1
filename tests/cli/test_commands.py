"""The installed commands: help, exit codes, and messages with place and remedy."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support.cluster import QUAESTOR, Cluster, make_cluster


@pytest.fixture
def quaestor(tmp_path: Path) -> Cluster:
    """Return a configured cluster that is never started, to run commands beside."""
    return make_cluster(tmp_path)


def test__version__is_told(quaestor: Cluster) -> None:
    assert quaestor.run("--version").stdout.startswith("quaestor 0.")


@pytest.mark.parametrize("name", ["quaestor-cluster", "quaestor-loadbalancer"])
def test__older_names__work(name: str) -> None:
    answer = subprocess.run(
        [QUAESTOR.with_name(name), "--help"], capture_output=True, text=True, timeout=20, check=False
    )
    assert answer.returncode == 0
    assert "--configDir" in answer.stdout


@pytest.mark.parametrize("arguments", [("bogus",), ("cluster", "--bogus"), ("status", "-o", "xml")])
def test__wrong_usage__exits_2(quaestor: Cluster, arguments: tuple[str, ...]) -> None:
    answer = quaestor.run(*arguments)
    assert answer.returncode == 2
    assert answer.stderr.startswith("Usage: quaestor")


@pytest.mark.parametrize("verb", ["status", "tree"])
def test__no_cluster__is_said_with_exit_4_and_nothing_is_started(quaestor: Cluster, verb: str) -> None:
    answer = quaestor.run(verb)
    assert answer.returncode == 4
    assert answer.stdout == ""
    assert f"no cluster is running here (looked in {quaestor.directory / 'run'})" in answer.stderr
    assert not quaestor.relatives()


def test__stale_record__is_no_running_cluster(quaestor: Cluster) -> None:
    folder = quaestor.directory / "run" / "gone"
    folder.mkdir(parents=True)
    (folder / "system.json").write_text('{"admin_port": 9, "root_address": "127.0.0.1:9"}')
    (folder / "admin.pid").write_text(f"{os.getpid()} 1")
    assert quaestor.run("status").returncode == 4


def test__check__of_a_good_configuration__says_ok(quaestor: Cluster) -> None:
    answer = quaestor.run("check", "-c", str(quaestor.directory))
    assert answer.returncode == 0
    assert answer.stdout.splitlines() == [
        f"{quaestor.directory}/quaestor.cluster.config.yml: ok",
        f"{quaestor.directory}/quaestor.loadbalancer.config.yml: ok",
    ]


def test__check__names_what_has_no_effect(quaestor: Cluster) -> None:
    quaestor.configure()
    file = quaestor.directory / "quaestor.cluster.config.yml"
    file.write_text(file.read_text() + "    drainSeconds: 3\n")
    answer = quaestor.run("check", "-c", str(quaestor.directory))
    assert answer.returncode == 0
    assert "agents[1].drainSeconds: has no effect on the built-in LoadBalancer" in answer.stdout


@pytest.mark.parametrize("verb", ["check", "cluster"])
def test__bad_configuration__all_faults_with_place_exit_2_and_nothing_started(quaestor: Cluster, verb: str) -> None:
    quaestor.configure(
        agent_extra="    processCuont: 4\n    useTLS: maybe\n", cluster_extra="  memberMaxStartupRetries: x\n"
    )
    answer = quaestor.run(verb, "-c", str(quaestor.directory))
    assert answer.returncode == 2
    lines = answer.stderr.splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"{quaestor.directory}/quaestor.cluster.config.yml:") for line in lines)
    assert "unknown key (did you mean processCount?)" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (quaestor.directory / "run").exists()


def test__missing_configuration__names_the_folder(quaestor: Cluster) -> None:
    answer = quaestor.run("cluster", "-c", str(quaestor.directory / "nowhere"))
    assert answer.returncode == 2
    assert f"not found in {quaestor.directory / 'nowhere'}" in answer.stderr
