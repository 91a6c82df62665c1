"""The gRPC service through which the balancer learns of loads: it asks, or it watches."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import grpc

from quaestor_actors.rpc import load_reporting_pb2, load_reporting_pb2_grpc
from quaestor_actors.worker.load import ServiceLoad
from quaestor_actors.worker.machine import MIN_PERIOD_S
from quaestor_actors.worker.own_threads import run_on

MAX_QUOTED = 100
"""How much of a name an error repeats: a status message that outgrows the client's limit arrives as another error."""

MAX_WATCHERS = 64
"""More watchers are told to ask instead; a watcher is a balancer's process."""

SPARE_THREADS = 2
"""They are free to turn a watcher away when all places are taken."""

COALESCE_S = 0.005
"""Changes that follow a message by less are told together."""

KEEP_ALIVE_S = 30.0
"""A watcher hears at least this often. Shorter would cost a balancer of a thousand idle workers too much."""

REPEAT_SPREAD = 0.25
"""By which share of that time a repetition may come earlier."""

TOO_MANY_WATCHERS = f"{MAX_WATCHERS} watch already; ask ReportLoad instead"


class UnknownServiceError(LookupError):
    """A service was asked for that is not offered for monitoring."""


class Loads:
    """The loads that a server reports, by service name, in one scope."""

    def __init__(self, loads: Mapping[str, ServiceLoad], *, scope: str) -> None:
        """Offer these; the mapping is read at every call."""
        self._loads = loads
        self._scope = scope

    def find(self, request: load_reporting_pb2.LoadReportRequest) -> ServiceLoad:
        """Return what was asked for.

        Raises:
            UnknownServiceError: for which the protocol demands OUT_OF_RANGE.
        """
        load = self._loads.get(request.service_name) if request.scope == self._scope else None
        if load is None:
            name, scope = request.service_name[:MAX_QUOTED], request.scope[:MAX_QUOTED]
            raise UnknownServiceError(f"the service {name!r} is not offered for monitoring in the scope {scope!r}")
        return load


class WatchedLoad:
    """What one watcher is to be told next, and how long it may rest until then."""

    def __init__(self, load: ServiceLoad, *, keep_alive_s: float) -> None:
        """Begin; nothing was told yet."""
        self._load = load
        self._keep_alive_s = keep_alive_s
        self._told: load_reporting_pb2.LoadReportResponse | None = None
        self._repeat_at = 0.0

    def news(self) -> load_reporting_pb2.LoadReportResponse | None:
        """Return the present report if it is new to the watcher or due as a repetition."""
        report = self._load.report()
        now = time.monotonic()
        if report == self._told and now < self._repeat_at:
            return None
        self._told = report
        # Those who began to be watched at the same time are not to repeat themselves at the same time.
        self._repeat_at = now + self._keep_alive_s * random.uniform(1 - REPEAT_SPREAD, 1)  # noqa: S311 - no secret
        return report

    def rest_s(self) -> float:
        """Return after how many seconds to look again although no change was announced."""
        until_repetition_s = max(0.0, self._repeat_at - time.monotonic())
        return min(MIN_PERIOD_S, until_repetition_s) if self._load.is_measured else until_repetition_s


class LoadReporter(load_reporting_pb2_grpc.LoadReportingGrpcServicer):
    """Answers for every service that was offered; for others the protocol demands OUT_OF_RANGE.

    For a synchronous server. Watchers have threads of their own, on any server, and take none from its requests.
    """

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
        self._places = threading.BoundedSemaphore(MAX_WATCHERS)
        threads = ThreadPoolExecutor(max_workers=MAX_WATCHERS + SPARE_THREADS, thread_name_prefix="load-watcher")
        run_on(self, WatchLoad=threads)

    def ReportLoad(  # noqa: N802 - the protocol's name
        self, request: load_reporting_pb2.LoadReportRequest, context: grpc.ServicerContext
    ) -> load_reporting_pb2.LoadReportResponse:
        """Return the load of one service."""
        return self._find(request, context).report()

    def WatchLoad(  # noqa: N802 - the protocol's name
        self, request: load_reporting_pb2.LoadReportRequest, context: grpc.ServicerContext
    ) -> Iterator[load_reporting_pb2.LoadReportResponse]:
        """Return the load of one service now and at each change, until the watcher leaves."""
        load = self._find(request, context)
        if not self._places.acquire(blocking=False):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, TOO_MANY_WATCHERS)
        try:
            yield from self._reports(load, context)
        finally:
            self._places.release()

    def _reports(
        self, load: ServiceLoad, context: grpc.ServicerContext
    ) -> Iterator[load_reporting_pb2.LoadReportResponse]:
        watched = WatchedLoad(load, keep_alive_s=self._keep_alive_s)
        changed = threading.Event()
        left = threading.Event()

        def leave() -> None:
            left.set()
            changed.set()

        if not context.add_callback(leave):
            return
        end = load.on_change(changed.set)
        try:
            while True:
                # Cleared before the look at everything that sets it: nothing is missed.
                changed.clear()
                if left.is_set():
                    return
                report = watched.news()
                if report is not None:
                    yield report
                    left.wait(COALESCE_S)
                changed.wait(watched.rest_s())
        finally:
            end()

    def _find(self, request: load_reporting_pb2.LoadReportRequest, context: grpc.ServicerContext) -> ServiceLoad:
        try:
            return self._loads.find(request)
        except UnknownServiceError as error:
            context.abort(grpc.StatusCode.OUT_OF_RANGE, str(error))
            raise AssertionError("abort() raises") from error
