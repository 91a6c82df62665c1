"""A client process that asks a balancer for the best location, as often as it can.

Question `{"measure": ADDRESS, "callers": 16, "seconds": 2}`, perhaps with `"services": [...]` that take turns: answer
`{"rate": per second, "p50_ms": , "p99_ms": }`.
Question `{"await": ADDRESS, "locations": 4, "seconds": 30}`: answered with true once so many are offered, else false.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio

from balancing.children import answer, questions
from balancing.deployed_balancer import SERVICE_NAME
from balancing.statistic import quantile
from quaestor_actors.rpc.service_discovery_pb2 import DiscoverServicesRequest
from quaestor_actors.rpc.service_discovery_pb2_grpc import ServiceDiscoveryGrpcStub

_PAUSE_S = 0.05
_MS_PER_S = 1_000


async def _measure(stub: Any, services: Sequence[str], *, callers: int, seconds: float) -> dict[str, float]:
    requests = itertools.cycle([DiscoverServicesRequest(service_name=name, max_count=1) for name in services])
    begin = time.perf_counter()
    end = begin + seconds
    times: list[float] = []

    async def call_again_and_again() -> None:
        while (asked := time.perf_counter()) < end:
            response = await stub.DiscoverTopServices(next(requests))
            times.append(time.perf_counter() - asked)
            if len(response.service_locations) != 1:
                raise ValueError(f"one location was expected, got {len(response.service_locations)}")

    await asyncio.gather(*(call_again_and_again() for _ in range(callers)))
    elapsed = time.perf_counter() - begin
    return {
        "rate": len(times) / elapsed,
        "p50_ms": quantile(times, 0.5) * _MS_PER_S,
        "p99_ms": quantile(times, 0.99) * _MS_PER_S,
    }


async def _await(stub: Any, *, locations: int, seconds: float) -> bool:
    request = DiscoverServicesRequest(service_name=SERVICE_NAME)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            response = await stub.DiscoverServices(request, timeout=seconds, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
        else:
            if len(response.service_locations) == locations:
                return True
        await asyncio.sleep(_PAUSE_S)
    return False


async def _serve() -> None:
    async for question in questions():
        address = question.get("measure") or question["await"]
        # A local pool: a server that is gone must not lend its reconnect pause to another one at its port.
        async with grpc.aio.insecure_channel(address, options=(("grpc.use_local_subchannel_pool", 1),)) as channel:
            stub = ServiceDiscoveryGrpcStub(channel)
            if "measure" in question:
                await channel.channel_ready()
                services = question.get("services", [SERVICE_NAME])
                answer(await _measure(stub, services, callers=question["callers"], seconds=question["seconds"]))
            else:
                answer(await _await(stub, locations=question["locations"], seconds=question["seconds"]))


if __name__ == "__main__":
    asyncio.run(_serve())
