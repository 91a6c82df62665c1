"""Actors under a supervisor: when each is created again and when the supervisor gives up, predicted from their ends."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.profiles import examples

from quaestor_actors.core import actor, tree
from quaestor_actors.core.actor import (
    ChildCrashed,
    ChildEnded,
    ChildReady,
    ChildSpec,
    ClockAdvanced,
    CreateActor,
    GiveUp,
    KillActor,
    StartTree,
)
from quaestor_actors.core.restart import Backoff, Intensity

NAMES = ("registry", "agent", "balancer")
SPECS = tuple(ChildSpec(name=name, stop_rank=0, stop_deadline_s=5.0) for name in NAMES)
PERIOD_S = 10.0
BACKOFF = Backoff(initial_s=0.25, factor=2.0, cap_s=2.0, jitter=0.0, stable_s=8.0)

names = st.sampled_from(NAMES)


@dataclass(slots=True)
class Seen:
    """What can be seen of one actor."""

    incarnation: int = 0
    created: float = 0.0
    ready_since: float | None = None
    due: float | None = None
    """When it is to be created; None: it exists."""
    streak: int = 0


class TreeRestartMachine(RuleBasedStateMachine):
    """Actors that end, with or without a word, and hang at their start. All times are multiples of a quarter."""

    @initialize(limit=st.sampled_from([0, 1, 3, 1000]))
    def begin(self, limit: int) -> None:
        self.limit = limit
        self.now = 100.0
        self.seen = {name: Seen(due=self.now) for name in NAMES}
        self.window: list[float] = []
        self.gave_up = False
        self.killed: list[str] = []
        self.tree = replace(tree.create(SPECS, Intensity(limit=limit, period_s=PERIOD_S)), backoff=BACKOFF)
        self.tell(StartTree())

    def tell(self, event: actor.Event) -> None:
        self.tree, effects = tree.decide(self.tree, event, self.now)
        created = [each.name for each in effects if isinstance(each, CreateActor)]
        due = [name for name, each in self.seen.items() if each.due is not None and each.due <= self.now]
        assert created == ([] if self.gave_up else due)
        for name in created:
            before = self.seen[name]
            self.seen[name] = Seen(incarnation=before.incarnation + 1, created=self.now, streak=before.streak)
        assert any(isinstance(each, GiveUp) for each in effects) == (self.gave_up and not self.told_to_give_up)
        self.told_to_give_up = self.gave_up
        self.killed += [each.name for each in effects if isinstance(each, KillActor)]

    told_to_give_up = False

    def ends(self, name: str, *, says_so: bool) -> None:
        each = self.seen[name]
        if says_so:
            self.tell(ChildCrashed(name=name, incarnation=each.incarnation, reason="a bug"))
        is_stable = each.ready_since is not None and self.now - each.ready_since >= BACKOFF.stable_s
        each.streak = 1 if is_stable else each.streak + 1
        self.window = [*(at for at in self.window if self.now - at < PERIOD_S), self.now]
        self.gave_up = self.gave_up or len(self.window) > self.limit
        pause_s = 0.0
        for number in range(2, each.streak + 1):
            pause_s = BACKOFF.initial_s if number == 2 else min(BACKOFF.cap_s, pause_s * BACKOFF.factor)
        each.due, each.ready_since = self.now + pause_s, None
        self.tell(ChildEnded(name=name, incarnation=each.incarnation))

    @precondition(lambda self: not self.gave_up)
    @rule(name=names, says_so=st.booleans())
    def an_actor_ends(self, name: str, says_so: bool) -> None:  # noqa: FBT001 - by name
        if self.seen[name].due is None:
            self.ends(name, says_so=says_so)

    @rule(name=names)
    def an_actor_is_ready(self, name: str) -> None:
        each = self.seen[name]
        if each.due is None and each.ready_since is None and name not in self.killed:
            each.ready_since = self.now
            self.tell(ChildReady(name=name, incarnation=each.incarnation, pid=1))

    @rule(name=names, age=st.integers(1, 2))
    def old_news_comes_late(self, name: str, age: int) -> None:
        incarnation = self.seen[name].incarnation - age
        self.tell(ChildReady(name=name, incarnation=incarnation, pid=1))
        self.tell(ChildCrashed(name=name, incarnation=incarnation, reason="long ago"))
        self.tell(ChildEnded(name=name, incarnation=incarnation))

    @rule(seconds=st.sampled_from([0.25, 1.0, 2.0, 8.0, PERIOD_S, 3600.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        late = [
            name
            for name, each in self.seen.items()
            if each.due is None and each.ready_since is None and self.now >= each.created + tree.READY_DEADLINE_S
        ]
        self.tell(ClockAdvanced())
        assert self.gave_up or set(late) == set(self.killed)
        killed, self.killed = self.killed, []
        for name in killed:
            if not self.gave_up:
                self.ends(name, says_so=False)

    @rule(early=st.booleans())
    def time_passes_to_the_next_change(self, early: bool) -> None:  # noqa: FBT001 - by name
        edges = [each.due for each in self.seen.values() if each.due is not None and each.due > self.now]
        edges += [at + PERIOD_S for at in self.window if at + PERIOD_S > self.now]
        if edges:
            self.time_passes(max(0.0, min(edges) - self.now - 0.25 * early))

    @invariant()
    def gives_up_exactly_when_the_limit_is_passed(self) -> None:
        assert self.tree.given_up == self.gave_up


TestTreeRestarts = TreeRestartMachine.TestCase
TestTreeRestarts.settings = settings(max_examples=examples(60), stateful_step_count=40)
