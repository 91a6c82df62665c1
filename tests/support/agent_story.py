"""The story of one agent, told event by event."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

from quaestor_actors.core import group
from quaestor_actors.core.agent import ClockAdvanced, Event, MemberFact, StartAll
from quaestor_actors.core.member import (
    BecameIdle,
    Effect,
    Fact,
    Health,
    HealthReported,
    Member,
    MemberState,
    MemoryMeasured,
    ProcessExited,
    Rules,
    Spawned,
)
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.core.restart import Backoff

RULES = Rules(shutdown_deadline_s=45.0, backoff=Backoff(initial_s=0.5, jitter=0.0))
DRAINED = replace(RULES, drain_s=10.0)
LARGE = replace(RULES, recycling_bytes=500_000_000)
STARTING, SERVING, DEGRADED = MemberState.STARTING, MemberState.SERVING, MemberState.DEGRADED
DRAINING, STOPPING = MemberState.DRAINING, MemberState.STOPPING
STOPPED, BACKING_OFF = MemberState.STOPPED, MemberState.BACKING_OFF


class AgentStory:
    """An agent whose members, called by their numbers, have been started; tells it what happens to them."""

    def __init__(self, rules: Rules = RULES, *, members: int = 1, draw: float = 0.5) -> None:
        self.rules = rules
        self.draw = draw
        self.group = group.create(wanted("f1", members))
        self.now = 100.0
        self.effects: tuple[Effect, ...] = ()
        self.tell(StartAll())

    def tell(self, *events: Event, after_s: float = 0.0) -> Self:
        self.now += after_s
        self.group, self.effects = group.decide(self.group, events, self.now, self.rules, self.draw)
        return self

    def fact(self, number: int, fact: Fact, *, after_s: float = 0.0) -> Self:
        return self.tell(MemberFact(member_id=f"W/{number}", fact=fact), after_s=after_s)

    def member(self, number: int = 1) -> Member:
        return self.group.members[f"W/{number}"]

    def spawned(self, number: int) -> Self:
        incarnation = self.member(number).incarnation
        process = ProcessId(pid=1000 * number + incarnation, start_ticks=7)
        return self.fact(number, Spawned(incarnation=incarnation, process=process, port=5160 + number))

    def serving(self, *numbers: int) -> Self:
        for number in numbers or (1,):
            self.spawned(number).health(Health.SERVING, number)
        return self

    def health(self, health: Health, number: int = 1, *, after_s: float = 0.0) -> Self:
        fact = HealthReported(incarnation=self.member(number).incarnation, health=health, detail=health.value)
        return self.fact(number, fact, after_s=after_s)

    def time(self, after_s: float) -> Self:
        return self.tell(ClockAdvanced(), after_s=after_s)

    @property
    def states(self) -> list[MemberState]:
        return [member.state for member in self.group.members.values()]


class Story(AgentStory):
    """The same, and all members serve at the beginning."""

    def __init__(self, rules: Rules = RULES, *, members: int = 1, draw: float = 0.5) -> None:
        super().__init__(rules, members=members, draw=draw)
        self.serving(*range(1, members + 1))

    def exited(self, number: int = 1) -> Self:
        return self.fact(number, ProcessExited(incarnation=self.member(number).incarnation, reason="exited"))

    def idle(self, number: int = 1) -> Self:
        return self.fact(number, BecameIdle(incarnation=self.member(number).incarnation, detail="no request"))

    def large(self, *numbers: int) -> Self:
        for number in numbers:
            fact = MemoryMeasured(incarnation=self.member(number).incarnation, resident_bytes=612_000_000)
            self.fact(number, fact)
        return self

    @property
    def kinds(self) -> list[type[Effect]]:
        return [type(effect) for effect in self.effects]


def wanted(fingerprint: str, members: int) -> dict[str, str]:
    return dict.fromkeys(group.member_names("W", members), fingerprint)
