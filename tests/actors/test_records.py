"""What a host gives away of its records: only those of its cluster, and no more than a page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from quaestor_actors.actors.records import PAGE_BYTES, answer
from quaestor_actors.actors.records_messages import EventsReply, EventsRequest, MemberOutput, OutputReply, OutputRequest
from quaestor_actors.adapters.event_log import EventLog
from quaestor_actors.core.event import Event, EventKind

EVENT = Event(at=1.0, kind=EventKind.MEMBER, subject="W/1", before=None, after="starting", reason="cluster start")


def events(directory: Path, *selectors: str, page_bytes: int = PAGE_BYTES, **more: object) -> EventsReply:
    request = EventsRequest(request_id="7", selectors=selectors, **more)  # type: ignore[arg-type]  # the fields' types are mixed
    reply = answer(directory, request, page_bytes=page_bytes)
    assert isinstance(reply, EventsReply)
    assert reply.request_id == "7"
    return reply


def outputs(directory: Path, *selectors: str, page_bytes: int = PAGE_BYTES, **more: object) -> OutputReply:
    request = OutputRequest(request_id="7", selectors=selectors, **more)  # type: ignore[arg-type]  # the fields' types are mixed
    reply = answer(directory, request, page_bytes=page_bytes)
    assert isinstance(reply, OutputReply)
    return reply


def only(reply: OutputReply) -> MemberOutput:
    (output,) = reply.outputs
    return output


@pytest.fixture
def busy(tmp_path: Path) -> Path:
    """Return a directory in which W has had 100 events, and V one."""
    EventLog(tmp_path / "W.events").append(replace(EVENT, at=float(at)) for at in range(100))
    EventLog(tmp_path / "V.events").append([replace(EVENT, at=50.5, subject="V/1")])
    return tmp_path


def test__events__newest_in_order(busy: Path) -> None:
    reply = events(busy, count=3)
    assert ([event.at for event in reply.events], reply.is_cut) == ([97, 98, 99], False)
    reply = events(busy, "V", since=10.0)
    assert ([event.at for event in reply.events], reply.is_cut) == ([50.5], False)


def test__events__of_a_page__with_what_is_missing_said(busy: Path) -> None:
    size = (busy / "W.events").stat().st_size // 100
    reply = events(busy, page_bytes=20 * size)
    assert reply.is_cut
    assert len(reply.events) < 20
    assert reply.events[-1].at == 99
    assert events(busy, "V", page_bytes=20 * size).is_cut
    assert not events(busy, page_bytes=20 * size, since=95.0).is_cut
    assert not events(busy, page_bytes=20 * size, count=2).is_cut


def test__output__last_lines_and_what_follows(tmp_path: Path) -> None:
    path = tmp_path / "W-1.log"
    path.write_text("one\ntwo\nthree\n")
    before = only(outputs(tmp_path, "W/1", count=2))
    assert (before.lines, before.is_cut) == ((b"two", b"three"), False)
    with path.open("a") as file:
        file.write("four\nfi")
    after = only(outputs(tmp_path, "W/1", positions=(("W/1", before.position),)))
    assert after.lines == (b"four",)
    with path.open("a") as file:
        file.write("ve\n")
    assert only(outputs(tmp_path, "W/1", positions=(("W/1", after.position),))).lines == (b"five",)


@pytest.mark.parametrize("text", ["x" * 99 + "\n", "x" * 9_999 + "\n"])
def test__output__of_a_page__with_what_is_missing_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "W-1.log").write_text(text * 1000)
    (tmp_path / "W-1.log.1").write_text(text * 1000)
    found = only(outputs(tmp_path, "W/1", page_bytes=1000))
    assert found.is_cut
    assert 0 < sum(map(len, found.lines)) <= 1000


@pytest.mark.parametrize("text", ["../secret/1", "secret", "/etc/passwd", "W/../../1", "system", ""])
def test__output__is_of_members_alone(tmp_path: Path, text: str) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    for name in ("secret-1.log", "logs/W-1.log", "logs/system.log"):
        (tmp_path / name).write_text("what is in it\n")
    reply = outputs(directory, text)
    assert (reply.outputs, reply.unknown) == ((), (text,))
