"""A way to a server that can be cut: what is sent is lost then, and nobody is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from quaestor_actors.adapters.event_loop import LoopThread


class Proxy:
    """Listens on a port of its own, and passes on what comes."""

    def __init__(self, target: tuple[str, int], address: str) -> None:
        self.endpoint = (address, 0)
        self._target = target
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.crashes: list[BaseException] = []
        self.loop = LoopThread(name="proxy", on_crash=self.crashes.append)

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, *self.endpoint)
        self.endpoint = self._server.sockets[0].getsockname()

    async def close(self) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    def cut(self) -> None:
        """Swallow everything, from when this returns."""
        self.loop.call(self._set(is_open=False)).result()

    def heal(self) -> None:
        """Pass on what comes, and what has come meanwhile."""
        self.loop.call(self._set(is_open=True)).result()

    async def _set(self, *, is_open: bool) -> None:
        if is_open:
            self._is_open.set()
        else:
            self._is_open.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._is_open.wait()
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(self._pass_on(reader, back), self._pass_on(there, writer))

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        self._writers.add(sink)
        try:
            while data := await source.read(65536):
                await self._is_open.wait()
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            return
        finally:
            self._writers.discard(sink)
            sink.transport.abort()


@contextmanager
def run_proxy(target: tuple[str, int], address: str = "127.0.0.1") -> Iterator[Proxy]:
    """Run a proxy at an address of this machine until the block ends."""
    proxy = Proxy(target, address)
    proxy.loop.start()
    try:
        proxy.loop.call(proxy.listen()).result()
        yield proxy
        proxy.loop.call(proxy.close()).result()
        assert not proxy.crashes
    finally:
        proxy.loop.stop()
