"""Members' processes, with real ones."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.waiting import wait_until

from quaestor_actors.adapters import processes
from quaestor_actors.adapters.processes import WatchedProcess
from quaestor_actors.core.member import ProcessId
from quaestor_actors.core.spec import AgentSpec
from quaestor_actors.errors import SpawnError


class Nursery:
    """Starts shell scripts as members, and ends what is left of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "member.log"
        self.started: list[int] = []

    def spawn(self, script: str, *, arguments: str = "", port: int | None = 5161, member: str = "m") -> WatchedProcess:
        path = self.folder / "script"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
        spec = AgentSpec(agent_type="Worker", executable=str(path), arguments=arguments, environment=(("OWN", "yes"),))
        watched = processes.spawn(spec, member=member, port=port, environment=dict(os.environ), log_path=self.log)
        self.started.append(watched.process.pid)
        return watched

    def end(self) -> None:
        for pid in self.started:
            if psutil.pid_exists(pid):
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    made = Nursery(tmp_path)
    yield made
    made.end()


def ended(watched: WatchedProcess) -> str:
    assert processes.wait(watched, timeout_s=10)
    return processes.reap(watched)


def test__spawn__has_its_own_session_output_and_environment(nursery: Nursery) -> None:
    watched = nursery.spawn(
        'echo "$1 $2 $OWN $QUAESTOR_MEMBER"; echo trouble >&2', arguments="{Port} 'at {HostName}'", member="me 7"
    )
    assert os.getsid(watched.process.pid) == watched.process.pid
    assert ended(watched) == "exited with code 0"
    assert nursery.log.read_text() == "5161 at localhost yes me 7\ntrouble\n"


def test__python_file_without_x_bit__is_run_by_this_python(tmp_path: Path) -> None:
    script = tmp_path / "service.py"
    script.write_text("")
    spec = AgentSpec(agent_type="Worker", executable=str(script), arguments="a 'b c'")
    assert processes.command_line(spec, 1) == [sys.executable, str(script), "a", "b c"]
    script.chmod(0o700)
    assert processes.command_line(spec, 1)[0] == str(script)


def test__missing_executable__is_named_with_the_reason(tmp_path: Path) -> None:
    spec = AgentSpec(agent_type="Worker", executable=str(tmp_path / "gone"))
    with pytest.raises(SpawnError, match="gone: No such file or directory"):
        processes.spawn(spec, member="m", port=None, environment={}, log_path=tmp_path / "log")


def test__file_that_nobody_may_execute__is_named_with_the_reason(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch(mode=0o600)
    spec = AgentSpec(agent_type="Worker", executable=str(plain))
    with pytest.raises(SpawnError, match="plain: Permission denied"):
        processes.spawn(spec, member="m", port=None, environment={}, log_path=tmp_path / "log")


def test__end__makes_the_descriptor_readable(nursery: Nursery) -> None:
    watched = nursery.spawn("read forever")
    assert ended(watched) == "exited with code 1"
    lasting = nursery.spawn("exec sleep 1000")
    assert not select.select([lasting.pidfd], [], [], 0)[0]
    processes.signal_group(lasting, signal.SIGKILL)
    assert ended(lasting) == "killed by SIGKILL"


def test__exit_code__is_told(nursery: Nursery) -> None:
    assert ended(nursery.spawn("exit 42")) == "exited with code 42"


def test__reap__ends_what_is_left_of_the_group(nursery: Nursery) -> None:
    watched = nursery.spawn("trap '' TERM; sleep 1000 & echo $!")
    assert processes.wait(watched, timeout_s=10)
    grandchild = int(wait_until(nursery.log.read_text, what="the grandchild's pid"))
    assert psutil.pid_exists(grandchild)
    processes.reap(watched)
    wait_until(lambda: processes.start_ticks(grandchild) is None, what="the grandchild to end")


def test__watch__of_the_same_process_only(nursery: Nursery) -> None:
    watched = nursery.spawn("exec sleep 1000")
    again = processes.watch(watched.process)
    assert again is not None
    processes.forget(again)
    other = ProcessId(pid=watched.process.pid, start_ticks=watched.process.start_ticks + 1)
    assert processes.watch(other) is None
    processes.signal_group(watched, signal.SIGKILL)
    assert processes.wait(watched, timeout_s=10)
    assert processes.watch(watched.process) is None, "a zombie is no live process"
    processes.reap(watched)
    assert processes.watch(watched.process) is None


def test__signal__to_an_ended_group__does_nothing(nursery: Nursery) -> None:
    watched = nursery.spawn("exit 0")
    assert processes.wait(watched, timeout_s=10)
    processes.signal_group(watched, signal.SIGTERM)
    assert ended(watched) == "exited with code 0"


def test__find_tagged__finds_the_session_leader(nursery: Nursery) -> None:
    watched = nursery.spawn("sleep 1000 & wait", member="state Worker/1 3")
    found = wait_until(lambda: processes.find_tagged("state Worker/1 3"), what="the member")
    assert found == watched.process
    assert processes.find_tagged("state Worker/1 30") is None


def test__find_tagged__of_an_ended_leader__does_not_take_its_child_for_it(nursery: Nursery) -> None:
    watched = nursery.spawn("sleep 1000 & echo $!", member="left Worker/1 3")
    assert processes.wait(watched, timeout_s=10)
    grandchild = int(nursery.log.read_text())
    assert processes.start_ticks(grandchild) is not None
    assert processes.find_tagged("left Worker/1 3") is None
    processes.reap(watched)
