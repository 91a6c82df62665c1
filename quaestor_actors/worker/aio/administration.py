"""The gRPC service through which running requests are cancelled, on an asyncio server."""

from __future__ import annotations

import grpc
import grpc.aio

from quaestor_actors.rpc import process_admin_pb2, process_admin_pb2_grpc
from quaestor_actors.worker.cancellation import CancellableRequests


class ProcessAdministration(process_admin_pb2_grpc.ProcessAdministrationGrpcServicer):
    """The gRPC service through which requests are cancelled; the password is as in the synchronous one."""

    def __init__(self, requests: CancellableRequests) -> None:
        """Serve these."""
        self._requests = requests

    async def Cancel(  # noqa: N802 - the protocol's name
        self,
        request: process_admin_pb2.CancelRequest,
        context: grpc.aio.ServicerContext[process_admin_pb2.CancelRequest, process_admin_pb2.CancelResponse],
    ) -> process_admin_pb2.CancelResponse:
        """Cancel requests of a user in an environment."""
        del context
        return process_admin_pb2.CancelResponse(success=self._requests.cancel(request))
