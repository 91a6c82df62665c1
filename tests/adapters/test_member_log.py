"""Rotation of the files that live processes append to, and the last words in them."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from quaestor_actors.adapters import member_log
from quaestor_actors.adapters.member_log import LogRotationError

ECHO = """
import os, sys
for line in sys.stdin:
    os.write(1, line.encode())
    os.write(2, b"x")
"""
"""Appends each line that it is given to its output, then says on the other pipe that it has."""

BUSY = """
import os, select
number = 0
while not select.select([0], [], [], 0)[0]:
    for number in range(number, number + 100):
        os.write(1, b"%08d\\n" % number)
    number += 1
"""
"""Appends numbered lines without pause until its input ends."""


class Member:
    """A process that appends to a file, as members do, and says when it has."""

    def __init__(self, log: Path) -> None:
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.process = subprocess.Popen(
            [sys.executable, "-c", ECHO], stdin=subprocess.PIPE, stdout=descriptor, stderr=subprocess.PIPE, text=True
        )
        os.close(descriptor)

    def says(self, line: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stderr is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        assert self.process.stderr.read(1) == "x"

    def end(self) -> None:
        self.process.communicate(timeout=10)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "Worker-1.log"


@pytest.fixture
def member(log: Path) -> Iterator[Member]:
    made = Member(log)
    yield made
    made.end()


def rotated(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test__rotate__under_a_live_process__moves_its_output_and_it_goes_on(log: Path, member: Member) -> None:
    inode = log.stat().st_ino
    for word in ("one", "two", "three"):
        member.says(word)
        assert member_log.rotate(log, max_bytes=1, files=5)
    member.says("four")
    assert log.read_text() == "four\n"
    assert [rotated(log, number).read_text() for number in (1, 2, 3)] == ["three\n", "two\n", "one\n"]
    assert log.stat().st_ino == inode
    assert member.process.poll() is None
    assert names_in(log.parent) == [log.name, *(f"{log.name}.{number}" for number in (1, 2, 3))]


def test__rotated_file__is_private(log: Path) -> None:
    log.write_text("secret")
    old_umask = os.umask(0)
    try:
        member_log.rotate(log, max_bytes=1, files=1)
    finally:
        os.umask(old_umask)
    assert rotated(log, 1).stat().st_mode & 0o777 == 0o600


def test__rotate__older_than_files__are_dropped(log: Path) -> None:
    for number in range(7):
        log.write_text(str(number))
        member_log.rotate(log, max_bytes=1, files=5)
    assert [rotated(log, number).read_text() for number in range(1, 6)] == ["6", "5", "4", "3", "2"]
    log.write_text("7")
    member_log.rotate(log, max_bytes=1, files=2)
    assert names_in(log.parent) == [log.name, f"{log.name}.1", f"{log.name}.2"]
    assert [rotated(log, number).read_text() for number in (1, 2)] == ["7", "6"]


def test__rotate__with_a_gap_in_the_numbers__keeps_what_there_is(log: Path) -> None:
    rotated(log, 2).write_text("old")
    log.write_text("new")
    member_log.rotate(log, max_bytes=1, files=5)
    assert names_in(log.parent) == [log.name, f"{log.name}.1", f"{log.name}.3"]


def test__rotate__no_files_kept__only_empties(log: Path, member: Member) -> None:
    member.says("one")
    assert member_log.rotate(log, max_bytes=1, files=0)
    member.says("two")
    assert log.read_text() == "two\n"
    assert names_in(log.parent) == [log.name]


@pytest.mark.parametrize(("content", "max_bytes", "due"), [("12345", 5, True), ("1234", 5, False), ("12345", 0, False)])
def test__rotate__is_due__from_max_bytes_on(log: Path, content: str, max_bytes: int, due: bool) -> None:  # noqa: FBT001 - a parameter of the table
    log.write_text(content)
    assert member_log.rotate(log, max_bytes=max_bytes, files=1) is due
    assert log.read_text() == ("" if due else content)


def test__rotate__no_such_file_or_no_regular_one__does_nothing(log: Path) -> None:
    assert not member_log.rotate(log, max_bytes=1, files=1)
    log.mkdir()
    (log / "long enough").touch()
    with pytest.raises(LogRotationError, match="Is a directory"):
        member_log.rotate(log, max_bytes=1, files=1)


def test__rotate__written_during_the_copy__is_in_it(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log.write_text("before\n")
    send, late = os.sendfile, ["and after\n", "during\n"]

    def send_then_write(target: int, source: int, offset: int, count: int) -> int:
        sent = send(target, source, offset, count)
        if late:
            with log.open("a") as writer:
                writer.write(late.pop())
        return sent

    monkeypatch.setattr(os, "sendfile", send_then_write)
    member_log.rotate(log, max_bytes=1, files=1)
    assert rotated(log, 1).read_text() == "before\nduring\nand after\n"
    assert log.read_text() == ""


def test__rotate__a_writer_as_fast_as_the_copy__does_not_hold_it_up(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log.write_text("x")
    send = os.sendfile

    def send_then_write(target: int, source: int, offset: int, count: int) -> int:
        with log.open("a") as writer:
            writer.write("x")
        return send(target, source, offset, count)

    monkeypatch.setattr(os, "sendfile", send_then_write)
    assert member_log.rotate(log, max_bytes=1, files=1)


def test__rotate__under_a_busy_writer__keeps_order_and_doubles_nothing(log: Path) -> None:
    with log.open("ab") as output:
        writer = subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=output)
    rotations = 0
    while rotations < 50:
        rotations += member_log.rotate(log, max_bytes=20_000, files=50)
        assert writer.poll() is None
    writer.communicate(timeout=10)
    assert writer.returncode == 0
    parts = [rotated(log, number).read_bytes() for number in range(rotations, 0, -1)]
    lines = b"".join([*parts, log.read_bytes()]).splitlines()
    numbers = [int(line) for line in lines if len(line) == 8]
    assert numbers == sorted(set(numbers))
    gaps = sum(after != before + 1 for before, after in pairwise(numbers))
    assert gaps <= rotations, "what is lost is lost at an emptying"


def no_space(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test__rotate__no_space__is_told_and_changes_nothing(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log.write_text("content")
    rotated(log, 1).write_text("older")
    monkeypatch.setattr(os, "sendfile", no_space)
    with pytest.raises(
        LogRotationError, match=r"cannot rotate .*Worker-1\.log: No space left on device; give"
    ) as caught:
        member_log.rotate(log, max_bytes=1, files=2)
    assert caught.value.path == log
    assert log.read_text() == "content"
    assert rotated(log, 1).read_text() == "older"
    assert names_in(log.parent) == [log.name, f"{log.name}.1"]


def test__rotate__killed_half_way__is_mended_by_the_next(log: Path) -> None:
    log.write_text("all of it")
    log.with_name(f"{log.name}.new").write_text("a longer left-over of the one that was killed")
    member_log.rotate(log, max_bytes=1, files=1)
    assert rotated(log, 1).read_text() == "all of it"
    assert names_in(log.parent) == [log.name, f"{log.name}.1"]


def test__rotate__a_link__is_refused(log: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("content")
    log.symlink_to(elsewhere)
    with pytest.raises(LogRotationError):
        member_log.rotate(log, max_bytes=1, files=1)
    assert elsewhere.read_text() == "content"


def test__rotation_error__crosses_process_borders(log: Path) -> None:
    error = LogRotationError(log, "why")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (again.path, again.cause, str(again)) == (log, "why", str(error))


def test__size__of_what_is_there_and_what_is_not(log: Path) -> None:
    assert member_log.size(log) == 0
    log.write_text("1234")
    assert member_log.size(log) == 4
    assert member_log.size(log / "below a file") == 0


def test__last_lines__are_those_of_this_incarnation(log: Path, member: Member) -> None:
    member.says("from an earlier life")
    since = member_log.size(log)
    assert member_log.last_lines(log, since=since) == ""
    for line in ("one", "two", "", "three"):
        member.says(line)
    assert member_log.last_lines(log, since=since) == "one | two | three"
    assert member_log.last_lines(log, since=since, count=2) == "two | three"
    assert member_log.last_lines(log, since=0, count=9) == "from an earlier life | one | two | three"


def test__last_lines__after_a_rotation__begin_at_the_start(log: Path, member: Member) -> None:
    member.says("a long line of an earlier life")
    since = member_log.size(log)
    member_log.rotate(log, max_bytes=1, files=1)
    member.says("short")
    assert member_log.last_lines(log, since=since) == "short"


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"no end", "no end"),
        (b"a\r\nb\rc\n", "a | b | c"),
        (b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07text\n", "red text"),
        (b"bell\x07 tab\there nul\0 c1\xc2\x9b31m\n", "bell tab here nul c1 31m"),
        ("\u202eturned \u2028 round\n".encode(), "turned round"),
        (b"\xff\xfe\x80 binary\n", "\ufffd binary"),
        ("größer ✓\n".encode(), "größer ✓"),
        (b" \n\t\n\x00\n", ""),
        (b"", ""),
    ],
)
def test__last_lines__are_printable(log: Path, content: bytes, shown: str) -> None:
    log.write_bytes(content)
    assert member_log.last_lines(log, since=0) == shown


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (["1234567", "1234567", "tail"], "1234567 | tail"),
        (["first", "y" * 30], "y" * 19 + "…"),
        (["first", "y" * 20], "y" * 20),
        (["x" * 30, "y"], "y"),
    ],
)
def test__last_lines__fit(log: Path, lines: list[str], shown: str) -> None:
    log.write_text("\n".join(lines))
    assert member_log.last_lines(log, since=0, max_chars=20) == shown


def test__last_lines__of_a_huge_file__show_no_torn_line(log: Path) -> None:
    log.write_text("x" * 100_000 + "\nlast\n")
    assert member_log.last_lines(log, since=0) == "last"
    log.write_text("x" * 100_000)
    assert member_log.last_lines(log, since=0) == "x" * 199 + "…"


def test__last_lines__of_nothing__are_none(log: Path) -> None:
    assert member_log.last_lines(log, since=0) == ""
    log.mkdir()
    assert member_log.last_lines(log, since=5) == ""
