"""Changes that happen on any thread, told to an event loop."""

from __future__ import annotations

import asyncio


class Announcement:
    """A change that any thread may announce to the event loop, which is woken once for many."""

    def __init__(self) -> None:
        """Begin with none, for the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._is_made = False

    def make(self) -> None:
        """Announce a change; from any thread, as long as the loop runs."""
        if self._is_made:
            return
        self._is_made = True
        self._loop.call_soon_threadsafe(self._arrived.set)

    def clear(self) -> None:
        """Forget what was announced; before the look at what changed, so that nothing is missed."""
        self._arrived.clear()
        self._is_made = False

    async def wait(self, timeout_s: float) -> bool:
        """Return when a change was announced, or after the timeout; return whether one was."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._arrived.wait()
        except TimeoutError:
            return False
