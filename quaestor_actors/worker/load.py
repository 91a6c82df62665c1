"""How busy a service is, counted by the service itself and told to the balancer."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from quaestor_actors.rpc import load_reporting_pb2
from quaestor_actors.worker.machine import MachineUsage

TICKS_PER_SECOND = 10_000_000
EPOCH_TICKS = 621_355_968_000_000_000
"""1970-01-01 in .NET ticks: 100 ns since 0001-01-01, both UTC."""

MAX_COUNT = 2**31 - 1
"""What fits into the int32 of the report."""

COMPUTE = -1.0
"""The known load rate of a service that does not know its own: the balancer computes one from the counts."""

NOTICEABLE_UTILIZATION = 0.02
NOTICEABLE_MEMORY_PERCENT = 2.0
"""Measured values that differ by less from what was told last are no change: an idle machine's figures never rest."""


class ServiceLoad:
    """The load of one service. Every method may be called from any thread.

    Example:
        load = ServiceLoad(request_capacity=4)
        with load.request():
            ...  # counted as running
    """

    def __init__(
        self,
        *,
        request_capacity: int = 1,
        current_requests: int = 0,
        server_utilization: float = 0.0,
        server_memory_usage_percent: float = -1.0,
        machine: Callable[[], MachineUsage] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin.

        Args:
            request_capacity: Requests that can be worked on at once; 0 takes the service out of the balance.
            current_requests: Requests that are running already.
            server_utilization: Of the machine's processors, 0 to 1.
            server_memory_usage_percent: Of the machine, 0 to 100; -1 if unknown.
            machine: Measures the two numbers above, at each report: a `quaestor_actors.worker.Machine`, or something
                else that is quick and may be called from any thread. None: they are as given and set.
            clock: Seconds since the epoch.

        Raises:
            ValueError: a number is out of its range.
        """
        _check_count("request_capacity", request_capacity)
        _check_count("current_requests", current_requests)
        _check_server_stats(server_utilization, server_memory_usage_percent)
        self._lock = threading.Lock()
        self._clock = clock
        self._machine = machine
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._changed_ticks = 0
        self._known_load_rate = COMPUTE
        self._capacity = request_capacity
        self._current = current_requests
        self._started = 0
        self._utilization, self._memory_percent = server_utilization, server_memory_usage_percent
        if machine is not None:
            usage = machine()
            self._utilization, self._memory_percent = usage.utilization, usage.memory_percent

    @property
    def is_measured(self) -> bool:
        """Whether the machine's numbers are measured, so that a report may differ without an event."""
        return self._machine is not None

    @property
    def known_load_rate(self) -> float:
        """A load that the service knows better than counts tell: 0 idle, 1 full; negative: computed."""
        with self._lock:
            return self._known_load_rate

    @known_load_rate.setter
    def known_load_rate(self, rate: float) -> None:
        if not math.isfinite(rate):
            raise ValueError(f"known_load_rate must be a finite number, got {rate}")
        with self._lock:
            if rate == self._known_load_rate:
                return
            self._known_load_rate = rate
            listeners = self._touch()
        _tell(listeners)

    @property
    def request_capacity(self) -> int:
        """Requests that can be worked on at once; 0 takes the service out of the balance."""
        with self._lock:
            return self._capacity

    @request_capacity.setter
    def request_capacity(self, capacity: int) -> None:
        _check_count("request_capacity", capacity)
        with self._lock:
            if capacity == self._capacity:
                return
            self._capacity = capacity
            listeners = self._touch()
        _tell(listeners)

    @property
    def current_requests(self) -> int:
        """Requests that are running now."""
        with self._lock:
            return self._current

    def start_request(self) -> None:
        """Count one request more; `end_request` must follow."""
        with self._lock:
            self._current += 1
            self._started += 1
            listeners = self._touch()
        _tell(listeners)

    def end_request(self) -> None:
        """Count one request less.

        Raises:
            ValueError: more requests ended than started.
        """
        with self._lock:
            if self._current == 0:
                raise ValueError("a request ended that never started")
            self._current -= 1
            listeners = self._touch()
        _tell(listeners)

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request for as long as the block runs."""
        self.start_request()
        try:
            yield
        finally:
            self.end_request()

    def set_server_stats(self, *, utilization: float, memory_usage_percent: float = -1.0) -> None:
        """Tell how busy the machine is, in the units of the constructor.

        Raises:
            ValueError: a number is out of its range, or the numbers are measured.
        """
        _check_server_stats(utilization, memory_usage_percent)
        if self._machine is not None:
            raise ValueError("this load measures the machine itself: leave out `machine` to set its numbers")
        with self._lock:
            if (utilization, memory_usage_percent) == (self._utilization, self._memory_percent):
                return
            self._utilization = utilization
            self._memory_percent = memory_usage_percent
            listeners = self._touch()
        _tell(listeners)

    def on_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a function called after each change of the report; return a function that ends this.

        It is called on the thread that made the change and without a lock, so it may ask for the report. It must be
        quick and must not raise. One call more may come while it is being ended.
        """
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def end() -> None:
            with self._lock:
                self._listeners = tuple(other for other in self._listeners if other is not listener)

        return end

    def _touch(self) -> tuple[Callable[[], None], ...]:
        """Note the time of a change, with the lock held; return whom to tell without it."""
        self._changed_ticks = EPOCH_TICKS + int(self._clock() * TICKS_PER_SECOND)
        return self._listeners

    def _measure(self) -> None:
        if self._machine is None:
            return
        usage = self._machine()
        with self._lock:
            is_noticeable = (
                abs(usage.utilization - self._utilization) >= NOTICEABLE_UTILIZATION
                or abs(usage.memory_percent - self._memory_percent) >= NOTICEABLE_MEMORY_PERCENT
            )
            if not is_noticeable:
                return
            self._utilization, self._memory_percent = usage.utilization, usage.memory_percent
            listeners = self._touch()
        _tell(listeners)

    def report(self) -> load_reporting_pb2.LoadReportResponse:
        """Return the present load as it goes over the wire."""
        self._measure()
        with self._lock:
            return load_reporting_pb2.LoadReportResponse(
                timestamp_ticks=self._changed_ticks,
                known_load_rate=self._known_load_rate,
                server_stats=load_reporting_pb2.ServerStats(
                    request_capacity=self._capacity,
                    current_requests=self._current,
                    server_utilization=self._utilization,
                    server_memory_usage_percent=self._memory_percent,
                ),
                started_requests=self._started,
            )


def _tell(listeners: tuple[Callable[[], None], ...]) -> None:
    for listener in listeners:
        listener()


def _check_count(name: str, count: int) -> None:
    if not 0 <= count <= MAX_COUNT:
        raise ValueError(f"{name} must be 0 or more and at most {MAX_COUNT}, got {count}")


def _check_server_stats(utilization: float, memory_percent: float) -> None:
    # Written so that a NaN, which compares as false, is refused too.
    if not 0 <= utilization <= 1:
        raise ValueError(f"server utilization must be in 0 to 1, got {utilization}")
    if not (memory_percent == -1 or 0 <= memory_percent <= 100):  # noqa: PLR2004 - per cent
        raise ValueError(f"server memory usage must be in 0 to 100, or -1 if unknown, got {memory_percent}")
