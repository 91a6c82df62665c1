"""When a transmission that came to no end is tried again: soon, because only the next attempt tells what is the case.

A peer that dies between the connection and the message leaves a connection that is reset, not refused. Stock waits 35 s
before it looks again, and whoever sends waits with it. The next connection is either refused, which says that the peer
is dead, or it serves.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from thespian.system.transport import TransmitIntent

RETRY_PERIOD = timedelta(milliseconds=250)
"""Before the first retry, twice that before the second, and so on.

Stock ends after 21 of them: a peer that closes every connection, as in a flood of strangers, is tried for a minute.
"""

_AT_ONCE = timedelta(microseconds=1)


def retry_soon(intent: Any) -> None:
    """Have an intent that is about to wait for its next attempt wait for this module's period, and nothing else."""
    intent.transmit_retry_period = RETRY_PERIOD
    if hasattr(intent, "_pauseUntil"):
        # Of two times the run loop would clear one away, and look at the other for ever.
        del intent._pauseUntil  # noqa: SLF001 - no public way


def install() -> None:
    """Have the run loop wake up for an intent that is due already.

    Stock takes "no time left" for "nothing to wait for", and sleeps until something else happens. A process that stood
    still while an intent became due would leave it lying.
    """
    stock: Callable[[Any, float | None], timedelta] = TransmitIntent.delay

    def delay(self: Any, current_time: float | None = None) -> timedelta:
        return max(_AT_ONCE, stock(self, current_time))

    TransmitIntent.delay = delay
