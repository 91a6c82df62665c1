"""How a background thread talks to its actor: a queue, and an eventfd that the actor watches.

Thespian's `send` is not safe from other threads (messages get lost); a file descriptor in the actor's ThespianWatch
wakes it within microseconds.
"""

from __future__ import annotations

import os
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """A queue from any thread to the thread that watches `fd`."""

    def __init__(self) -> None:
        """Open the event descriptor; `close()` releases it."""
        self._items: deque[Item] = deque()
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    @property
    def fd(self) -> int:
        """Readable whenever something may be in the queue."""
        return self._fd

    def post(self, item: Item) -> None:
        """Put an item in, from any thread."""
        self._items.append(item)
        os.eventfd_write(self._fd, 1)

    def drain(self) -> list[Item]:
        """Take all items out, in order."""
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            return []
        taken: list[Item] = []
        while self._items:
            taken.append(self._items.popleft())
        return taken

    def close(self) -> None:
        """Release the descriptor."""
        os.close(self._fd)
