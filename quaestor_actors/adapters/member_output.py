"""What members have written: their files, also the rotated ones, read from the end, and followed through rotations."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from quaestor_actors.core.crossing import Crossing
from quaestor_actors.errors import OperationError

_BLOCK_BYTES = 65536
_LONGEST_READ = 4 << 20
"""As much is read of a file in one look; what is written faster is read in the next ones."""


def output_files(directory: Path) -> dict[str, Path]:
    """Return the file of each member that has ever had one, by the member's name."""
    found: dict[str, Path] = {}
    for path in directory.glob("*-*.log"):
        agent, _, position = path.stem.rpartition("-")
        if agent and position.isdecimal():
            found[f"{agent}/{position}"] = path
    return dict(sorted(found.items(), key=lambda item: (item[0].rpartition("/")[0], int(item[0].rpartition("/")[2]))))


def last_lines(path: Path, wanted: int | None, *, end: int | None = None, at_most: int | None = None) -> list[bytes]:
    """Return the last lines of a file and of those that it was rotated into, the oldest first.

    Args:
        path: the file.
        wanted: how many; None: all.
        end: where to stop in the file; None: at its end.
        at_most: bytes after which no more is looked for; the first line may be without its beginning then.

    Raises:
        OperationError: a file cannot be read.
    """
    lines: list[bytes] = []
    room = at_most
    for file in _with_rotated(path):
        missing = None if wanted is None else wanted - len(lines)
        if (missing is not None and missing <= 0) or (room is not None and room <= 0):
            break
        try:
            found = _last_of(file, missing, end if file == path else None, at_most=room)
            lines = [*found, *lines]
            room = None if room is None else room - sum(len(line) + 1 for line in found)
        except FileNotFoundError:
            break
        except OSError as error:
            raise OperationError(f"cannot read {file}: {error.strerror}") from error
    return lines


def _with_rotated(path: Path) -> list[Path]:
    """Return a file and those that it was rotated into, the newest first."""
    rotated = (path.with_name(f"{path.name}.{number}") for number in count(1))
    files = [path]
    for file in rotated:
        if not file.exists():
            return files
        files.append(file)
    raise AssertionError("some number is not there")


def _last_of(file: Path, wanted: int | None, end: int | None, *, at_most: int | None) -> list[bytes]:
    with file.open("rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        start = size if end is None else min(end, size)
        data = b""
        # One more line end than lines: the line that it ends is not wanted.
        while start > 0 and (wanted is None or data.count(b"\n") <= wanted):
            if at_most is not None and len(data) > at_most:
                break
            begin = max(0, start - _BLOCK_BYTES)
            opened.seek(begin)
            data = opened.read(start - begin) + data
            start = begin
    lines = data.splitlines()
    return lines if wanted is None else lines[max(0, len(lines) - wanted) :]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPosition(Crossing):
    """How far somebody has read; for whoever goes on elsewhere, or later."""

    offset: int
    rotated: int | None
    """Which file it was rotated into last."""
    rest: bytes = b""
    """The beginning of a line that was being written."""
    is_rotating: bool = False


class OutputFollower:
    """Reads what is added to a member's file, through rotations and restarts of the member.

    A rotation moves the content into `NAME.1` and empties the file; what was not read yet is read there. Nothing is
    missed unless the file is rotated twice between two looks.
    """

    def __init__(self, path: Path, position: OutputPosition | None = None) -> None:
        """Begin after the last whole line that the file has now, or go on from a position."""
        self._path = path
        self._rotated_path = path.with_name(f"{path.name}.1")
        if position is None:
            position = OutputPosition(offset=_end_of_lines(path), rotated=_inode(self._rotated_path))
        self._offset = self.begin = position.offset
        self._rotated = position.rotated
        self._rest = position.rest
        self._is_rotating = position.is_rotating

    @property
    def position(self) -> OutputPosition:
        """Where to go on."""
        return OutputPosition(
            offset=self._offset, rotated=self._rotated, rest=self._rest, is_rotating=self._is_rotating
        )

    def added(self) -> list[bytes]:
        """Return the lines that were not returned yet; one that is being written is left for the next time."""
        data = self._rest
        rotated = _inode(self._rotated_path)
        size = _size(self._path)
        if rotated != self._rotated and not self._is_rotating and size >= self._offset > 0:
            # The content is copied before the file is emptied, and a look may fall between the two.
            self._is_rotating = True
            return []
        if rotated != self._rotated:
            data += _read(self._rotated_path, self._offset, at_most=-1)
            self._rotated, self._offset, self._is_rotating = rotated, 0, False
        elif size < self._offset:
            # It was emptied, and what was in it is kept nowhere.
            self._offset = 0
        new = _read(self._path, self._offset)
        self._offset += len(new)
        whole, end, self._rest = (data + new).rpartition(b"\n")
        return (whole + end).splitlines()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _end_of_lines(path: Path) -> int:
    size = _size(path)
    begin = max(0, size - _BLOCK_BYTES)
    data = _read(path, begin)
    # A line that is longer than a block is not waited for.
    return begin + (data.rfind(b"\n") + 1 if b"\n" in data or not begin else len(data))


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _read(path: Path, offset: int, *, at_most: int = _LONGEST_READ) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(at_most)
    except FileNotFoundError:
        return b""
