"""The clock by which a host tells how long it may run what floats: it goes on while the machine sleeps."""

from __future__ import annotations

import time


def boot_clock() -> float:
    """Return the seconds since the machine was booted, those included in which it was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
