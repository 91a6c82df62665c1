"""The health check by command with real processes: verdicts, deadlines, and what is left behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from support.plain_servers import Probing, command
from support.waiting import wait_until

from quaestor_actors.adapters.plain_probes import PlainTarget
from quaestor_actors.core.member import Health


@pytest.fixture
def probing() -> Iterator[Probing]:
    with closing(Probing()) as started:
        yield started


def test__exec__exit_code_0__serves(probing: Probing) -> None:
    probing.add(command("true"))
    assert probing.expect(Health.SERVING) == "the command exits with code 0"


def test__exec__other_exit_code__is_not_serving_and_quotes_the_last_line(probing: Probing) -> None:
    probing.add(command("sh -c 'echo looking; echo \"disk full\" >&2; exit 3'"))
    assert probing.expect(Health.NOT_SERVING) == "the command exited with code 3: disk full"


def test__exec__without_output__has_no_quote(probing: Probing) -> None:
    probing.add(command("false"))
    assert probing.expect(Health.NOT_SERVING) == "the command exited with code 1"


def test__exec__killed_by_a_signal__says_which(probing: Probing) -> None:
    probing.add(command("sh -c 'kill -SEGV $$'"))
    assert probing.expect(Health.NOT_SERVING) == "the command was killed by SIGSEGV"


def test__exec__placeholders_environment_and_directory__are_its_own(probing: Probing, tmp_path: Path) -> None:
    script = 'echo "$0 $1 $WORD $(pwd) $HOME"; exit 1'
    probing.add(
        command(
            f"sh -c '{script}' {{HostName}} --port={{Port}}",
            port=17,
            host_name="two words",
            environment={"WORD": "hello"},
            working_directory=str(tmp_path),
        )
    )
    expected = f"two words --port=17 hello {tmp_path} {os.environ['HOME']}"
    assert probing.expect(Health.NOT_SERVING) == f"the command exited with code 1: {expected}"


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (command("/no/such/program"), "/no/such/program: No such file or directory"),
        (command("true", working_directory="/no/such/folder"), "/no/such/folder: No such file or directory"),
        (command("sh -c 'unclosed"), "No closing quotation"),
        (command(" "), "it is empty"),
        (command("true", environment={"A=B": "C"}), "illegal environment variable name"),
    ],
)
def test__exec__cannot_be_run__is_not_serving_with_the_reason(probing: Probing, target: PlainTarget, why: str) -> None:
    probing.add(target)
    assert probing.expect(Health.NOT_SERVING) == f"the command cannot be run: {why}"


def test__exec__late__is_a_timeout_and_its_whole_group_is_killed(probing: Probing, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    probing.add(command(f"sh -c 'sleep 600 & echo $$ $! > {pids}; wait'", timeout_s=1.0))
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2, 10, "the pids")
    family = [int(pid) for pid in pids.read_text().split()]
    assert probing.expect(Health.TIMEOUT) == "the command did not end within 1 s"
    expect_gone(family)


def test__exec__stopped_command__is_killed_all_the_same(probing: Probing, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    probing.add(command(f"sh -c 'echo $$ > {pids}; kill -STOP $$'", timeout_s=1.0))
    wait_until(lambda: pids.exists() and pids.read_text().strip(), 10, "the pid")
    probing.expect(Health.TIMEOUT)
    expect_gone([int(pids.read_text())])


def test__exec__child_left_behind__does_not_delay_the_verdict_and_is_killed(probing: Probing, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    # It keeps the output open, so to read to the output's end would take for ever.
    probing.add(command(f"sh -c 'sleep 600 & echo $! > {pids}'"))
    probing.expect(Health.SERVING)
    expect_gone([int(pids.read_text())])


def test__exec__more_output_than_a_pipe_holds__ends_all_the_same(probing: Probing) -> None:
    probing.add(command("sh -c 'yes | head -c 1000000; echo; echo the end; exit 1'"))
    assert probing.expect(Health.NOT_SERVING) == "the command exited with code 1: the end"


def test__exec__removed_while_it_runs__is_killed(probing: Probing, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    probing.add(command(f"sh -c 'echo $$ > {pids}; exec sleep 600'"))
    wait_until(lambda: pids.exists() and pids.read_text().strip(), 10, "the pid")
    pid = int(pids.read_text())
    probing.remove()
    expect_gone([pid])
    assert probing.heard.items == []


def test__exec__close__leaves_no_process_and_no_descriptor(probing: Probing, tmp_path: Path) -> None:
    probing.add(command("true"), "before")
    probing.expect(Health.SERVING, "before")
    descriptors = set(Path("/proc/self/fd").iterdir())
    pids = tmp_path / "pids"
    for number in range(3):
        probing.add(command(f"sh -c 'echo $$ >> {pids}; exec sleep 600'"), f"hangs {number}")
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 3, 10, "three pids")
    probing.close_probes()
    assert not [pid for pid in pids.read_text().split() if psutil.pid_exists(int(pid))]
    assert set(Path("/proc/self/fd").iterdir()) == descriptors


def expect_gone(pids: list[int]) -> None:
    """Wait until none of the processes lives; an orphan's zombie is its new parent's to reap."""

    def alive() -> list[int]:
        return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]

    def gone() -> bool:
        try:
            return not alive()
        except psutil.NoSuchProcess:
            return False

    wait_until(gone, 10, f"the end of {pids}")
