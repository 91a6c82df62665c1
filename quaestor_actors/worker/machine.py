"""How busy the machine below a service is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from quaestor_actors.errors import OperationError

MIN_PERIOD_S = 1.0
"""Over shorter periods the kernel's ticks of 10 ms make processor time too coarse, and asking would not be free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineUsage:
    """What was measured."""

    utilization: float
    """Of all processors together, 0 to 1."""
    memory_percent: float
    """0 to 100."""


class Machine:
    """Measures the machine with psutil, at most once a second; give it to a `ServiceLoad`, or to several.

    It measures when it is asked and has no thread. Processor time is that since the measurement before, so the first
    answer of all is 0.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin the first period.

        Args:
            clock: Monotonic, in seconds.

        Raises:
            OperationError: psutil is not installed.
        """
        try:
            # A service that does not measure needs no psutil.
            import psutil  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise OperationError("measuring the machine needs psutil: pip install psutil") from error
        self._psutil = psutil
        self._clock = clock
        self._lock = threading.Lock()
        self._measured_at = clock()
        self._busy_s, self._total_s = self._processor_time()
        self._usage = MachineUsage(utilization=0.0, memory_percent=psutil.virtual_memory().percent)

    def __call__(self) -> MachineUsage:
        """Return the last measurement, or a new one if that is a second old."""
        with self._lock:
            now = self._clock()
            if now - self._measured_at >= MIN_PERIOD_S:
                self._measured_at = now
                self._usage = self._measure()
            return self._usage

    def _measure(self) -> MachineUsage:
        busy_s, total_s = self._processor_time()
        period_s = total_s - self._total_s
        # The kernel's idle times can run backwards a little.
        utilization = min(1.0, max(0.0, (busy_s - self._busy_s) / period_s)) if period_s > 0 else 0.0
        self._busy_s, self._total_s = busy_s, total_s
        return MachineUsage(utilization=utilization, memory_percent=self._psutil.virtual_memory().percent)

    def _processor_time(self) -> tuple[float, float]:
        times = self._psutil.cpu_times()
        # Linux counts guests' time as user time already.
        total_s = sum(times) - times.guest - times.guest_nice
        return total_s - times.idle - times.iowait, total_s
