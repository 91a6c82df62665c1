"""A process with many quiet workers: each has a port, a health service and loads of its own, and never works.

Question `{"count": 250}`, perhaps with `"services": ["Worker", ...]`: each port has all of these. Answer: the ports,
once they listen.
Question `{"asked": true}`: answer `{"health": [...], "loads": [...]}`, when somebody began to watch them, in seconds of
the monotonic clock; what was told is forgotten.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
import grpc.aio

from balancing.children import answer, questions
from balancing.deployed_balancer import HOST_NAME, SERVICE_NAME
from quaestor_actors.worker import ServiceLoad
from quaestor_actors.worker.aio import WorkerServer

_GRACE_S = 0.0
_METHODS = {"/grpc.health.v1.Health/Watch": "health", "/Quaestor.LoadReporting.LoadReportingGrpc/WatchLoad": "loads"}


class _Noted(grpc.aio.ServerInterceptor):
    """Notes when somebody begins to watch."""

    def __init__(self) -> None:
        self._times: dict[str, list[float]] = {name: [] for name in _METHODS.values()}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        if name := _METHODS.get(handler_call_details.method):
            self._times[name].append(time.monotonic())
        return await continuation(handler_call_details)

    def taken(self) -> dict[str, list[float]]:
        times, self._times = self._times, {name: [] for name in _METHODS.values()}
        return times


async def _started(services: Sequence[str], noted: _Noted) -> WorkerServer:
    loads = {name: ServiceLoad(request_capacity=2) for name in services}
    server = WorkerServer(port=0, host_name=HOST_NAME, loads=loads, interceptors=[noted], grace_s=_GRACE_S)
    await server.start()
    return server


async def _serve() -> None:
    servers: list[WorkerServer] = []
    noted = _Noted()
    async for question in questions():
        if "asked" in question:
            answer(noted.taken())
            continue
        services = question.get("services", [SERVICE_NAME])
        started = [await _started(services, noted) for _ in itertools.repeat(None, question["count"])]
        servers += started
        answer([server.port for server in started])
    await asyncio.gather(*(server.stop() for server in servers))


if __name__ == "__main__":
    asyncio.run(_serve())
