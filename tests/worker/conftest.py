"""What the tests of the worker SDK share: servers of both kinds, in this process and in others."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio
import pytest
from support.ports import free_port
from support.workers import SampleWorker

PROGRAM = Path(__file__).with_name("collecting_worker.py")

T = TypeVar("T")


class EventLoop:
    """An event loop on a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def close(self) -> None:
        """End the loop and the thread."""
        self.run(self.loop.shutdown_asyncgens())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture
def event_loop_thread() -> Iterator[EventLoop]:
    """Yield a running event loop."""
    loop = EventLoop()
    yield loop
    loop.close()


@pytest.fixture
def sync_channel() -> Callable[..., AbstractContextManager[grpc.Channel]]:
    """Return a function that runs a synchronous server and yields a channel to it."""

    @contextmanager
    def run(add: Callable[[grpc.Server], None], *, interceptors: Any = (), threads: int = 1) -> Iterator[grpc.Channel]:
        with ThreadPoolExecutor(threads) as pool:
            server = grpc.server(pool, interceptors=list(interceptors))
            add(server)
            port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            try:
                with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                    yield channel
            finally:
                server.stop(None).wait()

    return run


@pytest.fixture
def aio_channel(event_loop_thread: EventLoop) -> Callable[..., AbstractContextManager[grpc.Channel]]:
    """Return a function that runs an asyncio server on the event loop and yields a synchronous channel to it."""

    @contextmanager
    def run(add: Callable[[grpc.aio.Server], None], *, interceptors: Any = ()) -> Iterator[grpc.Channel]:
        async def start() -> tuple[grpc.aio.Server, int]:
            server = grpc.aio.server(interceptors=list(interceptors), migration_thread_pool=pool)
            add(server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            return server, port

        with ThreadPoolExecutor(2) as pool:
            server, port = event_loop_thread.run(start())
            try:
                with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                    yield channel
            finally:
                event_loop_thread.run(server.stop(None))

    return run


@pytest.fixture(params=["sync", "aio"])
def collecting_worker(request: pytest.FixtureRequest) -> Callable[..., AbstractContextManager[SampleWorker]]:
    """Return a function that runs the collecting worker, on either kind of server."""

    @contextmanager
    def run(*, grace_s: float) -> Iterator[SampleWorker]:
        port = free_port()
        command = [sys.executable, str(PROGRAM), str(port), str(grace_s), request.param]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "serves\n"
            with grpc.insecure_channel(f"localhost:{port}") as channel:
                try:
                    yield SampleWorker(process, port, channel)
                finally:
                    process.kill()

    return run
