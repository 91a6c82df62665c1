"""How often one call may be tried, where not again, and until when. No clock and no I/O."""

from __future__ import annotations

import math

import grpc

from quaestor_actors.client.service_location import ServiceLocation


class Attempts:
    """The tries of one call."""

    def __init__(self, *, max_tries: int, timeout_s: float | None, now: float) -> None:
        """Allow this many tries within the call's own time; None is without end."""
        self._left = max_tries
        self._deadline = math.inf if timeout_s is None else now + timeout_s
        self.failed: set[ServiceLocation] = set()
        """Where it was tried in vain."""

    def remaining_s(self, now: float) -> float | None:
        """Return what is left of the call's time, 0 if it is over; None is without end."""
        return None if math.isinf(self._deadline) else max(0.0, self._deadline - now)

    def may_try_again(self, code: grpc.StatusCode, location: ServiceLocation, now: float) -> bool:
        """Take note of a failed try without any response message, and return whether another one is right.

        UNAVAILABLE is the one status that says that the server was not there, rather than what it thought.
        """
        self._left -= 1
        self.failed.add(location)
        return code is grpc.StatusCode.UNAVAILABLE and self._left > 0 and now < self._deadline
