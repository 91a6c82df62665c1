"""Which balancer is asked next, and which ones are left out for a while.

No clock and no I/O: the callers, synchronous and asynchronous, bring the time.
"""

from __future__ import annotations

import math
import threading

import grpc

from quaestor_actors.client.errors import BalancerFailure, BalancersUnavailableError, DiscoveryTimeoutError

FIRST_PAUSE_S = 0.1
"""How long a balancer is left out after its first failure in a row; twice as long after each further one."""

LONGEST_PAUSE_S = 10.0


class Rotation:
    """Takes the balancers in turn. Thread-safe."""

    def __init__(self, count: int, *, first: int = 0) -> None:
        """Rotate over `count` balancers, beginning with number `first`."""
        self._lock = threading.Lock()
        self._next = first % count
        self._failures = [0] * count
        self._out_until = [0.0] * count
        self._failed_at = [-math.inf] * count

    def order(self, now: float) -> tuple[int, ...]:
        """Return the order in which this question goes to the balancers: the first that answers ends it.

        Those that are left out come last, the one whose pause ends first before the others: they are better than
        nobody. When a pause is over, one question tries the balancer, and the others go on without it meanwhile.
        """
        with self._lock:
            count = len(self._failures)
            turn = [(self._next + step) % count for step in range(count)]
            self._next = (self._next + 1) % count
            present = [number for number in turn if self._out_until[number] <= now]
            absent = sorted(set(turn).difference(present), key=self._out_until.__getitem__)
            if present and self._failures[present[0]]:
                self._leave_out(present[0], now)
            return (*present, *absent)

    def failed(self, number: int, *, asked_at: float, now: float) -> None:
        """Leave a balancer out, for longer each time in a row; questions of the same moment fail as one."""
        with self._lock:
            if asked_at < self._failed_at[number]:
                return
            self._failed_at[number] = now
            self._failures[number] += 1
            self._leave_out(number, now)

    def answered(self, number: int) -> None:
        """Take a balancer back: it answered."""
        with self._lock:
            self._failures[number] = 0
            self._out_until[number] = 0.0

    def _leave_out(self, number: int, now: float) -> None:
        # The exponent is bounded: a float has no room for two to the power of a day's failures.
        doublings = min(self._failures[number] - 1, 10)
        self._out_until[number] = now + min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**doublings)


class Question:
    """One question on its way from balancer to balancer, within the caller's time."""

    def __init__(self, *, addresses: tuple[str, ...], rotation: Rotation, timeout_s: float, deadline: float) -> None:
        """Prepare.

        Args:
            addresses: The balancers, by their number in the rotation.
            rotation: Is told of everything.
            timeout_s: A balancer that takes longer is too slow.
            deadline: When the caller loses interest; infinity is never.
        """
        self._addresses = addresses
        self._rotation = rotation
        self._timeout_s = timeout_s
        self._deadline = deadline
        self._failures: list[BalancerFailure] = []
        self._asked_at = 0.0

    def patience_s(self, now: float) -> float:
        """Return how long the balancer that is asked now may take.

        Raises:
            DiscoveryTimeoutError: The caller's time is over.
        """
        remaining = self._deadline - now
        if remaining <= 0:
            raise DiscoveryTimeoutError(tuple(self._failures))
        self._asked_at = now
        return min(self._timeout_s, remaining)

    def failed(self, number: int, error: grpc.RpcError, now: float) -> None:
        """Take note that a balancer failed; let the error through if it is the question's fault."""
        code = error.code()
        if code is grpc.StatusCode.INVALID_ARGUMENT:
            raise error
        is_slow = code is grpc.StatusCode.DEADLINE_EXCEEDED
        reason = "too slow" if is_slow else f"{code.name}: {error.details()}"
        self._failures.append(BalancerFailure(self._addresses[number], reason))
        # A balancer is not slow because the caller was in a hurry.
        if not (is_slow and now >= self._deadline):
            self._rotation.failed(number, asked_at=self._asked_at, now=now)

    def give_up(self, now: float) -> BalancersUnavailableError | DiscoveryTimeoutError:
        """Return the error that says what became of every balancer."""
        failures = tuple(self._failures)
        return DiscoveryTimeoutError(failures) if now >= self._deadline else BalancersUnavailableError(failures)


def checked_addresses(addresses: object) -> tuple[str, ...]:
    """Return the addresses as a tuple.

    Raises:
        ValueError: There are none, or they are not `host:port` strings; a single string is a frequent slip.
    """
    if isinstance(addresses, str) or not hasattr(addresses, "__iter__"):
        raise ValueError(f"addresses must be a list of 'host:port', got {addresses!r}; for one balancer: ['host:port']")
    result = tuple(addresses)
    bad = [address for address in result if not (isinstance(address, str) and address.rpartition(":")[2].isdigit())]
    if bad or not result:
        raise ValueError(f"addresses must be a list of at least one 'host:port', got {bad or list(result)!r}")
    return result
