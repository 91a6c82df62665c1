"""Found by chaos: what a full disk did to the launcher, and to the folder of its files."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.waiting import wait_until

from quaestor_actors.adapters import runtime_directory
from quaestor_actors.adapters.runtime_directory import SystemRecord, write_atomically
from quaestor_actors.system.publication import Publication

RECORD = SystemRecord(admin_port=1, root_address="127.0.0.1:2")


@contextmanager
def no_room() -> Iterator[None]:
    """Let no file of this process grow, as if there were no room for it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test__write_atomically__no_room__old_content_stays_and_nothing_is_left_behind(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", "old")
    with no_room(), pytest.raises(OSError, match="File too large"):
        write_atomically(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test__publish__no_room__is_said_once_and_made_up_for_later(tmp_path: Path) -> None:
    said: list[str] = []
    publication = Publication(tmp_path, said.append)
    with no_room():
        publication.publish(RECORD)
        publication.publish(RECORD)
        assert publication.retry_at is not None
    assert len(said) == 1
    assert "members are kept, but commands do not find this cluster" in said[0]

    def is_published() -> bool:
        publication.retry()
        return runtime_directory.read_system_record(tmp_path) == RECORD

    wait_until(is_published, what="the record")
    assert said[1:] == ["commands find this cluster again"]
    assert publication.retry_at is None


def test__withdraw__before_there_was_room__nothing_is_written_any_more(tmp_path: Path) -> None:
    publication = Publication(tmp_path, lambda _: None)
    with no_room():
        publication.publish(RECORD)
    publication.withdraw()
    assert publication.retry_at is None
    publication.retry()
    assert runtime_directory.read_system_record(tmp_path) is None
