"""When something that ended is started again, and when its supervisor gives up, in the words of OTP's supervisor.

Source: https://www.erlang.org/doc/apps/stdlib/supervisor (child specification, supervision flags).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import StrEnum


class RestartType(StrEnum):
    """Which ends of a process are followed by a new one."""

    PERMANENT = "permanent"
    """Every end."""
    TRANSIENT = "transient"
    """An abnormal end: another exit code than 0, or a signal that was not ours."""
    TEMPORARY = "temporary"
    """None."""


class Strategy(StrEnum):
    """Who is restarted together with one that ended."""

    ONE_FOR_ONE = "one_for_one"
    """Nobody."""
    ONE_FOR_ALL = "one_for_all"
    """All the others."""
    REST_FOR_ONE = "rest_for_one"
    """Those that come after it in the order of the specification."""


class AutoShutdown(StrEnum):
    """When a supervisor ends in order because significant children have done their work."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intensity:
    """More than `limit` restarts within `period_s` make a supervisor give up."""

    limit: int
    period_s: float

    def recent(self, restarts: tuple[float, ...], now: float) -> tuple[float, ...]:
        """Return the restarts that still count."""
        return tuple(at for at in restarts if at > now - self.period_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses between restarts: none before the first, then `initial_s`, growing by `factor` up to `cap_s`."""

    initial_s: float = 0.5
    factor: float = 2.0
    cap_s: float = 30.0
    jitter: float = 0.1
    """Part of a pause by which chance lengthens or shortens it: what failed together is not retried together."""
    stable_s: float = 30.0
    """What served this long starts again as if it had never failed."""

    def delay_s(self, failures: int, draw: float = 0.5) -> float:
        """Return the pause before the restart that follows the given number of failures in a row (>= 1).

        Args:
            failures: how many, this one included.
            draw: a random number from 0 to 1; one half stands for no deviation.
        """
        if failures <= 1:
            return 0.0
        # Beyond this exponent every sensible cap is reached; 2.0 ** 2000 would overflow.
        exponent = min(failures - 2, 64)
        return min(self.cap_s, self.initial_s * self.factor**exponent) * vary(self.jitter, draw)


def vary(part: float, draw: float) -> float:
    """Return the factor that moves a duration by up to the given part of it, by a random number from 0 to 1."""
    return 1.0 + part * (2.0 * draw - 1.0)


def own_draw(draw: float, name: str) -> float:
    """Return a random number of one's own, from the one that was drawn for all who decide at this moment."""
    return (draw + zlib.crc32(name.encode()) / 2**32) % 1.0
