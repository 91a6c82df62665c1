"""The files that members' output goes to: rotated behind the writers' backs, and read for what a member said last.

A member appends to its file by itself, so that its output survives the supervisor. It is told nothing of a rotation,
and nothing but its output is ever in the file.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from quaestor_actors.errors import QuaestorError

_PRIVATE = 0o600
_PASSES = 16
_LARGEST_PASS = 16 << 20
"""Bounds of the catching up: a writer that is as fast as the copy would never be caught up with."""
_TAIL_BYTES = 8192
"""As much of the end of a file as is looked at for its last lines."""
_RAW_FACTOR = 8
"""As many characters of a line are looked at for each one that may be shown; colours and the like take the others."""
_SEPARATOR = " | "
_CUT = "…"
_TERMINAL_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
"""Colours, titles and the like, as ECMA-48 builds them."""
_UNREADABLE = re.compile("\ufffd{2,}")


class LogRotationError(QuaestorError):
    """A member's output could not be rotated; it goes on in the same file, and nothing of it is lost."""

    def __init__(self, path: Path, cause: str) -> None:
        """Take the file and what the system said."""
        super().__init__(
            f"cannot rotate {path}: {cause}; give its folder room and this user the right to write there, "
            "or lower maxBytes or files"
        )
        self.path = path
        self.cause = cause

    def __reduce__(self) -> tuple[type[LogRotationError], tuple[Path, str]]:
        """Cross process borders with the facts rather than with their text."""
        return type(self), (self.path, self.cause)


def size(path: Path) -> int:
    """Return the bytes in a file; 0 if there is none, or none that can be looked at."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def rotate(path: Path, *, max_bytes: int, files: int) -> bool:
    """Move the content of a file of at least `max_bytes` into `NAME.1`, the former `NAME.1` to `NAME.2`, and so on.

    The file itself stays, emptied, because a live process has it open for appending. What the process writes during
    the copy is copied too; lost is only what it writes between the read that finds the end of the file and the
    emptying that follows at once. That takes microseconds, so only a process that writes without pause gets anything
    in; while the two contend for the file it may be some tens of lines.
    If this process is killed half-way, the content may be in both files; it is never in neither. The caller waits for
    the copy, some milliseconds for 10 MB.

    Args:
        path: the file; it need not exist.
        max_bytes: the size from which it is rotated; 0 means never.
        files: how many rotated files are kept, older ones are deleted; with 0 the file is only emptied.

    Returns:
        Whether it was rotated.

    Raises:
        LogRotationError: no space, no permission, a symbolic link. The file is as it was; the oldest rotated file
            may be gone already, to make room.
    """
    if not 0 < max_bytes <= size(path):
        return False
    try:
        source = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(source).st_mode):
                return False
            if files > 0:
                _move_content(path, source, files)
            os.ftruncate(source, 0)
        finally:
            os.close(source)
    except OSError as error:
        raise LogRotationError(path, error.strerror or str(error)) from error
    return True


def _move_content(path: Path, source: int, files: int) -> None:
    """Copy everything, to the end of the file as it is when this returns."""
    unfinished = path.with_name(f"{path.name}.new")
    _drop(path, files)
    copy = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE)
    try:
        try:
            copied = _copy(source, copy)
        except OSError:
            unfinished.unlink()
            raise
        for number in range(files - 1, 0, -1):
            _if_there(_numbered(path, number).replace, _numbered(path, number + 1))
        unfinished.replace(_numbered(path, 1))
        # Last, so that next to nothing is between the read that finds no more and the caller's truncation.
        _catch_up(source, copy, copied)
    finally:
        os.close(copy)


def _copy(source: int, target: int) -> int:
    """Append what a file holds now to another, inside the kernel; return where that ended."""
    offset, end = 0, os.fstat(source).st_size
    while offset < end and (count := os.sendfile(target, source, offset, end - offset)):
        offset += count
    return offset


def _catch_up(source: int, target: int, offset: int) -> None:
    """Append what was written since; each pass goes on to the end that the file has by then."""
    for _ in range(_PASSES):
        count = os.sendfile(target, source, offset, _LARGEST_PASS)
        if count == 0:
            return
        offset += count


def _drop(path: Path, first: int) -> None:
    """Delete the rotated files from a number on, before the copy, which may need their space."""
    number = first
    while _if_there(_numbered(path, number).unlink):
        number += 1


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _if_there(action: Callable[..., object], *arguments: Path) -> bool:
    try:
        action(*arguments)
    except FileNotFoundError:
        return False
    return True


def last_lines(path: Path, *, since: int, count: int = 3, max_chars: int = 200) -> str:
    """Return the last lines that were written to a file since it had a certain size, as one printable line.

    Empty lines are left out, control characters and colours too; other lines are joined by ` | `. Of a line that is
    too long by itself the beginning is kept, where programs say what is wrong. Bytes that are no UTF-8 appear as
    replacement characters.

    Args:
        path: the file.
        since: its size when the writer started. A file that is shorter now was rotated meanwhile: all in it counts.
        count: how many lines at most.
        max_chars: of the whole result.

    Returns:
        The lines, oldest first; empty if there are none or the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            end = os.fstat(file.fileno()).st_size
            begin = since if since <= end else 0
            start = max(begin, end - _TAIL_BYTES)
            file.seek(start)
            text = file.read(_TAIL_BYTES).decode(errors="replace")
    except OSError:
        return ""
    pieces = text.replace("\r", "\n").split("\n")
    if start > begin and len(pieces) > 1:
        # Its beginning is outside of what was read.
        del pieces[0]
    # A member is down while this runs, so only what will be shown is looked at.
    shown = (line for piece in reversed(pieces) if piece and (line := _printable(piece[: max_chars * _RAW_FACTOR])))
    return _joined(list(islice(shown, count)), max_chars)


def _printable(text: str) -> str:
    plain = _TERMINAL_SEQUENCE.sub("", text)
    if not plain.isprintable():
        plain = "".join(char if char.isprintable() else " " for char in plain)
    return " ".join(_UNREADABLE.sub("\ufffd", plain).split())


def _joined(newest_first: list[str], max_chars: int) -> str:
    """Join as many of the last lines as there is room for; the very last is cut rather than left out."""
    if not newest_first:
        return ""
    last = newest_first[0]
    joined = last if len(last) <= max_chars else last[: max_chars - len(_CUT)] + _CUT
    for line in newest_first[1:]:
        longer = line + _SEPARATOR + joined
        if len(longer) > max_chars:
            break
        joined = longer
    return joined
