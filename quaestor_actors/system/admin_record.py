"""Which administrator a launcher has started: in memory that both share, so that none can get lost.

A launcher that stands still while an administrator starts gives that up when it goes on, and starts another. The first
one may come to itself only then. So it signs in before it looks whether it is still wanted, and the launcher ceases to
want it before it looks who has signed in: either the one ends itself, or the other ends it.
"""

from __future__ import annotations

import mmap
import os
import struct

from quaestor_actors.adapters.proc_stat import start_ticks
from quaestor_actors.core.process_id import ProcessId

_WANTED = struct.Struct("Q")
_SIGNED_IN = struct.Struct("QQ")
_NOBODY = 0


class AdminRecord:
    """One page, made by the launcher before it starts administrators; they have it by being forked."""

    def __init__(self) -> None:
        """Want nobody."""
        self._page = mmap.mmap(-1, mmap.PAGESIZE)
        self._number = _NOBODY

    def expect(self) -> None:
        """Want the administrator that is started next."""
        self._number += 1
        _SIGNED_IN.pack_into(self._page, _WANTED.size, 0, 0)
        _WANTED.pack_into(self._page, 0, self._number)

    def dismiss(self) -> ProcessId | None:
        """Want nobody any more; return who had signed in, to be ended."""
        _WANTED.pack_into(self._page, 0, _NOBODY)
        return self.process

    @property
    def process(self) -> ProcessId | None:
        """Who has signed in since somebody was wanted."""
        pid, ticks = _SIGNED_IN.unpack_from(self._page, _WANTED.size)
        return ProcessId(pid=pid, start_ticks=ticks) if pid else None

    def sign_in(self) -> bool:
        """In the administrator's process: say that it is there; return whether it is wanted."""
        _SIGNED_IN.pack_into(self._page, _WANTED.size, os.getpid(), start_ticks(os.getpid()) or 0)
        wanted: int = _WANTED.unpack_from(self._page, 0)[0]
        return wanted == self._number
