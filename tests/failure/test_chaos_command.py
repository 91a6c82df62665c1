"""`quaestor chaos` from its start to its verdict."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from support.chaos_run import COMMAND_TIMEOUT_S, chaos
from support.cluster import QUAESTOR
from support.waiting import wait_until

GIVES_UP = """
clusterConfig:
  name: hopeless
agents:
  - agentType: Job
    executablePath: /bin/false
    probe: none
    intensity: 0
    essential: true
"""


def test__a_run__says_seed_timeline_and_verdict(tmp_path: Path) -> None:
    ended = chaos(tmp_path, "--minutes", "0.3", "--seed", "1")
    assert ended.code == 0, ended.out + ended.err
    assert ended.err.startswith("seed 1; repeat it with: quaestor chaos --minutes 0.3 --seed 1\n")
    assert "whole again after" in ended.err
    assert ended.out.rstrip().endswith("HELD")
    assert ended.verdict["held"]
    assert ended.verdict["steps"]
    assert not Path(ended.err.split(" runs in ")[1].splitlines()[0]).exists()


def test__invariant_that_does_not_hold__exit_code_1_and_the_evidence_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "quaestor.cluster.config.yml").write_text(GIVES_UP)
    ended = chaos(tmp_path, "-c", str(folder), "--seed", "1")
    assert ended.code == 1
    assert "the launcher ended with 1, and nobody had ended it" in ended.out
    assert f"repeat it with: quaestor chaos --minutes 10 --seed 1 -c {folder}" in ended.out
    kept = Path(ended.verdict["evidence"])
    assert kept.is_dir()
    for file in sorted(kept.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    kept.rmdir()


def test__ctrl_c__ends_with_the_verdict_so_far(tmp_path: Path) -> None:
    output = tmp_path / "err"
    with output.open("wb") as err:
        running = subprocess.Popen([QUAESTOR, "chaos", "--faults", "hang"], stdout=subprocess.PIPE, stderr=err)
        try:
            wait_until(lambda: "is whole after" in output.read_text(), 30, "the cluster to be whole")
            running.send_signal(signal.SIGINT)
            out, _ = running.communicate(timeout=COMMAND_TIMEOUT_S)
        finally:
            # It ends its cluster itself, unless it has ended.
            running.terminate()
            running.communicate(timeout=COMMAND_TIMEOUT_S)
    assert running.returncode == 0, out.decode() + output.read_text()
    assert b"interrupted" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--faults", "kill,fire"), "'fire': choose from kill, hang"),
        (("-c", "/nowhere"), "/nowhere"),
        (("--minutes", "0"), "0.0 is not in the range"),
    ],
)
def test__wrong_usage__is_said_and_nothing_is_started(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    ended = chaos(tmp_path, *arguments)
    assert ended.code == 2
    assert message in ended.err


def test__configuration_with_somebody_else_s_etcd__is_refused(tmp_path: Path) -> None:
    (tmp_path / "quaestor.cluster.config.yml").write_text(
        "clusterConfig: {name: shared}\nagents: [{agentType: KeyValueStore, processCount: 0, ports: [2379]}]\n"
    )
    ended = chaos(tmp_path, "-c", str(tmp_path))
    assert ended.code == 1
    assert "registers in an etcd that somebody else runs" in ended.err
