"""The threads that work on a server's requests, and whether any of them is at work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class RequestPool(ThreadPoolExecutor):
    """A thread pool that can be waited for until it has nothing to do."""

    def __init__(self, *, threads: int) -> None:
        """Work on this many requests at the same time."""
        super().__init__(max_workers=threads, thread_name_prefix="request")
        self._running = 0
        self._changed = threading.Condition()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Take a piece of work, as the base class does."""
        with self._changed:
            self._running += 1
        try:
            future = super().submit(fn, *args, **kwargs)
        except RuntimeError:
            self._done(None)
            raise
        future.add_done_callback(self._done)
        return future

    def _done(self, _future: Future[Any] | None) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def wait_idle(self, timeout_s: float) -> bool:
        """Return when nothing runs or waits, or after the timeout; return whether nothing does."""
        with self._changed:
            return self._changed.wait_for(lambda: self._running == 0, timeout_s)
