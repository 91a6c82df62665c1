"""A server of the same kind as the balancer's, that does nothing: grpc.aio, the same messages, a constant answer.

Question: `{}`. Answer: its port.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio

from balancing.children import answer, questions
from balancing.deployed_balancer import HOST_NAME, SERVICE_NAME
from quaestor_actors.rpc import service_discovery_pb2, service_discovery_pb2_grpc


class _Empty(service_discovery_pb2_grpc.ServiceDiscoveryGrpcServicer):
    def __init__(self) -> None:
        location = service_discovery_pb2.ServiceLocationMsg(service_name=SERVICE_NAME, host_name=HOST_NAME, port=65535)
        self._response = service_discovery_pb2.DiscoverServicesResponse(service_locations=[location])

    async def DiscoverServices(  # noqa: N802 - the name of the rpc
        self, request: service_discovery_pb2.DiscoverServicesRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> service_discovery_pb2.DiscoverServicesResponse:
        return await self.DiscoverTopServices(request, context)

    async def DiscoverTopServices(  # noqa: N802 - the name of the rpc
        self,
        request: service_discovery_pb2.DiscoverServicesRequest,  # noqa: ARG002 - nothing is done with it
        context: grpc.aio.ServicerContext[Any, Any],  # noqa: ARG002 - likewise
    ) -> service_discovery_pb2.DiscoverServicesResponse:
        return self._response


async def _serve() -> None:
    server = grpc.aio.server()
    service_discovery_pb2_grpc.add_ServiceDiscoveryGrpcServicer_to_server(_Empty(), server)
    port = server.add_insecure_port(f"{HOST_NAME}:0")
    await server.start()
    async for _ in questions():
        answer(port)
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(_serve())
