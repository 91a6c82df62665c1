"""A clock that stands still until a test moves it, and timers that go by it.

clock = FakeClock()
timer = clock.timer()
timer.set(clock.now() + 5.0)
clock.advance(4.9)
assert not timer.is_due
clock.advance(0.1)
assert timer.is_due
"""

from __future__ import annotations

from collections.abc import Callable

FIRST_DESCRIPTOR = 1_000_000
"""Descriptors of fakes are numbers that no open file has."""


class FakeTimer:
    """Has the face of `adapters.timer.Timer`. `fd` is a number, and no open file."""

    def __init__(self, clock: FakeClock, fd: int) -> None:
        """Belong to a clock; `FakeClock.timer` makes them."""
        self.fd = fd
        self.at: float | None = None
        """When it is due, by the clock; None: never."""
        self._clock = clock

    def set(self, at: float | None) -> None:
        """Be due at this time, which may be past, instead of any that was set before; None: never."""
        self.at = at

    def clear(self) -> None:
        """Be due no more, if it was."""
        if self.is_due:
            self.at = None

    @property
    def is_due(self) -> bool:
        """Whether its time has come: its descriptor would be readable."""
        return self.at is not None and self.at <= self._clock.now()


class FakeClock:
    """Seconds that only grow, and only when told.

    Pass `clock.now` wherever a callable such as `time.monotonic` is taken, and `clock.wall_clock` for `time.time`.
    """

    def __init__(self, start: float = 1000.0, *, epoch: float = 1_700_000_000.0) -> None:
        """Stand still.

        Args:
            start: what `now` says at first; as if the machine had run so long.
            epoch: what `wall_clock` says at first.
        """
        self._now = start
        self._offset = epoch - start
        self._timers: list[FakeTimer] = []

    def now(self) -> float:
        """Return the monotonic time in seconds."""
        return self._now

    def wall_clock(self) -> float:
        """Return seconds since the epoch."""
        return self._now + self._offset

    def timer(self) -> FakeTimer:
        """Make a timer that is not set."""
        self._timers.append(FakeTimer(self, FIRST_DESCRIPTOR + len(self._timers)))
        return self._timers[-1]

    @property
    def next_due(self) -> float | None:
        """When the next timer is due, which may be past; None if none is set."""
        return min((timer.at for timer in self._timers if timer.at is not None), default=None)

    def advance(self, seconds: float, *, at_due: Callable[[], None] | None = None) -> None:
        """Let time pass, with a stop at every moment for which a timer is set.

        Args:
            seconds: how much; not negative.
            at_due: called at every stop, while `now` is exactly that moment. It may set further timers.

        Raises:
            ValueError: `seconds` is negative: this time never goes back.
        """
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds} s")
        end = self._now + seconds
        while at_due is not None and (stop := self._next_stop(end)) is not None:
            self._now = stop
            at_due()
        # A callback may have taken time itself, and more of it than there was.
        self._now = max(self._now, end)

    def jump(self, seconds: float) -> None:
        """Let time pass without a stop, as for a machine that was suspended: everything due is found late, at once.

        Raises:
            ValueError: `seconds` is negative.
        """
        self.advance(seconds)

    def turn_wall_clock(self, seconds: float) -> None:
        """Move the wall clock alone, forwards or back, as an administrator or NTP does."""
        self._offset += seconds

    def _next_stop(self, end: float) -> float | None:
        times = (timer.at for timer in self._timers if timer.at is not None)
        return min((at for at in times if self._now < at <= end), default=None)
