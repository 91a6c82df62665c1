"""How many may begin at the same time: a queue at the door of something that is slow when all come at once."""

from __future__ import annotations

import asyncio
from collections import deque


class Openings:
    """Lets in whoever comes, in their order, as long as not too much is inside. Lives on one asyncio loop."""

    def __init__(self, limit: int) -> None:
        """Take so much inside; whoever is larger than that is let in alone."""
        self._limit = limit
        self._inside = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def enter(self, size: int) -> None:
        """Return when there is room; `leave` must follow, unless this is cancelled."""
        if not self._waiting and self._has_room(size):
            self._inside += size
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            # Let in and cancelled at the same moment.
            if not turn.cancelled():
                self.leave(size)
            raise

    def leave(self, size: int) -> None:
        """Make room for others."""
        self._inside -= size
        while self._waiting:
            size, turn = self._waiting[0]
            if not turn.cancelled():
                if not self._has_room(size):
                    return
                self._inside += size
                turn.set_result(None)
            self._waiting.popleft()

    def _has_room(self, size: int) -> bool:
        return self._inside == 0 or self._inside + size <= self._limit
