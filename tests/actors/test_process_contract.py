"""What the actors rely on of processes and ports: the same of the real ones and of those for tests."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import pytest
from support.waiting import wait_until

from quaestor_actors.actors.outside import Ports, Processes
from quaestor_actors.adapters import ports, processes
from quaestor_actors.adapters.processes import WatchedProcess
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.core.spec import AgentSpec
from quaestor_actors.errors import SpawnError
from quaestor_actors.testing.processes import FakeProcess, FakeProcesses

TAG = "contract-of-processes Worker/1 3 5161"
FOREVER = "while :; do sleep 1000 & wait; done"
SCRIPTS = {
    "sleeps": "echo ready; exec sleep 1000",
    "exits with 0": "exit 0",
    "exits with 3": "exit 3",
    "aborts": "kill -ABRT $$",
    "ignores SIGTERM": f"trap '' TERM; echo ready; {FOREVER}",
    "exits with 7 when asked": f"trap 'exit 7' TERM; echo ready; {FOREVER}",
    "has a child": "sleep 1000 & echo $!; exec sleep 1000",
    "leaves a child": "sleep 1000 & echo $!; exit 0",
}


EARLIER_SUPERVISOR = """
import json, os, pathlib, sys
from quaestor_actors.adapters import processes
from quaestor_actors.core.spec import AgentSpec
spec = AgentSpec(agent_type="Worker", executable=sys.argv[1])
log = pathlib.Path(sys.argv[3])
watched = processes.spawn(spec, member=sys.argv[2], port=1, environment=dict(os.environ), log_path=log)
print(json.dumps([watched.process.pid, watched.process.start_ticks]))
"""


class Machine(Protocol):
    """A machine, and what a test can have processes do on it."""

    processes: Processes
    ports: Ports

    def start(self, what: str, *, tag: str = TAG) -> WatchedProcess:
        """Start a member that does one of SCRIPTS, and has got as far as that."""

    def adopted(self, what: str) -> WatchedProcess:
        """Return the same, started by a supervisor that has ended since."""

    def ended(self, watched: WatchedProcess) -> WatchedProcess:
        """Wait until a process has ended."""

    def child_of(self, watched: WatchedProcess) -> int:
        """Return the pid of the child that a member has started."""

    def ends(self, pid: int) -> None:
        """Wait until nobody lives under a pid."""

    def lives(self, pid: int) -> bool:
        """Return whether somebody lives under a pid."""

    def somebody_listens(self) -> AbstractContextManager[tuple[int, int]]:
        """Have somebody listen, whose pid and port are given."""


class RealMachine:
    """Shell scripts."""

    def __init__(self, folder: Path) -> None:
        self.processes: Processes = processes
        self.ports: Ports = ports
        self._folder = folder
        self._logs: dict[int, Path] = {}

    def start(self, what: str, *, tag: str = TAG) -> WatchedProcess:
        spec, log = AgentSpec(agent_type="Worker", executable=self._script(what)), self._new_log()
        watched = self.processes.spawn(spec, member=tag, port=1, environment=dict(os.environ), log_path=log)
        self._has_begun(watched, what, log)
        return watched

    def adopted(self, what: str) -> WatchedProcess:
        log = self._new_log()
        command = [sys.executable, "-c", EARLIER_SUPERVISOR, self._script(what), TAG, str(log)]
        pid, ticks = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=20).stdout)
        watched = self.processes.watch(ProcessId(pid=pid, start_ticks=ticks))
        assert watched is not None
        self._has_begun(watched, what, log)
        return watched

    def ended(self, watched: WatchedProcess) -> WatchedProcess:
        assert processes.wait(watched, timeout_s=10)
        return watched

    def child_of(self, watched: WatchedProcess) -> int:
        return int(self._logs[watched.process.pid].read_text())

    def ends(self, pid: int) -> None:
        wait_until(lambda: not self.lives(pid), what=f"{pid} to end")

    def lives(self, pid: int) -> bool:
        return processes.start_ticks(pid) is not None

    @contextmanager
    def somebody_listens(self) -> Iterator[tuple[int, int]]:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            yield os.getpid(), server.getsockname()[1]

    def end(self) -> None:
        for pid in self._logs:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)

    def _script(self, what: str) -> str:
        path = self._folder / what
        path.write_text(f"#!/bin/sh\n{SCRIPTS[what]}\n")
        path.chmod(0o700)
        return str(path)

    def _new_log(self) -> Path:
        return self._folder / f"{len(self._logs)}.log"

    def _has_begun(self, watched: WatchedProcess, what: str, log: Path) -> None:
        self._logs[watched.process.pid] = log
        if "echo" in SCRIPTS[what]:
            wait_until(lambda: "\n" in log.read_text(), what=f"a member that {what}")


class FakeMachine:
    """The same without anything real."""

    def __init__(self) -> None:
        self.fakes = FakeProcesses()
        self.processes: Processes = self.fakes
        self.ports: Ports = self.fakes
        self._children: dict[int, FakeProcess] = {}

    def start(self, what: str, *, tag: str = TAG) -> WatchedProcess:
        spec = AgentSpec(agent_type="Worker", executable="/bin/service")
        watched = self.processes.spawn(spec, member=tag, port=1, environment={}, log_path=Path("unused"))
        process = self.fakes.process(watched.process.pid)
        if what.endswith("a child"):
            self._children[process.pid] = self.fakes.fork(process)
        match what:
            case "exits with 0" | "leaves a child":
                self.fakes.exit(process)
            case "exits with 3":
                self.fakes.exit(process, 3)
            case "aborts":
                self.fakes.crash(process, signal.SIGABRT)
            case "ignores SIGTERM":
                process.ignores = {signal.SIGTERM}
            case "exits with 7 when asked":
                process.code_when_asked = 7
        return watched

    def adopted(self, what: str) -> WatchedProcess:
        former = self.start(what)
        self.fakes.disown(TAG)
        watched = self.processes.watch(former.process)
        assert watched is not None
        self.processes.forget(former)
        return watched

    def ended(self, watched: WatchedProcess) -> WatchedProcess:
        assert self.fakes.wait(watched, timeout_s=10)
        return watched

    def child_of(self, watched: WatchedProcess) -> int:
        return self._children[watched.process.pid].pid

    def ends(self, pid: int) -> None:
        assert not self.lives(pid)

    def lives(self, pid: int) -> bool:
        return self.fakes.start_ticks(pid) is not None

    @contextmanager
    def somebody_listens(self) -> Iterator[tuple[int, int]]:
        stranger = self.fakes.start("python", port=self.fakes.free_port("localhost"))
        assert stranger.port is not None
        yield stranger.pid, stranger.port
        self.fakes.exit(stranger)


@pytest.fixture(params=["real", "fake"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    if request.param == "fake":
        yield FakeMachine()
        return
    real = RealMachine(tmp_path)
    yield real
    real.end()


@pytest.mark.parametrize(
    ("what", "reason", "is_normal"),
    [
        ("exits with 0", "exited with code 0", True),
        ("exits with 3", "exited with code 3", False),
        ("aborts", "killed by SIGABRT", False),
    ],
)
def test__end__is_told_as_it_was(machine: Machine, what: str, reason: str, is_normal: bool) -> None:  # noqa: FBT001 - a parameter of the table
    ending = machine.processes.reap(machine.ended(machine.start(what)))
    assert (ending.reason, ending.normal) == (reason, is_normal)


@pytest.mark.parametrize(
    ("what", "number", "reason"),
    [
        ("sleeps", signal.SIGTERM, "killed by SIGTERM"),
        ("sleeps", signal.SIGKILL, "killed by SIGKILL"),
        ("exits with 7 when asked", signal.SIGTERM, "exited with code 7"),
        ("ignores SIGTERM", signal.SIGKILL, "killed by SIGKILL"),
    ],
)
def test__signal__ends_as_the_process_wants(machine: Machine, what: str, number: signal.Signals, reason: str) -> None:
    watched = machine.start(what)
    machine.processes.signal_group(watched, number)
    assert machine.processes.reap(machine.ended(watched)).reason == reason


def test__process_that_ignores_the_polite_signal__lives_on(machine: Machine) -> None:
    watched = machine.start("ignores SIGTERM")
    for _ in range(3):
        machine.processes.signal_group(watched, signal.SIGTERM)
    assert machine.lives(watched.process.pid)


def test__process_that_hangs__hears_the_polite_signal_when_it_goes_on(machine: Machine) -> None:
    watched = machine.start("exits with 7 when asked")
    for number in (signal.SIGSTOP, signal.SIGTERM):
        machine.processes.signal_group(watched, number)
    assert machine.lives(watched.process.pid)
    machine.processes.signal_group(watched, signal.SIGCONT)
    assert machine.processes.reap(machine.ended(watched)).reason == "exited with code 7"


def test__process_that_hangs__is_ended_by_sigkill(machine: Machine) -> None:
    watched = machine.start("sleeps")
    for number in (signal.SIGSTOP, signal.SIGKILL):
        machine.processes.signal_group(watched, number)
    assert machine.processes.reap(machine.ended(watched)).reason == "killed by SIGKILL"


def test__signal__reaches_the_children(machine: Machine) -> None:
    watched = machine.start("has a child")
    child = machine.child_of(watched)
    assert machine.lives(child)
    machine.processes.signal_group(watched, signal.SIGTERM)
    machine.ended(watched)
    machine.ends(child)


def test__kill__ends_the_process_and_not_its_children__and_may_come_too_late(machine: Machine) -> None:
    watched = machine.start("has a child")
    child = machine.child_of(watched)
    machine.processes.kill(watched)
    machine.ended(watched)
    assert machine.lives(child)
    machine.processes.kill(watched)
    machine.processes.reap(watched)
    machine.ends(child)


def test__kill__of_one_that_was_reaped__does_nothing(machine: Machine) -> None:
    watched = machine.start("exits with 0")
    again = machine.processes.watch_child(watched.process.pid)
    machine.processes.reap(machine.ended(watched))
    machine.processes.kill(again)
    machine.processes.forget(again)


def test__reap__ends_what_is_left_of_the_group(machine: Machine) -> None:
    watched = machine.ended(machine.start("leaves a child"))
    child = machine.child_of(watched)
    assert machine.lives(child)
    assert machine.processes.reap(watched).normal
    machine.ends(child)


def test__reap__closes_the_descriptor(machine: Machine) -> None:
    watched = machine.ended(machine.start("exits with 0"))
    machine.processes.reap(watched)
    with pytest.raises(OSError, match="Bad file descriptor"):
        machine.processes.forget(watched)


def test__adopted__its_end_is_never_normal_and_its_group_is_ended(machine: Machine) -> None:
    watched = machine.adopted("has a child")
    child = machine.child_of(watched)
    machine.processes.kill(watched)
    ending = machine.processes.reap(machine.ended(watched))
    assert (ending.reason, ending.normal) == (
        "ended (exit status unknown: an earlier supervisor had started it)",
        False,
    )
    machine.ends(child)


def test__watch__finds_the_same_live_process_only(machine: Machine) -> None:
    watched = machine.start("sleeps")
    again = machine.processes.watch(watched.process)
    assert again is not None
    assert again.process == watched.process
    machine.processes.forget(again)
    process = watched.process
    assert machine.processes.watch(ProcessId(pid=process.pid, start_ticks=process.start_ticks + 1)) is None
    machine.processes.signal_group(watched, signal.SIGKILL)
    machine.ended(watched)
    assert machine.processes.watch(process) is None, "a zombie is no live process"
    assert machine.processes.watch_pid(process.pid) is None
    machine.processes.reap(watched)
    assert machine.processes.watch(process) is None
    with pytest.raises(ProcessLookupError):
        machine.processes.watch_child(process.pid)


def test__watch_pid__names_the_process(machine: Machine) -> None:
    watched = machine.start("sleeps")
    found = machine.processes.watch_pid(watched.process.pid)
    assert found is not None
    assert found.process == watched.process
    machine.processes.forget(found)


def test__signal__to_a_group_that_has_ended__does_nothing(machine: Machine) -> None:
    watched = machine.ended(machine.start("exits with 0"))
    machine.processes.signal_group(watched, signal.SIGTERM)
    assert machine.processes.reap(watched).normal


def test__find_tagged__finds_live_leaders_by_the_beginning(machine: Machine) -> None:
    watched = machine.start("has a child")
    assert machine.processes.find_tagged("contract-of-processes ") == {watched.process: "Worker/1 3 5161"}
    assert machine.processes.is_tagged(watched.process, "contract-of-processes Worker/1 ")
    assert not machine.processes.is_tagged(watched.process, "contract-of-processes Worker/2 ")
    machine.processes.kill(watched)
    machine.ended(watched)
    assert not machine.processes.find_tagged("contract-of-processes "), "its child is not the member"
    machine.processes.reap(watched)


def test__memory__of_live_processes_only(machine: Machine) -> None:
    watched = machine.start("sleeps")
    assert machine.processes.rss_bytes(watched.process.pid)
    machine.processes.kill(watched)
    machine.ended(watched)
    assert machine.processes.rss_bytes(watched.process.pid) is None
    machine.processes.reap(watched)


def test__what_cannot_be_started__is_an_error(machine: Machine) -> None:
    spec = AgentSpec(agent_type="Worker")
    with pytest.raises(SpawnError, match="agent Worker has no executable; set executablePath"):
        machine.processes.spawn(spec, member=TAG, port=1, environment={}, log_path=Path("/dev/null"))


def test__port__is_taken_by_who_listens(machine: Machine) -> None:
    with machine.somebody_listens() as (pid, port):
        assert machine.ports.is_taken("localhost", port)
        holder = machine.ports.holder_of(port)
        assert holder.pid == pid
        assert holder.text.startswith(f"pid {pid} (")
    assert not machine.ports.is_taken("localhost", port)
    nobody = machine.ports.holder_of(port)
    assert (nobody.pid, nobody.text) == (None, "a process of another user")


def test__free_port__is_not_taken(machine: Machine) -> None:
    port = machine.ports.free_port("localhost")
    assert not machine.ports.is_taken("localhost", port)
