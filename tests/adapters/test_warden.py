"""The warden ends what floats when the term that is written down is over, and ends itself when nothing floats."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import pytest
from support.waiting import wait_until

from quaestor_actors.adapters import processes, warden
from quaestor_actors.adapters.boot_clock import boot_clock
from quaestor_actors.adapters.floating_processes import FloatingProcesses
from quaestor_actors.adapters.proc_stat import start_ticks
from quaestor_actors.adapters.processes import MEMBER_VARIABLE, WatchedProcess
from quaestor_actors.adapters.state_file import StateFile
from quaestor_actors.adapters.term_file import RememberedTerm, TermFile
from quaestor_actors.core.agent import Group
from quaestor_actors.core.coordination_state import Term
from quaestor_actors.core.member import Member, MemberState
from quaestor_actors.core.placement import Slot
from quaestor_actors.core.process_id import ProcessId

WAIT_S = 60.0
SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")
WITH_CHILD = (
    sys.executable,
    "-c",
    "import subprocess, sys; subprocess.Popen(['sleep', '600'], start_new_session=True); print(flush=True); input()",
)

Started = subprocess.Popen[bytes]


class Place:
    """A state directory, and processes that say whose they are."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.started: list[Started] = []
        self.wardens: list[WatchedProcess] = []

    def run(self, tag: str | None, *command: str) -> Started:
        environment = {**os.environ, **({} if tag is None else {MEMBER_VARIABLE: f"{self.directory}/{tag}"})}
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen(command or SLEEP, env=environment, start_new_session=True, **streams)  # type: ignore[call-overload]  # two streams
        self.started.append(process)
        return process

    def note(self, agent: str, process: Started, *, foreign: bool = False) -> None:
        """Write a process down as an agent's first member."""
        ticks = start_ticks(process.pid)
        assert ticks is not None
        member = Member(
            member_id=f"{agent}/1",
            state=MemberState.SERVING,
            process=ProcessId(pid=process.pid, start_ticks=ticks),
            foreign=foreign,
        )
        StateFile(self.directory / f"{agent}.json").save(Group(members=MappingProxyType({f"{agent}/1": member})))

    def remember(self, *agents: str, ends_in_s: float | None) -> None:
        term = None if ends_in_s is None else Term(lease=1, ends_at=boot_clock() + ends_in_s)
        TermFile(self.directory).save(RememberedTerm(term=term, margin_s=0.5, agents=frozenset(agents)))

    def start_warden(self) -> WatchedProcess:
        started = warden.start(self.directory)
        self.wardens.append(started)
        return started

    def clean_up(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate()
        for each in {each.process: each for each in self.wardens}.values():
            processes.kill(each)
            assert processes.wait(each, timeout_s=WAIT_S)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.clean_up()


def test__processes__are_found_by_their_mark_and_by_what_is_written_down(place: Place) -> None:
    marked, noted = place.run("Cron.json Cron/2 1 5001"), place.run(None)
    place.note("A B", noted)
    others = [place.run("Other.json Other/1 1 0"), place.run("A.json A/1 1 0"), place.run(None)]
    place.note("Foreign", others[-1], foreign=True)
    floating = FloatingProcesses(place.directory)
    agents = ["Cron", "A B", "Foreign", "NeverStarted"]
    assert set(floating.end(agents, lambda slot: slot.number == 2).values()) == {Slot("Cron", 2)}
    assert marked.wait(WAIT_S) == -9
    assert noted.poll() is None
    assert set(floating.end(agents, lambda _: True).values()) == {Slot("A B", 1)}
    assert noted.wait(WAIT_S) == -9
    assert floating.end(agents, lambda _: True) == {}
    assert [each.poll() for each in others] == [None] * len(others)


def test__what_a_copy_has_started__is_ended_with_it(place: Place) -> None:
    leader = place.run("Cron.json Cron/1 1 0", *WITH_CHILD)
    assert leader.stdout is not None
    leader.stdout.readline()
    ended = FloatingProcesses(place.directory).end(["Cron"], lambda _: True)
    assert len(ended) == 2
    wait_until(lambda: not processes.find_marked(f"{place.directory}/"), WAIT_S, "both to end")


def test__term__is_over__everything_that_floats_is_ended_and_nothing_earlier(place: Place) -> None:
    copy, pinned = place.run("Cron.json Cron/1 1 0"), place.run("Worker.json Worker/1 1 0")
    place.remember("Cron", ends_in_s=3.0)
    ends_at = boot_clock() + 2.5
    place.start_warden()
    copy.wait(WAIT_S)
    assert boot_clock() >= ends_at - 0.1
    assert pinned.poll() is None
    # What is started by somebody who did not know it yet.
    assert place.run("Cron.json Cron/1 2 0").wait(WAIT_S) == -9


def test__renewed_term__is_waited_for(place: Place) -> None:
    copy = place.run("Cron.json Cron/1 1 0")
    place.remember("Cron", ends_in_s=2.0)
    place.start_warden()

    def is_long_over() -> bool:
        place.remember("Cron", ends_in_s=2.0)
        return boot_clock() > over_at

    over_at = boot_clock() + 4.0
    wait_until(is_long_over, WAIT_S, "the first term to be over")
    assert copy.poll() is None


def test__warden__is_one__and_ends_when_nothing_floats(place: Place) -> None:
    place.remember("Cron", ends_in_s=3.0)
    first = place.start_warden()
    wait_until(lambda: warden._at_work(place.directory), WAIT_S, "it to be at work")
    assert place.start_warden().process == first.process
    place.remember(ends_in_s=600.0)
    assert processes.wait(first, timeout_s=WAIT_S)
    second = place.start_warden()
    assert second.process != first.process
    assert processes.wait(second, timeout_s=WAIT_S)


def test__warden_that_finds_another_at_work__ends(place: Place) -> None:
    place.remember("Cron", ends_in_s=600.0)
    place.start_warden()
    wait_until(lambda: warden._at_work(place.directory), WAIT_S, "it to be at work")
    (place.directory / warden.LOCK_NAME).write_text("")
    assert processes.wait(place.start_warden(), timeout_s=WAIT_S)
