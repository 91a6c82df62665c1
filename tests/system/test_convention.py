"""Hosts find each other, lose each other, and none of them is special."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from support.ports import free_port
from support.waiting import wait_until

TESTS = Path(__file__).parents[1]
PATIENCE_S = 15.0
"""How soon it is has been measured elsewhere; on a busy machine it is enough that it comes true."""


class Host:
    """A process that has an address of its own, and what it has heard of the others."""

    def __init__(self, folder: Path, address: str, port: int) -> None:
        self.folder, self.address, self.port = folder, address, port
        self.name = f"{address}:{port}"
        self.heard: list[tuple[float, str, str, str]] = []
        self.process: subprocess.Popen[str] | None = None
        folder.mkdir()

    def start(self, *others: Host) -> None:
        command = [sys.executable, "-m", "support.tiny_hosts", str(self.folder), self.address, str(self.port)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
        self.heard.clear()
        self.process = subprocess.Popen(
            [*command, *(other.name for other in others)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            at, what, peer, *rest = line.split()
            self.heard.append((float(at), what, peer, " ".join(rest)))

    def knows(self, other: Host) -> tuple[str, str] | None:
        """Return what was heard last of another host, and its capability."""
        return next(((what, tiny) for _, what, peer, tiny in reversed(self.heard) if peer == other.name), None)

    def say(self, capability: str) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(capability + "\n")
        self.process.stdin.flush()

    def everything(self) -> list[psutil.Process]:
        assert self.process is not None
        launcher = psutil.Process(self.process.pid)
        return [launcher, *launcher.children(recursive=True)]

    def signal(self, number: signal.Signals) -> None:
        for process in self.everything():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def end(self) -> None:
        """End everything at once, as when the power fails."""
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGKILL)
            self.process.wait(10)
        if self.process is not None:
            for stream in (self.process.stdin, self.process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    stream.close()  # type: ignore[union-attr] - both are pipes


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[Host]]:
    """Yield three hosts that know of each other, started one after the other."""
    found = [Host(tmp_path / f"a{number}", f"127.0.0.{number}", free_port()) for number in (1, 2, 3)]
    try:
        for host in found:
            host.start(*(other for other in found if other is not host))
        wait_until(lambda: all_know(found), PATIENCE_S, "everybody to know everybody")
        yield found
    finally:
        for host in found:
            host.end()


def all_know(hosts: list[Host]) -> bool:
    return all((host.knows(other) or ("", ""))[0] == "there" for host in hosts for other in hosts if other is not host)


def everybody(hosts: list[Host], condition: Callable[[Host], bool]) -> Callable[[], bool]:
    return lambda: all(condition(host) for host in hosts)


@pytest.mark.parametrize("victim", [0, 1, 2])
def test__host_that_is_killed__is_lost_everywhere_and_the_others_keep_each_other(
    hosts: list[Host], victim: int
) -> None:
    lost = hosts[victim]
    rest = [host for host in hosts if host is not lost]
    before = [len(host.heard) for host in rest]
    lost.end()
    wait_until(everybody(rest, lambda host: host.knows(lost) == ("lost", "")), PATIENCE_S, "it to be lost")
    assert [len(host.heard) for host in rest] == [number + 1 for number in before]
    lost.start(*rest)
    wait_until(lambda: all_know(hosts), PATIENCE_S, "it to be back")


def test__host_that_stood_still__is_lost_and_comes_back_by_itself(hosts: list[Host]) -> None:
    still, *rest = hosts
    still.signal(signal.SIGSTOP)
    wait_until(everybody(rest, lambda host: host.knows(still) == ("lost", "")), PATIENCE_S, "it to be lost")
    still.signal(signal.SIGCONT)
    wait_until(lambda: all_know(hosts), PATIENCE_S, "it to be back")


def test__capability_that_changes__is_told_at_once(hosts: list[Host]) -> None:
    first, *rest = hosts
    first.say("here.i.am")
    wait_until(everybody(rest, lambda host: host.knows(first) == ("there", "here.i.am")), PATIENCE_S, "the news")


def test__host_that_leaves_in_order__is_gone_at_once(hosts: list[Host]) -> None:
    leaving, *rest = hosts
    assert leaving.process is not None
    assert leaving.process.stdin is not None
    leaving.process.stdin.close()
    wait_until(everybody(rest, lambda host: host.knows(leaving) == ("lost", "")), PATIENCE_S, "it to be gone")
    assert leaving.process.wait(10) == 0


def test__nothing_happens__nothing_is_told(hosts: list[Host]) -> None:
    before = [list(host.heard) for host in hosts]
    since = time.monotonic()
    # A false alarm is what is waited for; it would come within the silence that is allowed.
    with pytest.raises(TimeoutError):
        wait_until(lambda: [host.heard for host in hosts] != before, 4, "a false alarm")
    assert time.monotonic() - since >= 4
