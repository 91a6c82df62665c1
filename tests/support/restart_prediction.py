"""Who starts when, and when the agent gives up: told from docs/supervision.md, not from the code.

It sees ends, starts and verdicts, as a bystander would, and does the sums itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from quaestor_actors.core.member import Rules
from quaestor_actors.core.restart import Strategy


class Life(StrEnum):
    """What can be seen of a member from outside."""

    WAITING = "waiting"
    """Without a process, to be started when its pause is over."""
    STARTING = "starting"
    UP = "up"
    ENDING = "ending"
    """Asked to end, together with others."""
    FAILED = "failed"


@dataclass(slots=True)
class Seen:
    """One member."""

    life: Life = Life.WAITING
    since: float = 0.0
    due: float = 0.0
    """When its pause is over."""
    failures: int = 0
    failed_starts: int = 0
    returns: bool = True
    """Whether a new process follows the end that it was asked for."""


class Prediction:
    """All members of an agent, in the order of the specification."""

    def __init__(self, names: Iterable[str], rules: Rules) -> None:
        self.rules = rules
        self.members = {name: Seen() for name in names}
        self.window: list[float] = []
        self.together: set[str] = set()
        self.given_up = False
        self.asked: list[str] = []
        """Who is to be asked to end now, in order."""

    def alive(self, *lives: Life) -> list[str]:
        return [name for name, each in self.members.items() if each.life in lives]

    # What happens

    def started(self, name: str) -> None:
        self.members[name].life = Life.STARTING

    def serves(self, name: str, now: float) -> None:
        each = self.members[name]
        each.life, each.since, each.failed_starts = Life.UP, now, 0

    def ended(self, names: Iterable[str], now: float) -> None:
        """Take in ends that happened at the same moment."""
        failed = [name for name in names if self._failed(self.members[name], now)]
        for name in sorted(failed, key=list(self.members).index):
            if self.given_up:
                return
            if self.members[name].life is Life.FAILED:
                if self.rules.essential or self.rules.strategy is not Strategy.ONE_FOR_ONE:
                    self._give_up(now)
            else:
                self._restarts(name, now)

    def started_by_hand(self, name: str, now: float) -> None:
        if self.given_up:
            self.given_up, self.window = False, []
        each = self.members[name]
        if each.life is Life.ENDING:
            each.returns = True
        elif each.life in {Life.WAITING, Life.FAILED}:
            each.life, each.due, each.failures, each.failed_starts = Life.WAITING, now, 0, 0

    # What follows

    def due_starts(self, now: float) -> list[str]:
        """Return who must be started now, in order: these, and nobody else."""
        members = [self.members[name] for name in self.together]
        if not any(each.life in {Life.UP, Life.STARTING, Life.ENDING} for each in members) and not any(
            each.life is Life.WAITING and each.due > now for each in members
        ):
            self.together = set()
        if self.given_up:
            return []
        waiting = {name: each for name, each in self.members.items() if each.life is Life.WAITING and each.due <= now}
        return [name for name in waiting if name not in self.together]

    def next_due(self, now: float) -> float | None:
        """Return when the next pause is over."""
        later = [each.due for each in self.members.values() if each.life is Life.WAITING and each.due > now]
        return min(later, default=None)

    def _failed(self, each: Seen, now: float) -> bool:
        if each.life is Life.ENDING:
            each.life, each.due = (Life.WAITING, now) if each.returns else (Life.FAILED, now)
            return False
        self._forgive(each, now)
        each.failures += 1
        each.failed_starts += each.life is Life.STARTING
        if each.failed_starts >= self.rules.startup_retries:
            each.life = Life.FAILED
        else:
            each.life, each.due = Life.WAITING, now + self._pause_s(each.failures)
        return True

    def _forgive(self, each: Seen, now: float) -> None:
        if each.life is Life.UP and now - each.since >= self.rules.backoff.stable_s:
            each.failures = 0

    def _pause_s(self, failures: int) -> float:
        backoff, pause_s = self.rules.backoff, 0.0
        for number in range(2, failures + 1):
            pause_s = backoff.initial_s if number == 2 else min(backoff.cap_s, pause_s * backoff.factor)
        return pause_s

    def _restarts(self, name: str, now: float) -> None:
        if name in self.together:
            return
        intensity = self.rules.intensity
        if intensity is not None:
            self.window = [*(at for at in self.window if now - at < intensity.period_s), now]
            if len(self.window) > intensity.limit:
                self._give_up(now)
                return
        order = list(self.members)
        mates = {
            Strategy.ONE_FOR_ONE: [],
            Strategy.ONE_FOR_ALL: [other for other in order if other != name],
            Strategy.REST_FOR_ONE: order[order.index(name) + 1 :],
        }[self.rules.strategy]
        # Who is on the way out, because the agent had given up, does not come back with the others.
        mates = [mate for mate in mates if self.members[mate].life is not Life.ENDING or self.members[mate].returns]
        if mates:
            self.together |= {name, *mates}
        for mate in reversed(mates):
            self._ask(mate, now, returns=True)

    def _give_up(self, now: float) -> None:
        self.given_up, self.together = True, set()
        for name, each in self.members.items():
            if each.life is Life.WAITING:
                each.life = Life.FAILED
            each.returns = False
            self._ask(name, now, returns=False)

    def _ask(self, name: str, now: float, *, returns: bool) -> None:
        if self.members[name].life in {Life.UP, Life.STARTING}:
            self._forgive(self.members[name], now)
            self.members[name].life, self.members[name].returns = Life.ENDING, returns
            self.asked.append(name)
