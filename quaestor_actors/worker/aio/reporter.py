"""The gRPC service through which the balancer learns of loads, on an asyncio server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import grpc
import grpc.aio

from quaestor_actors.rpc import load_reporting_pb2, load_reporting_pb2_grpc
from quaestor_actors.worker.aio.announcement import Announcement
from quaestor_actors.worker.load import ServiceLoad
from quaestor_actors.worker.reporter import (
    COALESCE_S,
    KEEP_ALIVE_S,
    MAX_WATCHERS,
    TOO_MANY_WATCHERS,
    Loads,
    UnknownServiceError,
    WatchedLoad,
)

Context = grpc.aio.ServicerContext[load_reporting_pb2.LoadReportRequest, load_reporting_pb2.LoadReportResponse]


class LoadReporter(load_reporting_pb2_grpc.LoadReportingGrpcServicer):
    """Answers for every service that was offered, as its namesake for synchronous servers does."""

    def __init__(
        self, loads: Mapping[str, ServiceLoad], *, scope: str = "", keep_alive_s: float = KEEP_ALIVE_S
    ) -> None:
        """Offer loads.

        Args:
            loads: By service name; read at every call.
            scope: Partition of the registry in which they are offered.
            keep_alive_s: How often a watcher hears the same again while nothing changes.
        """
        self._loads = Loads(loads, scope=scope)
        self._keep_alive_s = keep_alive_s
        self._watchers = 0

    async def ReportLoad(  # noqa: N802 - the protocol's name
        self, request: load_reporting_pb2.LoadReportRequest, context: Context
    ) -> load_reporting_pb2.LoadReportResponse:
        """Return the load of one service."""
        return (await self._find(request, context)).report()

    async def WatchLoad(  # type: ignore[override] # noqa: N802 - the stubs forget methods that write; protocol's name
        self, request: load_reporting_pb2.LoadReportRequest, context: Context
    ) -> None:
        """Write the load of one service now and at each change, until the watcher leaves."""
        load = await self._find(request, context)
        if self._watchers >= MAX_WATCHERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, TOO_MANY_WATCHERS)
        self._watchers += 1
        announcement = Announcement()
        end = load.on_change(announcement.make)
        try:
            await self._tell(WatchedLoad(load, keep_alive_s=self._keep_alive_s), announcement, context)
        finally:
            end()
            self._watchers -= 1

    async def _tell(self, watched: WatchedLoad, announcement: Announcement, context: Context) -> None:
        while True:
            # Cleared before the look at what is announced: nothing is missed.
            announcement.clear()
            report = watched.news()
            if report is not None:
                await context.write(report)
                await asyncio.sleep(COALESCE_S)
            await announcement.wait(watched.rest_s())

    async def _find(self, request: load_reporting_pb2.LoadReportRequest, context: Context) -> ServiceLoad:
        try:
            return self._loads.find(request)
        except UnknownServiceError as error:
            await context.abort(grpc.StatusCode.OUT_OF_RANGE, str(error))
            raise AssertionError("abort() raises") from error
