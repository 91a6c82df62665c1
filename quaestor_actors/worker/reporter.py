"""The gRPC service through which the balancer asks for loads."""

from __future__ import annotations

from collections.abc import Mapping

import grpc

from quaestor_actors.rpc import load_reporting_pb2, load_reporting_pb2_grpc
from quaestor_actors.worker.load import ServiceLoad


class LoadReporter(load_reporting_pb2_grpc.LoadReportingGrpcServicer):
    """Answers for every service that was offered; for others the protocol demands OUT_OF_RANGE."""

    def __init__(self, loads: Mapping[str, ServiceLoad]) -> None:
        """Offer these loads, by service name; the mapping is read at every call."""
        self._loads = loads

    def ReportLoad(  # noqa: N802 - the protocol's name
        self, request: load_reporting_pb2.LoadReportRequest, context: grpc.ServicerContext
    ) -> load_reporting_pb2.LoadReportResponse:
        """Return the load of one service."""
        load = self._loads.get(request.service_name)
        if load is None:
            context.abort(
                grpc.StatusCode.OUT_OF_RANGE,
                f"the service {request.service_name!r} is not offered for monitoring",
            )
            raise AssertionError("abort() raises")
        return load.report()
