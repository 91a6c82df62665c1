"""A process with several workers, each with its own port, load and line of requests; they report by our worker SDK.

Question: `{"speeds": [1.0, ...]}`. Answer: the ports of that many workers, once they listen.

A worker takes no processor time: it knows from each request when that is done, and waits until then. A timer that
is late makes one answer late, and not those behind it in the line.
"""

from __future__ import annotations

import asyncio
import struct

import grpc
import grpc.aio

from balancing.arrivals import CAPACITY
from balancing.children import answer, questions
from balancing.deployed_balancer import HOST_NAME, SERVICE_NAME
from balancing.simulation import Line
from quaestor_actors.worker import ServiceLoad
from quaestor_actors.worker.aio import CountRequests, WorkerServer

WORK_SERVICE = "quaestor.benchmark.Work"
WORK_METHOD = "Do"
WORK = struct.Struct("!d")
"""The request: seconds of work for a worker of speed 1. The response is empty."""


def _handler(speed: float) -> grpc.GenericRpcHandler:
    line = Line(speed=speed)
    loop = asyncio.get_running_loop()

    async def work(request: bytes, _context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        now = loop.time()
        await asyncio.sleep(line.take(*WORK.unpack(request), now=now) - now)
        return b""

    # No serializers: the messages are bytes as they are.
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(work)
    return grpc.method_handlers_generic_handler(WORK_SERVICE, {WORK_METHOD: method})


async def _started(speed: float) -> WorkerServer:
    load = ServiceLoad(request_capacity=CAPACITY)
    server = WorkerServer(
        port=0, host_name=HOST_NAME, loads={SERVICE_NAME: load}, interceptors=[CountRequests(load)], grace_s=0.0
    )
    server.grpc_server.add_generic_rpc_handlers((_handler(speed),))
    await server.start()
    return server


async def _serve() -> None:
    servers: list[WorkerServer] = []
    async for question in questions():
        started = [await _started(speed) for speed in question["speeds"]]
        servers += started
        answer([server.port for server in started])
    await asyncio.gather(*(server.stop() for server in servers))


if __name__ == "__main__":
    asyncio.run(_serve())
