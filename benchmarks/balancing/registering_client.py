"""A client of etcd and of a balancer: registers locations, changes one after another, and looks at the answers.

Question `{"register": PORT OF ETCD, "services": [...], "ports": [...]}`: registers each service at each port, under a
lease that is kept alive. Answer: true.
Question `{"list": true}`: answered with the seconds that a list of everything takes.
Question `{"await": ADDRESS, "services": [...], "each": 200, "seconds": 60}`: answer `{"serving": , "all": }`, when the
balancer said SERVING and when so many of each were offered, in seconds of the monotonic clock; null: not in that time.
Question `{"change": ADDRESS, "service": NAME, "ports": [...], "pairs": 200, "per_s": 20}`: each port in its turn is
registered and deregistered again. Answer `{"put": [...], "delete": [...]}`, for each change when it began, how long
etcd took to write it, and how long it took to be in, or out of, the answers: `[at, written_s, seen_s]`.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from balancing.children import answer, questions
from balancing.deployed_balancer import HOST_NAME
from quaestor_actors.adapters.store_etcd import EtcdStore
from quaestor_actors.core.location import Location
from quaestor_actors.core.location_key import PREFIX, key_of
from quaestor_actors.core.spec import StoreSpec
from quaestor_actors.core.store import MAX_OPERATIONS, Put
from quaestor_actors.rpc.service_discovery_pb2 import DiscoverServicesRequest
from quaestor_actors.rpc.service_discovery_pb2_grpc import ServiceDiscoveryGrpcStub

_CHANNEL_OPTIONS = (
    # A server that is gone must not lend its reconnect pause to another one at its port.
    ("grpc.use_local_subchannel_pool", 1),
    # The balancer is awaited from before it listens.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 100),
)
_LEASE_TTL_S = 60.0
_PAUSE_S = 0.05
_LOOK_PAUSE_S = 0.002
"""Between two looks at the answers: a time is too long by at most that and one answer."""
_CHANGE_DEADLINE_S = 30.0


class _Registered:
    """Who registers locations, under one lease for those that stay and another one for those that change.

    etcd writes a key the more slowly, the more keys are under its lease; nobody has ten thousand of them.
    """

    def __init__(self, port: int) -> None:
        spec = StoreSpec(endpoints=((HOST_NAME, port),))
        self.store = EtcdStore(spec, environ=os.environ, log=logging.getLogger("etcd"))
        self.lease_of_changes = 0
        self._keeping: asyncio.Task[None] | None = None

    async def begin(self, services: Sequence[str], ports: Sequence[int]) -> None:
        lease, self.lease_of_changes = [(await self.store.grant(_LEASE_TTL_S)).lease for _ in range(2)]
        self._keeping = asyncio.create_task(self._keep(lease, self.lease_of_changes))
        puts = [Put(key=_key(name, port), value=name, lease=lease) for name in services for port in ports]
        for at in range(0, len(puts), MAX_OPERATIONS):
            await self.store.transact(puts[at : at + MAX_OPERATIONS])

    async def end(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
        await self.store.close()

    async def _keep(self, *leases: int) -> None:
        while True:
            await asyncio.sleep(_LEASE_TTL_S / 3)
            for lease in leases:
                await self.store.keep_alive(lease)


def _key(service: str, port: int) -> str:
    return key_of(Location(scope="", service_name=service, host_name=HOST_NAME, port=port))


async def _ports(stub: Any, service: str) -> list[int]:
    response = await stub.DiscoverServices(DiscoverServicesRequest(service_name=service), wait_for_ready=True)
    return [location.port for location in response.service_locations]


async def _await(channel: grpc.aio.Channel, services: Sequence[str], *, each: int, seconds: float) -> dict[str, Any]:
    found: dict[str, Any] = {"serving": None, "all": None}
    loop = asyncio.get_running_loop()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            request = health_pb2.HealthCheckRequest()
            async for status in health_pb2_grpc.HealthStub(channel).Watch(request, wait_for_ready=True):
                if status.status == health_pb2.HealthCheckResponse.SERVING:
                    break
            found["serving"] = loop.time()
            stub = ServiceDiscoveryGrpcStub(channel)
            for service in services:
                while len(await _ports(stub, service)) != each:  # noqa: ASYNC110 - it is asked, and tells nothing
                    await asyncio.sleep(_PAUSE_S)
            found["all"] = loop.time()
    return found


async def _seen(stub: Any, service: str, expected: list[int]) -> float:
    """Return when the answer is this."""
    async with asyncio.timeout(_CHANGE_DEADLINE_S):
        while await _ports(stub, service) != expected:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(_LOOK_PAUSE_S)
    return asyncio.get_running_loop().time()


async def _change(
    stub: Any, registered: _Registered, *, service: str, ports: Sequence[int], pairs: int, per_s: float
) -> dict[str, list[list[float]]]:
    loop = asyncio.get_running_loop()
    found: dict[str, list[list[float]]] = {"put": [], "delete": []}
    begun = loop.time()

    async def one(kind: str, port: int) -> None:
        number = len(found["put"]) + len(found["delete"])
        await asyncio.sleep(begun + number / per_s - loop.time())
        at = loop.time()
        expected = [port] if kind == "put" else []
        looking = asyncio.create_task(_seen(stub, service, expected))
        if kind == "put":
            await registered.store.put(_key(service, port), service, lease=registered.lease_of_changes)
        else:
            await registered.store.delete(_key(service, port))
        written = loop.time()
        found[kind].append([at, written - at, await looking - at])

    for number in range(pairs):
        for kind in ("put", "delete"):
            await one(kind, ports[number % len(ports)])
    return found


async def _list_s(registered: _Registered) -> float:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await registered.store.range(PREFIX)
    return loop.time() - begun


async def _asked(question: dict[str, Any], registered: _Registered) -> Any:
    if "list" in question:
        return await _list_s(registered)
    address = question.get("await") or question["change"]
    async with grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS) as channel:
        if "await" in question:
            return await _await(channel, question["services"], each=question["each"], seconds=question["seconds"])
        return await _change(
            ServiceDiscoveryGrpcStub(channel),
            registered,
            service=question["service"],
            ports=question["ports"],
            pairs=question["pairs"],
            per_s=question["per_s"],
        )


async def _serve() -> None:
    registered: _Registered | None = None
    async for question in questions():
        if "register" in question:
            registered = _Registered(question["register"])
            await registered.begin(question["services"], question["ports"])
            answer(True)  # noqa: FBT003 - as JSON
        elif registered is None:
            raise ValueError("nothing was registered yet")
        else:
            answer(await _asked(question, registered))
    if registered is not None:
        await registered.end()


if __name__ == "__main__":
    asyncio.run(_serve())
