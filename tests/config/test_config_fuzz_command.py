"""A slice of the spoilt configurations through the real command: an exit code, lines for people, nothing written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from random import Random

import pytest
from support.cluster import QUAESTOR
from support.config_fuzz import spoilt, spoilt_bytes
from support.config_fuzz_mutations import BYTE_MUTATIONS, MUTATIONS
from support.profiles import examples

from quaestor_actors.config import CLUSTER_FILE, LOAD_BALANCER_FILE

DOCUMENTS = 30

NO_NAMES = """
import socket

def getaddrinfo(host, *_, **__):
    raise socket.gaierror(socket.EAI_NONAME, f"{host} is nobody")

socket.getaddrinfo = getaddrinfo
"""


def check(folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run `quaestor check` on the files of a folder, in another folder that is as empty afterwards."""
    elsewhere = folder.with_name("elsewhere")
    for where in (elsewhere, folder.with_name("site")):
        where.mkdir(exist_ok=True)
    # No made-up name of a host leaves this machine.
    (folder.with_name("site") / "sitecustomize.py").write_text(NO_NAMES)
    before = {file: file.stat() for file in folder.iterdir()}
    variables = {
        **os.environ,
        **dict.fromkeys(("HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "TMPDIR"), str(elsewhere)),
        "PYTHONPATH": str(folder.with_name("site")),
        "PYTHONDONTWRITEBYTECODE": "1",
        **environment,
    }
    command = [str(QUAESTOR), "check", "-c", str(folder)]
    answer = subprocess.run(command, cwd=elsewhere, env=variables, capture_output=True, timeout=60, check=False)
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == {
        file: stat.st_mtime_ns for file, stat in before.items()
    }
    assert not list(elsewhere.iterdir())
    return answer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    where = tmp_path / "configuration"
    where.mkdir()
    return where


def write(folder: Path, cluster: bytes, balancer: bytes) -> None:
    (folder / CLUSTER_FILE).write_bytes(cluster)
    (folder / LOAD_BALANCER_FILE).write_bytes(balancer)


def some_configuration(chance: Random) -> tuple[bytes, bytes]:
    steps = [(chance.choice(sorted(MUTATIONS)), chance.getrandbits(32)) for _ in range(chance.randrange(4))]
    cluster, balancer = spoilt(chance.getrandbits(32), steps)
    if chance.random() < 0.3:
        cluster = spoilt_bytes(cluster, [(chance.choice(sorted(BYTE_MUTATIONS)), chance.getrandbits(32))])
    return cluster, balancer


@pytest.mark.timeout(examples(300))
def test__check_of_any_configuration__ends_with_0_or_2_and_lines_for_people(folder: Path) -> None:
    codes = set()
    for seed in range(examples(DOCUMENTS)):
        write(folder, *some_configuration(Random(seed)))
        answer = check(folder)
        codes.add(answer.returncode)
        assert answer.returncode in {0, 2}, seed
        assert b"Traceback" not in answer.stderr
        lines = (answer.stdout + answer.stderr).decode().splitlines()
        assert lines
        assert all(line.removeprefix("quaestor: ").startswith(str(folder)) and line.isprintable() for line in lines), (
            seed
        )
    assert codes == {0, 2}


def test__check_on_a_terminal_of_few_characters__shows_the_others_escaped(folder: Path) -> None:
    agents = "[{agentType: A, executablePath: /bin/sh}, {agentType: LoadBalancer}]"
    balancer = "agents: [{agentType: Worker, hostName: '\u65e5', ports: [2]}]\n"
    write(folder, f"clusterConfig: {{name: a}}\nagents: {agents}\n".encode(), balancer.encode())
    answer = check(folder, PYTHONIOENCODING="latin-1")
    assert (answer.returncode, answer.stderr) == (0, b"")
    assert b"\\u65e5:2 is not balanced" in answer.stdout
