"""Asks serving locations for their load: often while clients ask for the best ones, seldom while nobody does.

The locations are asked one after the other around a ring, evenly spaced, so that neither their number nor the
demand makes bursts: a full round takes the period, and the questions per second have a ceiling. No location
has more than one question open.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

import grpc

from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.health_link import brief
from quaestor_actors.core.load import LoadReport, load_report_from_wire
from quaestor_actors.core.location import Location, Registration
from quaestor_actors.rpc import load_reporting_pb2, load_reporting_pb2_grpc

DEMAND_S = 3.0
"""Clients count as asking until this long after their last request."""

BUSY_PERIOD_S = 0.1
IDLE_PERIOD_S = 2.0
BUSY_QUESTIONS_PER_S = 500
IDLE_QUESTIONS_PER_S = 200
"""With more locations than a period allows at these rates, the period grows."""

HUNG_PAUSE_S = 0.02
"""Before a hung location is asked again. A server may also answer DEADLINE_EXCEEDED itself, and at once."""


class LoadListener(Protocol):
    """Who wants to know the loads. Called on the loop."""

    def load_asked(self, registration: Registration) -> None:
        """`ReportLoad` is being sent."""

    def load_reported(self, registration: Registration, report: LoadReport) -> None:
        """It was answered."""

    def load_failed(self, registration: Registration, reason: str) -> None:
        """It failed or was not answered in time."""


@dataclass(slots=True, kw_only=True)
class _Asked:
    report_load: grpc.aio.UnaryUnaryMultiCallable[
        load_reporting_pb2.LoadReportRequest, load_reporting_pb2.LoadReportResponse
    ]
    request: load_reporting_pb2.LoadReportRequest
    question: asyncio.Task[None] | None = None


class LoadPoller:
    """Keeps asking. All methods belong on the loop."""

    def __init__(self, *, loop: LoopThread, response_timeout_s: float, listener: LoadListener) -> None:
        """Ask nobody yet."""
        self._loop = loop
        self._response_timeout_s = response_timeout_s
        self._listener = listener
        self._ring: OrderedDict[Registration, _Asked] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._last_demand = -DEMAND_S

    def start(self, registration: Registration, channel: grpc.aio.Channel) -> None:
        """Ask this location now, and keep asking it."""
        self.stop(registration)
        location = registration.location
        asked = _Asked(
            report_load=load_reporting_pb2_grpc.LoadReportingGrpcStub(channel).ReportLoad,
            request=load_reporting_pb2.LoadReportRequest(scope=location.scope, service_name=location.service_name),
        )
        self._ring[registration] = asked
        self._ask(registration, asked)
        if self._timer is None:
            self._schedule()

    def stop(self, registration: Registration) -> None:
        """Do not ask this location any more; an open question is cancelled. Unknown ones are no error."""
        asked = self._ring.pop(registration, None)
        if asked is not None and asked.question is not None:
            asked.question.cancel()

    def note_demand(self) -> None:
        """A client has asked for the best locations: their loads must be fresh from now on."""
        was_idle = not self._is_busy()
        self._last_demand = self._loop.time()
        if was_idle and self._timer is not None:
            self._timer.cancel()
            self._step()

    def close(self) -> None:
        """Ask nobody any more."""
        for registration in list(self._ring):
            self.stop(registration)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_busy(self) -> bool:
        return self._loop.time() - self._last_demand < DEMAND_S

    def _schedule(self) -> None:
        if self._is_busy():
            pause = max(BUSY_PERIOD_S / len(self._ring), 1 / BUSY_QUESTIONS_PER_S)
        else:
            pause = max(IDLE_PERIOD_S / len(self._ring), 1 / IDLE_QUESTIONS_PER_S)
        self._timer = self._loop.call_later(pause, self._step)

    def _step(self) -> None:
        self._timer = None
        if not self._ring:
            return
        registration = next(iter(self._ring))
        self._ring.move_to_end(registration)
        self._ask(registration, self._ring[registration])
        self._schedule()

    def _ask(self, registration: Registration, asked: _Asked) -> None:
        if asked.question is not None and not asked.question.done():
            return
        asked.question = self._loop.spawn(self._question(registration, asked))

    async def _question(self, registration: Registration, asked: _Asked) -> None:
        while True:
            self._listener.load_asked(registration)
            try:
                response = await asked.report_load(asked.request, timeout=self._response_timeout_s)
            except grpc.aio.AioRpcError as error:
                self._listener.load_failed(registration, self._reason(registration.location, error))
                if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                    return
            else:
                self._listener.load_reported(registration, _report(response))
                return
            # It hangs. To keep asking costs little, and so it is back the moment it goes on.
            await asyncio.sleep(HUNG_PAUSE_S)

    def _reason(self, location: Location, error: grpc.aio.AioRpcError) -> str:
        match error.code():
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return f"no load report within {self._response_timeout_s:g} s"
            case grpc.StatusCode.UNIMPLEMENTED:
                return "the server does not implement Quaestor.LoadReporting.LoadReportingGrpc"
            case grpc.StatusCode.OUT_OF_RANGE:
                return f'the server does not report the load of service "{location.service_name}"'
            case code:
                return f"ReportLoad failed: {code.name}: {brief(error.details())}"


def _report(response: load_reporting_pb2.LoadReportResponse) -> LoadReport:
    stats = response.server_stats
    return load_report_from_wire(
        timestamp_ticks=response.timestamp_ticks,
        known_load_rate=response.known_load_rate,
        request_capacity=stats.request_capacity,
        current_requests=stats.current_requests,
        server_utilization=stats.server_utilization,
        server_memory_usage_percent=stats.server_memory_usage_percent,
    )
