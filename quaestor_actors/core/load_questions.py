"""Which serving location is asked for its load when, and when it is watched instead.

Each location is watched first (`WatchLoad`). One that can be watched tells its load by itself and is asked
(`ReportLoad`) only when it has been silent for too long; one that cannot is asked again and again: often while
clients ask for the best locations, seldom while nobody does. All calls together have a ceiling, however many
locations there are.

Locations wait in lanes. All in one lane wait equally long, so its first one is the first to be due, and every event
costs the same with four locations as with a thousand. Lanes that hold somebody who is due take turns.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

DEMAND_S = 3.0
"""Clients count as asking until this long after their last request."""

BUSY_CALLS_PER_S = 500
IDLE_CALLS_PER_S = 200
"""With more locations than a period allows at these rates, the period grows. What cannot wait goes at the former."""

CATCH_UP_S = 0.02
"""Timers are late, by a millisecond and more: what could not be called on time is called then, so far back at most."""

BUSY_PERIOD_S = 0.1
IDLE_PERIOD_S = 2.0
"""How often a location is asked that cannot be watched."""

BUSY_SILENCE_S = 1.0
"""A watched location that was silent for this long while clients ask may hang."""

IDLE_SILENCE_S = 2.0
"""The same while nobody asks."""

BUSY_SILENT_CALLS_PER_S = 10
IDLE_SILENT_CALLS_PER_S = 5
"""A thousand watched locations are silent because nothing happens; to ask them all that often would take a processor.
Their repetitions (every 30 s, see `load_reporting.proto`) tell that they are alive, too."""

FIRST_WORD_S = 1.0
"""A location that neither refuses to be watched nor says anything is asked after this time."""

SUSPECT_CALLS_PER_S = 10
"""Watched locations that say nothing although a client was sent to them. They are few: those that hang, and those to
which no client went after all."""

HUNG_PAUSE_S = 0.02
"""Before a hung location is asked again, so that it is back the moment it goes on."""

RETRY_PAUSES_S = (0.1, 1.0, 5.0)
"""Before watching is tried again: the first, the second, every further time."""

CROWDED_PAUSE_S = 60.0
"""The same for a location that has too many watchers."""

Key = TypeVar("Key", bound=Hashable)


class WatchEnd(StrEnum):
    """Why a location is not watched any more."""

    UNKNOWN = "unknown"
    """It does not know how: a worker of the original."""
    CROWDED = "crowded"
    """It has too many watchers."""
    UNMONITORED = "unmonitored"
    """It does not report on this service."""
    BROKEN = "broken"
    """Anything else."""


class Answer(StrEnum):
    """What became of a question."""

    REPORT = "report"
    REFUSAL = "refusal"
    """The call failed."""
    NOTHING = "nothing"
    """No answer in time."""


# Effects


@dataclass(frozen=True, slots=True)
class Watch(Generic[Key]):
    """Call `WatchLoad`."""

    key: Key


@dataclass(frozen=True, slots=True)
class Ask(Generic[Key]):
    """Call `ReportLoad`."""

    key: Key


@dataclass(frozen=True, slots=True)
class Fail(Generic[Key]):
    """The load of the location is unknown for this reason."""

    key: Key
    reason: str


@dataclass(frozen=True, slots=True)
class WakeUp:
    """Call `wake` at this time, and forget what was said of it before."""

    at: float


Effect = Watch[Key] | Ask[Key] | Fail[Key] | WakeUp


class _Lane(Generic[Key]):
    """Locations that wait for a call, and since when; the first one has waited longest."""

    __slots__ = ("busy_gap_s", "busy_s", "called_at", "idle_gap_s", "idle_s", "is_for_watching", "waiting")

    def __init__(
        self,
        busy_s: float,
        *,
        idle_s: float | None = None,
        busy_calls_per_s: float = math.inf,
        idle_calls_per_s: float = math.inf,
        is_for_watching: bool = False,
    ) -> None:
        """Begin empty.

        Args:
            busy_s: How long to wait.
            idle_s: The same while no client asks, if that makes a difference.
            busy_calls_per_s: A ceiling of this lane's own.
            idle_calls_per_s: The same while no client asks.
            is_for_watching: The call is `WatchLoad`.
        """
        self.busy_s = busy_s
        self.idle_s = busy_s if idle_s is None else idle_s
        self.busy_gap_s = 1 / busy_calls_per_s
        self.idle_gap_s = 1 / idle_calls_per_s
        self.is_for_watching = is_for_watching
        self.waiting: OrderedDict[Key, float] = OrderedDict()
        self.called_at = -math.inf


class _State(StrEnum):
    """How a location stands to being watched."""

    UNWATCHED = "unwatched"
    OPENING = "opening"
    """`WatchLoad` was called; not a word yet."""
    WATCHED = "watched"
    UNMONITORED = "unmonitored"
    """Not watched, and not worth a question."""


@dataclass(slots=True)
class _Location(Generic[Key]):
    """What is remembered of one location. Waits in at most one lane to be asked and in one to be watched."""

    state: _State = _State.UNWATCHED
    ask_lane: _Lane[Key] | None = None
    watch_lane: _Lane[Key] | None = None
    asked_at: float | None = None
    """When the open question was asked; None if there is none."""
    heard_at: float = 0.0
    """When a watched location said something last."""
    watched_at: float = 0.0
    """When it was tried to be watched last."""
    retries: int = 0


class LoadQuestions(Generic[Key]):
    """Decides; whoever owns it does what the effects say, in their order, and tells what came of it.

    Times are seconds of the caller's monotonic clock. News of a location that was not started, or was stopped, has
    no effect. The state is changed in place, as a copy of a thousand locations at each event would cost too much.
    """

    def __init__(self) -> None:
        """Begin without locations and without demand."""
        self._locations: dict[Key, _Location[Key]] = {}
        self._new = _Lane[Key](0.0, is_for_watching=True)
        self._opening = _Lane[Key](FIRST_WORD_S)
        self._at_once = _Lane[Key](0.0)
        self._routine = _Lane[Key](BUSY_PERIOD_S, idle_s=IDLE_PERIOD_S)
        self._silent = _Lane[Key](
            BUSY_SILENCE_S,
            idle_s=IDLE_SILENCE_S,
            busy_calls_per_s=BUSY_SILENT_CALLS_PER_S,
            idle_calls_per_s=IDLE_SILENT_CALLS_PER_S,
        )
        self._suspect = _Lane[Key](
            BUSY_SILENCE_S, busy_calls_per_s=SUSPECT_CALLS_PER_S, idle_calls_per_s=SUSPECT_CALLS_PER_S
        )
        self._hung = _Lane[Key](HUNG_PAUSE_S)
        self._retries = tuple(_Lane[Key](pause_s, is_for_watching=True) for pause_s in RETRY_PAUSES_S)
        self._crowded = _Lane[Key](CROWDED_PAUSE_S, is_for_watching=True)
        watched = (self._suspect, self._silent)
        unwatched = (self._new, self._at_once, self._opening, self._routine, self._hung, self._crowded)
        # The one whose turn is longest ago comes first.
        self._lanes = [*unwatched, *watched, *self._retries]
        self._demand_until = -math.inf
        self._called_at = -math.inf
        self._wake_at: float | None = None

    def start(self, key: Key, *, now: float) -> list[Effect[Key]]:
        """Take a location that serves from now on, as one that nothing is known of."""
        self.stop(key)
        location = self._locations[key] = _Location[Key]()
        self._await_watching(key, location, self._new, now=now)
        return self._go_on(now)

    def stop(self, key: Key) -> None:
        """Forget a location. Its calls are the caller's to cancel."""
        location = self._locations.pop(key, None)
        if location is not None:
            _leave(key, location.ask_lane)
            _leave(key, location.watch_lane)

    def demand(self, *, now: float) -> list[Effect[Key]]:
        """A client has asked for the best locations: their loads must be fresh from now on."""
        was_busy = now < self._demand_until
        self._demand_until = now + DEMAND_S
        return [] if was_busy else self._go_on(now)

    def wake(self, *, now: float) -> list[Effect[Key]]:
        """The time of the last `WakeUp` has come."""
        planned, self._wake_at = self._wake_at, None
        return self._go_on(now, late_s=0.0 if planned is None else min(now - planned, CATCH_UP_S))

    def heard(self, key: Key, *, now: float) -> None:
        """A watched location has told its load. Nobody is due earlier for that, so there is nothing to do."""
        location = self._locations.get(key)
        if location is None:
            return
        location.state = _State.WATCHED
        location.heard_at = now
        if location.asked_at is None:
            self._await_asking(key, location, self._silent, now=now)

    def handed_out(self, key: Key, *, now: float) -> None:
        """A client was sent to the location. One that is watched should say something soon; nobody is due earlier."""
        location = self._locations.get(key)
        if location is not None and location.ask_lane is self._silent:
            self._await_asking(key, location, self._suspect, now=now)

    def watch_ended(self, key: Key, end: WatchEnd, *, reason: str, now: float) -> list[Effect[Key]]:
        """The watching has ended, or did not begin; `reason` is for people."""
        location = self._locations.get(key)
        if location is None:
            return []
        location.state = _State.UNWATCHED
        effects = list[Effect[Key]]()
        match end:
            case WatchEnd.UNKNOWN:
                self._ask_soon(key, location, now=now)
            case WatchEnd.CROWDED:
                self._await_watching(key, location, self._crowded, now=now)
                self._ask_soon(key, location, now=now)
            case WatchEnd.BROKEN:
                self._retry(key, location, now=now)
                self._ask_soon(key, location, now=now)
            case WatchEnd.UNMONITORED:
                location.state = _State.UNMONITORED
                self._retry(key, location, now=now)
                self._await_asking(key, location, None, now=now)
                effects.append(Fail(key, reason))
        return effects + self._go_on(now)

    def answered(self, key: Key, answer: Answer, *, reason: str = "", now: float) -> list[Effect[Key]]:
        """A question has come to its end; `reason` says of a failure what is wrong, for people."""
        location = self._locations.get(key)
        if location is None or location.asked_at is None:
            return []
        effects = list[Effect[Key]]()
        is_silent = answer is Answer.NOTHING and not self._spoke_since(location, location.asked_at)
        if is_silent or (answer is Answer.REFUSAL and location.state is not _State.WATCHED):
            effects.append(Fail(key, reason))
        location.asked_at = None
        self._await_asking(key, location, self._lane_after(location, is_silent=is_silent), now=now)
        return effects + self._go_on(now)

    @staticmethod
    def _spoke_since(location: _Location[Key], asked_at: float) -> bool:
        """Whether a location that does not answer is alive all the same: its requests may keep the answer back."""
        return location.state is _State.WATCHED and location.heard_at >= asked_at

    def _lane_after(self, location: _Location[Key], *, is_silent: bool) -> _Lane[Key] | None:
        if location.state is _State.UNMONITORED:
            return None
        if is_silent:
            return self._hung
        return self._silent if location.state is _State.WATCHED else self._routine

    def _ask_soon(self, key: Key, location: _Location[Key], *, now: float) -> None:
        if location.asked_at is None:
            self._await_asking(key, location, self._at_once, now=now)

    def _retry(self, key: Key, location: _Location[Key], *, now: float) -> None:
        """Have it watched again, the later the more often that failed in short succession."""
        if now - location.watched_at > RETRY_PAUSES_S[-1]:
            location.retries = 0
        pause = min(location.retries, len(self._retries) - 1)
        location.retries += 1
        self._await_watching(key, location, self._retries[pause], now=now)

    def _await_asking(self, key: Key, location: _Location[Key], lane: _Lane[Key] | None, *, now: float) -> None:
        if lane is location.ask_lane and lane is not None:
            lane.waiting[key] = now
            lane.waiting.move_to_end(key)
            return
        _leave(key, location.ask_lane)
        location.ask_lane = lane
        if lane is not None:
            lane.waiting[key] = now

    def _await_watching(self, key: Key, location: _Location[Key], lane: _Lane[Key], *, now: float) -> None:
        _leave(key, location.watch_lane)
        location.watch_lane = lane
        lane.waiting[key] = now

    def _go_on(self, now: float, *, late_s: float = 0.0) -> list[Effect[Key]]:
        """Call whoever may be called now, and see to it that the next one is not forgotten.

        Args:
            now: The time.
            late_s: Since when this has been due; those who could have been called since then are called as well.
        """
        effects = list[Effect[Key]]()
        is_busy = now < self._demand_until
        is_urgent = is_busy or bool(self._new.waiting) or bool(self._at_once.waiting)
        gap_s = 1 / (BUSY_CALLS_PER_S if is_urgent else IDLE_CALLS_PER_S)
        at = now - late_s
        while (at := max(at, self._called_at + gap_s)) <= now:
            lane = next((each for each in self._lanes if (due := _due(each, is_busy)) is not None and due <= now), None)
            if lane is None:
                break
            self._called_at = at
            effects.append(self._call(lane, now=now))
        dues = [due for due in (_due(each, is_busy) for each in self._lanes) if due is not None]
        if dues:
            wake_at = max(min(dues), self._called_at + gap_s)
            if self._wake_at is None or wake_at < self._wake_at:
                self._wake_at = wake_at
                effects.append(WakeUp(wake_at))
        return effects

    def _call(self, lane: _Lane[Key], *, now: float) -> Effect[Key]:
        self._lanes.remove(lane)
        self._lanes.append(lane)
        lane.called_at = now
        key, _ = lane.waiting.popitem(last=False)
        location = self._locations[key]
        if not lane.is_for_watching:
            location.ask_lane = None
            location.asked_at = now
            return Ask(key)
        location.watch_lane = None
        location.watched_at = now
        location.state = _State.OPENING
        if location.ask_lane is None and location.asked_at is None:
            self._await_asking(key, location, self._opening, now=now)
        return Watch(key)


def _due(lane: _Lane[Key], is_busy: bool) -> float | None:  # noqa: FBT001 - called for each lane at each event
    for since in lane.waiting.values():
        if is_busy:
            return max(since + lane.busy_s, lane.called_at + lane.busy_gap_s)
        return max(since + lane.idle_s, lane.called_at + lane.idle_gap_s)
    return None


def _leave(key: Key, lane: _Lane[Key] | None) -> None:
    if lane is not None:
        del lane.waiting[key]
