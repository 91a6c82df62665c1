"""An administrator that its launcher has given up ends itself, or is ended."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection

import pytest

from quaestor_actors.adapters.proc_stat import start_ticks
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.system.admin_record import AdminRecord

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

FORK = multiprocessing.get_context("fork")


def administrator(record: AdminRecord, said: Connection, go: Connection | None = None) -> None:
    if go is not None:
        go.recv()
    said.send((record.sign_in(), ProcessId(pid=os.getpid(), start_ticks=start_ticks(os.getpid()) or 0)))


def run(record: AdminRecord, meanwhile: Callable[[], object] = lambda: None) -> tuple[bool, ProcessId]:
    """Fork an administrator that signs in after something has happened; return what it found, and who it was."""
    (heard, said), (told, go) = FORK.Pipe(duplex=False), FORK.Pipe(duplex=False)
    process = FORK.Process(target=administrator, args=(record, said, told))
    process.start()
    meanwhile()
    go.send(None)
    answer: tuple[bool, ProcessId] = heard.recv()
    process.join()
    return answer


def test__administrator_that_is_wanted__is_known_to_its_launcher() -> None:
    record = AdminRecord()
    assert record.process is None
    record.expect()
    wanted, process = run(record)
    assert wanted
    assert record.process == process


def test__administrator_that_comes_too_late__is_not_wanted() -> None:
    record = AdminRecord()
    record.expect()
    wanted, process = run(record, record.dismiss)
    assert not wanted
    assert record.process == process


def test__administrator_that_was_given_up__is_not_taken_for_the_next_one() -> None:
    record = AdminRecord()
    record.expect()

    def give_up_and_try_again() -> None:
        record.dismiss()
        record.expect()

    wanted, _ = run(record, give_up_and_try_again)
    assert not wanted
    wanted, process = run(record)
    assert wanted
    assert record.process == process


def test__launcher_that_gives_up__is_told_whom_to_end() -> None:
    record = AdminRecord()
    record.expect()
    _, process = run(record)
    assert record.dismiss() == process
    record.expect()
    assert record.process is None
