"""The gRPC service through which the balancer asks for loads."""

from __future__ import annotations

from collections.abc import Mapping

import grpc

from quaestor_actors.rpc import load_reporting_pb2, load_reporting_pb2_grpc
from quaestor_actors.worker.load import ServiceLoad

MAX_QUOTED = 100
"""How much of a name an error repeats: a status message that outgrows the client's limit arrives as another error."""


class LoadReporter(load_reporting_pb2_grpc.LoadReportingGrpcServicer):
    """Answers for every service that was offered; for others the protocol demands OUT_OF_RANGE."""

    def __init__(self, loads: Mapping[str, ServiceLoad], *, scope: str = "") -> None:
        """Offer these loads, by service name, in one scope; the mapping is read at every call."""
        self._loads = loads
        self._scope = scope

    def ReportLoad(  # noqa: N802 - the protocol's name
        self, request: load_reporting_pb2.LoadReportRequest, context: grpc.ServicerContext
    ) -> load_reporting_pb2.LoadReportResponse:
        """Return the load of one service."""
        load = self._loads.get(request.service_name) if request.scope == self._scope else None
        if load is None:
            name, scope = request.service_name[:MAX_QUOTED], request.scope[:MAX_QUOTED]
            context.abort(
                grpc.StatusCode.OUT_OF_RANGE,
                f"the service {name!r} is not offered for monitoring in the scope {scope!r}",
            )
            raise AssertionError("abort() raises")
        return load.report()
