"""The loads of serving locations: watched where the server can tell them by itself, asked for where it cannot.

Who is watched or asked when, is decided in `core.load_questions`; this module makes the calls.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol, assert_never

import grpc

from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.health_link import brief
from quaestor_actors.core.load import LoadReport, load_report_from_wire
from quaestor_actors.core.load_questions import Answer, Ask, Effect, Fail, LoadQuestions, WakeUp, Watch, WatchEnd
from quaestor_actors.core.location import Registration
from quaestor_actors.rpc import load_reporting_pb2, load_reporting_pb2_grpc

QUICKEST_S = 0.002
"""A watched location is not listened to more often than this, however fast it talks. Our own take 5 ms."""

_END_OF_WATCH = {
    grpc.StatusCode.UNIMPLEMENTED: WatchEnd.UNKNOWN,
    grpc.StatusCode.RESOURCE_EXHAUSTED: WatchEnd.CROWDED,
    grpc.StatusCode.OUT_OF_RANGE: WatchEnd.UNMONITORED,
}


class LoadListener(Protocol):
    """Who wants to know the loads. Called on the loop."""

    def load_asked(self, registration: Registration) -> None:
        """`ReportLoad` is being sent."""

    def load_reported(self, registration: Registration, report: LoadReport) -> None:
        """It was answered; or a watched location says that nothing has changed."""

    def load_pushed(self, registration: Registration, report: LoadReport) -> None:
        """A watched location tells its load for the first time, or that it has changed."""

    def load_failed(self, registration: Registration, reason: str) -> None:
        """It failed or was not answered in time."""


@dataclass(slots=True, kw_only=True)
class _Server:
    """The connection to some locations; its stub is larger than all else that there is of a location here."""

    channel: grpc.aio.Channel
    stub: load_reporting_pb2_grpc.LoadReportingGrpcAsyncStub
    lines: int = 0


@dataclass(slots=True, kw_only=True)
class _Line:
    """The calls to one location."""

    server: _Server
    request: load_reporting_pb2.LoadReportRequest
    watching: asyncio.Task[None] | None = None
    question: asyncio.Task[None] | None = None

    def cut(self) -> None:
        """Cancel what is open."""
        for task in (self.watching, self.question):
            if task is not None:
                task.cancel()


class LoadWatch:
    """Follows the load of any number of locations. All methods belong on the loop."""

    def __init__(self, *, loop: LoopThread, response_timeout_s: float, listener: LoadListener) -> None:
        """Follow nobody yet.

        Args:
            loop: Where everything happens.
            response_timeout_s: A location that does not answer a question within it hangs.
            listener: Is told the loads.
        """
        self._loop = loop
        self._response_timeout_s = response_timeout_s
        self._listener = listener
        self._questions: LoadQuestions[Registration] = LoadQuestions()
        self._lines: dict[Registration, _Line] = {}
        self._servers: dict[grpc.aio.Channel, _Server] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self, registration: Registration, channel: grpc.aio.Channel) -> None:
        """Learn the load of this location now, and follow it."""
        self.stop(registration)
        location = registration.location
        if (server := self._servers.get(channel)) is None:
            stub = load_reporting_pb2_grpc.LoadReportingGrpcStub(channel)
            server = self._servers[channel] = _Server(channel=channel, stub=stub)
        server.lines += 1
        self._lines[registration] = _Line(
            server=server,
            request=load_reporting_pb2.LoadReportRequest(scope=location.scope, service_name=location.service_name),
        )
        self._perform(self._questions.start(registration, now=self._loop.time()))

    def stop(self, registration: Registration) -> None:
        """Do not follow this location any more; its open calls are cancelled. Unknown ones are no error."""
        line = self._lines.pop(registration, None)
        if line is None:
            return
        self._questions.stop(registration)
        line.cut()
        line.server.lines -= 1
        if not line.server.lines:
            del self._servers[line.server.channel]

    def note_demand(self) -> None:
        """A client has asked for the best locations: their loads must be fresh from now on."""
        self._perform(self._questions.demand(now=self._loop.time()))

    def note_hand_out(self, registration: Registration) -> None:
        """A client was sent to this location; unknown ones are no error."""
        self._questions.handed_out(registration, now=self._loop.time())

    def close(self) -> None:
        """Follow nobody any more."""
        for registration in list(self._lines):
            self.stop(registration)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _perform(self, effects: list[Effect[Registration]]) -> None:
        for effect in effects:
            match effect:
                case Watch(key):
                    self._lines[key].watching = self._loop.spawn(self._watch(key, self._lines[key]))
                case Ask(key):
                    self._lines[key].question = self._loop.spawn(self._ask(key, self._lines[key]))
                case Fail(key, reason):
                    self._listener.load_failed(key, reason)
                case WakeUp(at):
                    if self._timer is not None:
                        self._timer.cancel()
                    self._timer = self._loop.call_later(at - self._loop.time(), self._wake)
                case _:
                    assert_never(effect)

    def _wake(self) -> None:
        self._timer = None
        self._perform(self._questions.wake(now=self._loop.time()))

    async def _watch(self, registration: Registration, line: _Line) -> None:
        end, reason = WatchEnd.BROKEN, "the server ended the watching"
        last, report, heard_at = None, None, -QUICKEST_S
        try:
            async for response in line.server.stub.WatchLoad(line.request):
                now = self._loop.time()
                self._questions.heard(registration, now=now)
                if report is not None and response == last:
                    self._listener.load_reported(registration, report)
                else:
                    last, report = response, _report(response)
                    self._listener.load_pushed(registration, report)
                if now - heard_at < QUICKEST_S:
                    await asyncio.sleep(QUICKEST_S)
                heard_at = now
        except grpc.aio.AioRpcError as error:
            end = _END_OF_WATCH.get(error.code(), WatchEnd.BROKEN)
            reason = self._reason(registration, error)
        effects = self._questions.watch_ended(registration, end, reason=reason, now=self._loop.time())
        self._perform(effects)

    async def _ask(self, registration: Registration, line: _Line) -> None:
        self._listener.load_asked(registration)
        answer, reason = Answer.REPORT, ""
        try:
            response = await line.server.stub.ReportLoad(line.request, timeout=self._response_timeout_s)
        except grpc.aio.AioRpcError as error:
            is_late = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            answer = Answer.NOTHING if is_late else Answer.REFUSAL
            reason = self._reason(registration, error)
        else:
            self._listener.load_reported(registration, _report(response))
        self._perform(self._questions.answered(registration, answer, reason=reason, now=self._loop.time()))

    def _reason(self, registration: Registration, error: grpc.aio.AioRpcError) -> str:
        match error.code():
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return f"no load report within {self._response_timeout_s:g} s"
            case grpc.StatusCode.UNIMPLEMENTED:
                return "the server does not implement Quaestor.LoadReporting.LoadReportingGrpc"
            case grpc.StatusCode.OUT_OF_RANGE:
                return f'the server does not report the load of service "{registration.location.service_name}"'
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
        started_requests=response.started_requests if response.HasField("started_requests") else None,
    )
