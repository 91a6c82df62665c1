"""A worker for the tests of draining and cancelling, on either kind of server.

collecting_worker.py PORT GRACE_S sync|aio

`Collect` lasts until the client has nothing more to send, `Wait` until an administrator cancels the user that the
request names, in the environment `test`. `Fill` answers at once, with more than is on the way at a time.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import grpc

from quaestor_actors.worker import CancellableRequests, CountRequests, ServiceLoad, WorkerServer, aio

LOAD = ServiceLoad(request_capacity=4)
REQUESTS = CancellableRequests()
MUCH = bytes(32_000_000)


def collect(words: Iterator[bytes], _context: grpc.ServicerContext) -> bytes:
    return b" ".join(words)


def wait(user: bytes, _context: grpc.ServicerContext) -> Iterator[bytes]:
    with REQUESTS.register(user.decode(), "test", service_name="Worker") as cancellation:
        yield b"registered"
        cancellation.requested.wait()
        yield b"cancelled"


def fill(_request: bytes, _context: grpc.ServicerContext) -> bytes:
    return MUCH


async def collect_aio(words: AsyncIterator[bytes], _context: object) -> bytes:
    return b" ".join([word async for word in words])


async def wait_aio(user: bytes, _context: object) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    requested = asyncio.Event()
    with REQUESTS.register(user.decode(), "test", service_name="Worker") as cancellation:
        cancellation.when_requested(partial(loop.call_soon_threadsafe, requested.set))
        yield b"registered"
        await requested.wait()
        yield b"cancelled"


async def fill_aio(_request: bytes, _context: object) -> bytes:
    return MUCH


def add_methods(server: Any, *, collecting: Any, waiting: Any, filling: Any) -> None:
    methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "Collect": grpc.stream_unary_rpc_method_handler(collecting),
        "Wait": grpc.unary_stream_rpc_method_handler(waiting),
        "Fill": grpc.unary_unary_rpc_method_handler(filling),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Test", methods),))


def serve(port: int, grace_s: float) -> None:
    server = WorkerServer(
        port=port, loads={"Worker": LOAD}, grace_s=grace_s, interceptors=[CountRequests(LOAD)], cancellable=REQUESTS
    )
    add_methods(server.grpc_server, collecting=collect, waiting=wait, filling=fill)
    server.start()
    print("serves", flush=True)  # noqa: T201 - the test waits for it
    server.wait()


async def serve_aio(port: int, grace_s: float) -> None:
    server = aio.WorkerServer(
        port=port, loads={"Worker": LOAD}, grace_s=grace_s, interceptors=[aio.CountRequests(LOAD)], cancellable=REQUESTS
    )
    add_methods(server.grpc_server, collecting=collect_aio, waiting=wait_aio, filling=fill_aio)
    await server.start()
    print("serves", flush=True)  # noqa: T201 - the test waits for it
    await server.wait()


def main() -> None:
    """Serve until SIGTERM."""
    port, grace_s = int(sys.argv[1]), float(sys.argv[2])
    if sys.argv[3] == "aio":
        asyncio.run(serve_aio(port, grace_s))
    else:
        serve(port, grace_s)


if __name__ == "__main__":
    main()
