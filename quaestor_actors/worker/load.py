"""How busy a service is, counted by the service itself and told to the balancer."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from quaestor_actors.rpc import load_reporting_pb2

TICKS_PER_SECOND = 10_000_000
EPOCH_TICKS = 621_355_968_000_000_000
"""1970-01-01 in .NET ticks: 100 ns since 0001-01-01, both UTC."""

MAX_COUNT = 2**31 - 1
"""What fits into the int32 of the report."""

COMPUTE = -1.0
"""The known load rate of a service that does not know its own: the balancer computes one from the counts."""


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
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin.

        Args:
            request_capacity: Requests that can be worked on at once; 0 takes the service out of the balance.
            current_requests: Requests that are running already.
            server_utilization: Of the machine's processors, 0 to 1.
            server_memory_usage_percent: Of the machine, 0 to 100; -1 if unknown.
            clock: Seconds since the epoch.

        Raises:
            ValueError: a number is out of its range.
        """
        _check_count("request_capacity", request_capacity)
        _check_count("current_requests", current_requests)
        _check_server_stats(server_utilization, server_memory_usage_percent)
        self._lock = threading.Lock()
        self._clock = clock
        self._changed_ticks = 0
        self._known_load_rate = COMPUTE
        self._capacity = request_capacity
        self._current = current_requests
        self._utilization = server_utilization
        self._memory_percent = server_memory_usage_percent

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
            self._touch()

    @property
    def request_capacity(self) -> int:
        """Requests that can be worked on at once."""
        return self._capacity

    @property
    def current_requests(self) -> int:
        """Requests that are running now."""
        with self._lock:
            return self._current

    def start_request(self) -> None:
        """Count one request more; `end_request` must follow."""
        with self._lock:
            self._current += 1
            self._touch()

    def end_request(self) -> None:
        """Count one request less.

        Raises:
            ValueError: more requests ended than started.
        """
        with self._lock:
            if self._current == 0:
                raise ValueError("a request ended that never started")
            self._current -= 1
            self._touch()

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
            ValueError: a number is out of its range.
        """
        _check_server_stats(utilization, memory_usage_percent)
        with self._lock:
            if (utilization, memory_usage_percent) == (self._utilization, self._memory_percent):
                return
            self._utilization = utilization
            self._memory_percent = memory_usage_percent
            self._touch()

    def _touch(self) -> None:
        self._changed_ticks = EPOCH_TICKS + int(self._clock() * TICKS_PER_SECOND)

    def report(self) -> load_reporting_pb2.LoadReportResponse:
        """Return the present load as it goes over the wire."""
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
            )


def _check_count(name: str, count: int) -> None:
    if not 0 <= count <= MAX_COUNT:
        raise ValueError(f"{name} must be 0 or more and at most {MAX_COUNT}, got {count}")


def _check_server_stats(utilization: float, memory_percent: float) -> None:
    # Written so that a NaN, which compares as false, is refused too.
    if not 0 <= utilization <= 1:
        raise ValueError(f"server utilization must be in 0 to 1, got {utilization}")
    if not (memory_percent == -1 or 0 <= memory_percent <= 100):  # noqa: PLR2004 - per cent
        raise ValueError(f"server memory usage must be in 0 to 100, or -1 if unknown, got {memory_percent}")
