"""A process with many quiet workers: each has a port, a health service and a load of its own, and never works.

Question: `{"count": 250}`. Answer: the ports, once they listen.
"""

from __future__ import annotations

import asyncio
import itertools

from balancing.children import answer, questions
from balancing.deployed_balancer import HOST_NAME, SERVICE_NAME
from quaestor_actors.worker import ServiceLoad
from quaestor_actors.worker.aio import WorkerServer

_GRACE_S = 0.0


async def _serve() -> None:
    servers: list[WorkerServer] = []
    async for question in questions():
        ports = []
        for _ in itertools.repeat(None, question["count"]):
            server = WorkerServer(
                port=0, host_name=HOST_NAME, loads={SERVICE_NAME: ServiceLoad(request_capacity=2)}, grace_s=_GRACE_S
            )
            await server.start()
            servers.append(server)
            ports.append(server.port)
        answer(ports)
    await asyncio.gather(*(server.stop() for server in servers))


if __name__ == "__main__":
    asyncio.run(_serve())
