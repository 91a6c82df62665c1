"""When a member that ended is started again: at once the first time, then with growing pauses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses between restarts: none before the first, then `initial_s`, doubled each time up to `cap_s`."""

    initial_s: float = 0.5
    factor: float = 2.0
    cap_s: float = 30.0
    stable_s: float = 30.0
    """A member that served this long starts again as if it had never failed."""

    def delay_s(self, failures: int) -> float:
        """Return the pause before the restart that follows the given number of failures in a row (>= 1)."""
        if failures <= 1:
            return 0.0
        # Beyond this exponent every sensible cap is reached; 2.0 ** 2000 would overflow.
        exponent = min(failures - 2, 64)
        return min(self.cap_s, self.initial_s * self.factor**exponent)
