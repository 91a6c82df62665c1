"""One background thread with one asyncio loop: where an actor's gRPC work lives.

An actor must not block in a handler and must not send from another thread. So it gives its network work to
this thread, and hears back through callbacks, which run on the thread and post into the actor's mailbox.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

STOP_DEADLINE_S = 5.0
"""How long `stop` waits for the loop's tasks to end after they were cancelled."""


class LoopThread:
    """A daemon thread that runs an asyncio loop, in which no error is swallowed.

    Nothing is created before `start`, so an instance may be made before a fork and started after it.
    grpc.aio delivers its events to one loop per process: no two of these threads may use it at the same time.
    """

    def __init__(self, *, name: str, on_crash: Callable[[BaseException], None]) -> None:
        """Prepare the thread.

        Args:
            name: The thread's name.
            on_crash: Called on the thread with every exception that escapes from a task of `spawn`, from a
                callback of `post`, or from anything else in the loop. What the loop does is undefined
                afterwards; the owner is expected to end its process.
        """
        self._name = name
        self._on_crash = on_crash
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_running(self) -> bool:
        """Whether the thread was started and has not ended."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start the thread and return when its loop runs."""
        running = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(running,), name=self._name, daemon=True)
        self._thread.start()
        running.wait()

    def stop(self) -> None:
        """Cancel everything on the loop and end the thread; nothing happens if it does not run.

        Not to be called on the loop.

        Raises:
            TimeoutError: A task did not end within `STOP_DEADLINE_S`.
        """
        if self._thread is None or not self.is_running:
            return
        self.post(self._stop)
        self._thread.join(STOP_DEADLINE_S)
        if self.is_running:
            raise TimeoutError(f"the thread {self._name} did not end within {STOP_DEADLINE_S:g} s")

    def call(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop, from any other thread; its result or error goes to the caller only."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._running_loop())

    def post(self, callback: Callable[[], None]) -> None:
        """Run a callback on the loop soon, in the order of the calls. From any thread."""
        self._running_loop().call_soon_threadsafe(callback)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine as a task, on the loop only; an exception in it is a crash, cancellation is not."""
        task = self._running_loop().create_task(coroutine)
        self._tasks.add(task)  # The loop itself holds tasks weakly.
        task.add_done_callback(self._finished)
        return task

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Run a callback after a delay, unless the returned handle is cancelled. On the loop only."""
        return self._running_loop().call_later(delay_s, callback)

    def time(self) -> float:
        """Return the loop's monotonic clock in seconds. From any thread, once started."""
        return self._running_loop().time()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError(f"the thread {self._name} was not started")
        return self._loop

    def _run(self, running: threading.Event) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            self._loop.set_exception_handler(self._loop_failed)
            runner.run(self._until_stopped(running))

    async def _until_stopped(self, running: threading.Event) -> None:
        self._stopping = asyncio.Event()
        running.set()
        await self._stopping.wait()
        if self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(list(self._tasks))
        # What grpc.aio still has under way it would deliver to the next loop of this process, where it fails.
        # It lets go of everything when its last channel and server are gone, and cancelled tasks hold them in
        # cycles.
        gc.collect()

    def _stop(self) -> None:
        if self._stopping is not None:
            self._stopping.set()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._on_crash(error)

    def _loop_failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self._on_crash(error if error is not None else RuntimeError(context["message"]))
