"""The latest events on disk: a ring of two files of JSON lines, which survives whoever writes it.

The older file is dropped when the newer one is full, so the ring holds between one and two times its size. Lines that
are torn, or of nonsense, are skipped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

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
