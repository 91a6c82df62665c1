"""Numbers that one process counts and another one reads: a file of doubles that both have in memory.

Counting takes no message, no lock and no system call, so it goes on where it is done thousands of times a second. The
file survives its process, and a successor counts on: what is counted never goes back while the cluster runs.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
from pathlib import Path

from quaestor_actors.core.counted import SUFFIX
from quaestor_actors.core.histogram import Buckets

_DOUBLE = struct.Struct("d")

log = logging.getLogger(__name__)


class Tally:
    """Numbers by their index, from 0, all of them 0 at first. One process writes; only one thread of it at a time."""

    def __init__(self, path: Path | None) -> None:
        """Go on with what the file has; without a file, or where it cannot be used, nobody else sees the numbers."""
        self._path = path
        self._pages = self._opened(mmap.PAGESIZE)

    def add(self, index: int, amount: float = 1.0) -> None:
        """Add to one number."""
        at = index * _DOUBLE.size
        if at >= len(self._pages):
            self._grow(at)
        _DOUBLE.pack_into(self._pages, at, _DOUBLE.unpack_from(self._pages, at)[0] + amount)

    def observe(self, buckets: Buckets, duration_s: float, *, base: int = 0) -> None:
        """Add a duration to the histogram whose numbers begin at `base`."""
        self.add(base + buckets.slot_of(duration_s))
        self.add(base + buckets.sum_slot, duration_s)

    def _grow(self, at: int) -> None:
        before = bytes(self._pages)
        self._pages.close()
        self._pages = self._opened((at // mmap.PAGESIZE + 1) * mmap.PAGESIZE)
        self._pages[: len(before)] = before

    def _opened(self, size: int) -> mmap.mmap:
        if self._path is None:
            return mmap.mmap(-1, size)
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            return self._given_up(error, size)
        try:
            size = max(size, os.fstat(descriptor).st_size // mmap.PAGESIZE * mmap.PAGESIZE)
            # Without space of its own, a full disk would end this process when it counts.
            os.posix_fallocate(descriptor, 0, size)
            return mmap.mmap(descriptor, size)
        except OSError as error:
            return self._given_up(error, size)
        finally:
            os.close(descriptor)

    def _given_up(self, error: OSError, size: int) -> mmap.mmap:
        log.error("what is counted in %s is missing from the metrics: %s", self._path, error.strerror or error)
        self._path = None
        return mmap.mmap(-1, size)


def read_tally(path: Path) -> tuple[float, ...]:
    """Return the numbers that somebody counts, or nothing if nobody has begun to; what is missing at the end is 0."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ()
    whole = len(content) // _DOUBLE.size * _DOUBLE.size
    return tuple(number for (number,) in _DOUBLE.iter_unpack(content[:whole]))


def forget_tallies(directory: Path) -> None:
    """Begin anew: remove what was counted in an earlier life of the cluster."""
    for path in directory.glob(f"*{SUFFIX}"):
        path.unlink(missing_ok=True)
