"""The locations and the clock around `core.load_questions`, for tests."""

from __future__ import annotations

from collections import Counter

from quaestor_actors.core import load_questions as rules
from quaestor_actors.core.load_questions import Answer, Ask, Effect, Fail, LoadQuestions, WakeUp, Watch, WatchEnd

EPSILON_S = 1e-9


class World:
    """The calls of some locations, and a clock that never misses a wake-up."""

    def __init__(self) -> None:
        self.questions: LoadQuestions[int] = LoadQuestions()
        self.now = 0.0
        self.wake_at: float | None = None
        self.started: set[int] = set()
        self.watched: set[int] = set()
        self.asked: set[int] = set()
        self.calls: list[tuple[float, Effect[int]]] = []
        self.failures: list[tuple[int, str]] = []
        self.contact: dict[int, float] = {}

    def do(self, effects: list[Effect[int]]) -> None:
        assert len(effects) <= 3
        for effect in effects:
            match effect:
                case WakeUp(at):
                    assert at >= self.now - EPSILON_S
                    self.wake_at = at
                case Fail(key, reason):
                    assert key in self.started
                    self.failures.append((key, reason))
                case Watch(key):
                    assert key in self.started - self.watched
                    self.watched.add(key)
                    self._call(key, effect)
                case Ask(key):
                    assert key in self.started - self.asked
                    self.asked.add(key)
                    self._call(key, effect)

    def _call(self, key: int, effect: Effect[int]) -> None:
        if self.calls:
            assert self.now - self.calls[-1][0] >= 1 / rules.BUSY_CALLS_PER_S - EPSILON_S
        self.calls.append((self.now, effect))
        self.contact[key] = self.now

    def start(self, *keys: int) -> None:
        for key in keys:
            self.stop(key)
            self.started.add(key)
            self.contact[key] = self.now
            self.do(self.questions.start(key, now=self.now))

    def stop(self, key: int) -> None:
        self.questions.stop(key)
        for place in (self.started, self.watched, self.asked):
            place.discard(key)

    def hear(self, *keys: int) -> None:
        for key in keys:
            self.contact[key] = self.now
            self.questions.heard(key, now=self.now)

    def end_watch(self, key: int, end: WatchEnd) -> None:
        self.watched.remove(key)
        self.contact[key] = self.now
        self.do(self.questions.watch_ended(key, end, reason=str(end), now=self.now))

    def answer(self, key: int, answer: Answer = Answer.REPORT) -> None:
        self.asked.remove(key)
        self.contact[key] = self.now
        self.do(self.questions.answered(key, answer, reason=str(answer), now=self.now))

    def demand(self) -> None:
        self.do(self.questions.demand(now=self.now))

    def pass_time(self, duration_s: float, *, answers: bool = False, demand: bool = False) -> None:
        """Let time pass; have questions answered at once if `answers`, and clients ask all the time if `demand`."""
        end = self.now + duration_s
        while True:
            if demand:
                self.demand()
            if answers:
                for key in sorted(self.asked):
                    self.answer(key)
            step = min(end, self.now + rules.DEMAND_S / 2) if demand else end
            if self.wake_at is None or self.wake_at > step:
                self.now = step
                if step >= end:
                    return
                continue
            self.now, self.wake_at = self.wake_at, None
            self.do(self.questions.wake(now=self.now))

    def asks(self, *, since: float = 0.0) -> Counter[int]:
        return Counter(call.key for at, call in self.calls if at >= since and isinstance(call, Ask))

    def watches(self, *, since: float = 0.0) -> Counter[int]:
        return Counter(call.key for at, call in self.calls if at >= since and isinstance(call, Watch))
