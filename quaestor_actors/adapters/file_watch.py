"""Whether files have changed, told once they have come to rest: editors write in several steps."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

Signature = tuple[tuple[int, int, int] | None, ...]


class FileWatch:
    """Compares files with what they were; asked again and again, at the caller's own pace."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """Take the files as they are now; one that does not exist may come into being."""
        self._paths = tuple(paths)
        self._known = self._last = self._signature()

    def has_changed(self) -> bool:
        """Return True once after a change, as soon as two looks in a row find the same."""
        before, self._last = self._last, self._signature()
        if self._last != before or self._last == self._known:
            return False
        self._known = self._last
        return True

    def _signature(self) -> Signature:
        return tuple(_signature(path) for path in self._paths)


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        # Missing, or not to be looked at: a reader says why.
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
