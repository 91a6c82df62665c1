"""The latest events on disk: a ring of two files of JSON lines, which survives whoever writes it.

The older file is dropped when the newer one is full, so the ring holds between one and two times its size. Lines that
are torn, or of nonsense, are skipped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from quaestor_actors.core.event import Event, from_document, to_document

MAX_BYTES = 1_000_000


class EventLog:
    """The ring of one writer."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        """Name the newer file; the older one is beside it. Nothing is opened yet."""
        self.path = path
        self._older = older_of(path)
        self._max_bytes = max_bytes

    def append(self, events: Iterable[Event]) -> None:
        """Add events, whole or not at all for whoever reads.

        Raises:
            OSError: they could not be written.
        """
        data = "".join(json.dumps(to_document(event), separators=(",", ":")) + "\n" for event in events).encode()
        if not data:
            return
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o600)
        try:
            if os.fstat(descriptor).st_size + len(data) > self._max_bytes:
                self.path.replace(self._older)
                fresh = os.open(self.path, flags, 0o600)
                os.close(descriptor)
                descriptor = fresh
            os.write(descriptor, data)
        finally:
            os.close(descriptor)


class EventFollower:
    """Reads what is added to a ring, whoever writes it.

    Nothing is missed unless the ring turns twice between two looks.
    """

    def __init__(self, path: Path) -> None:
        """Begin with the oldest event that there is."""
        self._path = path
        self._inode: int | None = None
        self._offset = 0

    def added(self) -> list[Event]:
        """Return the events that were not returned yet; a line that is being written is left for the next time."""
        try:
            newer = self._path.open("rb")
        except FileNotFoundError:
            return []
        with newer:
            inode = os.fstat(newer.fileno()).st_ino
            before = [] if inode == self._inode else self._rest_of_older()
            if inode != self._inode:
                self._inode, self._offset = inode, 0
            return before + self._taken(newer)

    def _rest_of_older(self) -> list[Event]:
        try:
            older = older_of(self._path).open("rb")
        except FileNotFoundError:
            return []
        with older:
            if os.fstat(older.fileno()).st_ino != self._inode:
                self._offset = 0
            return self._taken(older)

    def _taken(self, file: BinaryIO) -> list[Event]:
        file.seek(self._offset)
        data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [event for line in whole.splitlines() if (event := parsed(line)) is not None]


def older_of(path: Path) -> Path:
    """Return the older file of a ring."""
    return path.with_name(f"{path.name}.1")


def read(path: Path) -> Iterator[Event]:
    """Yield the events of a ring, the oldest first; none if it does not exist."""
    for file in (older_of(path), path):
        try:
            lines = file.read_bytes().splitlines()
        except FileNotFoundError:
            continue
        for line in lines:
            event = parsed(line)
            if event is not None:
                yield event


def parsed(line: bytes) -> Event | None:
    """Return the event of one line, or None if it is none."""
    try:
        return from_document(json.loads(line))
    except (KeyError, TypeError, ValueError):
        return None
