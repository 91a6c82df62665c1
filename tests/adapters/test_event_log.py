"""The ring of events on disk."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from quaestor_actors.adapters.event_log import EventFollower, EventLog, older_of, read
from quaestor_actors.core.event import Event, EventKind, to_document

EVENT = Event(at=1.0, kind=EventKind.MEMBER, subject="W/1", before=None, after="starting", reason="cluster start")
LINE_BYTES = len(json.dumps(to_document(EVENT), separators=(",", ":"))) + 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "W.events"


def numbered(first: int, last: int) -> list[Event]:
    return [replace(EVENT, at=float(number)) for number in range(first, last + 1)]


def test__events__are_read_in_order_by_anybody_who_may(path: Path) -> None:
    log = EventLog(path)
    log.append(numbered(1, 2))
    log.append(numbered(3, 3))
    assert list(read(path)) == numbered(1, 3)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test__successor__goes_on_in_the_same_ring(path: Path) -> None:
    EventLog(path).append(numbered(1, 1))
    EventLog(path).append(numbered(2, 2))
    assert list(read(path)) == numbered(1, 2)


def test__full_ring__forgets_the_oldest_and_nothing_else(path: Path) -> None:
    log = EventLog(path, max_bytes=3 * LINE_BYTES)
    for event in numbered(1, 8):
        log.append([event])
    assert list(read(path)) == numbered(4, 8)
    assert path.stat().st_size + older_of(path).stat().st_size <= 6 * LINE_BYTES


def test__torn_line_and_nonsense__are_skipped(path: Path) -> None:
    EventLog(path).append(numbered(1, 1))
    with path.open("ab") as file:
        file.write(b'{"at":2.0,"kind":"memb\n\xff\xfe\n[]\n')
    EventLog(path).append(numbered(3, 3))
    assert [event.at for event in read(path)] == [1.0, 3.0]


def test__no_ring__has_no_events(path: Path) -> None:
    assert list(read(path)) == []


def test__link_in_its_place__is_not_followed(path: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        EventLog(path).append(numbered(1, 1))
    assert victim.read_text() == "precious"


def test__follower__sees_each_event_once_through_rotations(path: Path) -> None:
    log, follower = EventLog(path, max_bytes=3 * LINE_BYTES), EventFollower(path)
    assert follower.added() == []
    seen: list[Event] = []
    for event in numbered(1, 20):
        log.append([event])
        # Sometimes two are added between two looks.
        if event.at % 3:
            seen += follower.added()
    assert [*seen, *follower.added()] == numbered(1, 20)


def test__follower__begins_with_the_older_file(path: Path) -> None:
    log = EventLog(path, max_bytes=3 * LINE_BYTES)
    for event in numbered(1, 5):
        log.append([event])
    assert EventFollower(path).added() == list(read(path)) == numbered(1, 5)


def test__follower__waits_for_the_end_of_a_line(path: Path) -> None:
    follower = EventFollower(path)
    EventLog(path).append(numbered(1, 1))
    whole = json.dumps(to_document(numbered(2, 2)[0])).encode()
    with path.open("ab") as file:
        file.write(whole[:20])
        file.flush()
        assert follower.added() == numbered(1, 1)
        file.write(whole[20:] + b"\n")
    assert follower.added() == numbered(2, 2)
