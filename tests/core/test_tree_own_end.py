"""Actors that the others can do without: each has a rule of its own for its end, and harms nobody by it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaestor_actors.core import actor, tree
from quaestor_actors.core.actor import (
    ActorState,
    AskToStop,
    ChildCrashed,
    ChildEnded,
    ChildReady,
    ChildSpec,
    ChildStopped,
    ClockAdvanced,
    CreateActor,
    KillActor,
    OwnEnd,
    Reconfigured,
    ReplaceChild,
    StartTree,
    StopTree,
    TellStopped,
)
from quaestor_actors.core.restart import Intensity, RestartType

REGISTRY = ChildSpec(name="registry", stop_rank=1, stop_deadline_s=5)
PERMANENT, TRANSIENT, TEMPORARY = RestartType


def own(restart: RestartType = PERMANENT, intensity: Intensity | None = None) -> ChildSpec:
    return ChildSpec(name="T", stop_rank=0, stop_deadline_s=5, own_end=OwnEnd(restart=restart, intensity=intensity))


class Story:
    """A tree of the registry and an actor T that works."""

    def __init__(self, spec: ChildSpec) -> None:
        self.now = 100.0
        self.tree = tree.create([REGISTRY, spec], Intensity(limit=2, period_s=60))
        self.effects: tuple[actor.Effect, ...] = ()
        self.tell(StartTree())
        for name in ("registry", "T"):
            self.tell(ChildReady(name=name, incarnation=1, pid=7))

    def tell(self, event: actor.Event, *, after_s: float = 0.0) -> Story:
        self.now += after_s
        self.tree, self.effects = tree.decide(self.tree, event, self.now)
        return self

    @property
    def child(self) -> actor.Child:
        return self.tree.children["T"]

    def crashes(self, *, after_s: float = 0.0) -> Story:
        self.tell(ChildCrashed(name="T", incarnation=self.child.incarnation, reason="boom"), after_s=after_s)
        return self.tell(ChildEnded(name="T", incarnation=self.child.incarnation))

    def finishes(self) -> Story:
        self.tell(ChildStopped(name="T", incarnation=self.child.incarnation))
        return self.tell(ChildEnded(name="T", incarnation=self.child.incarnation))

    def works_again(self) -> Story:
        if self.child.state is ActorState.BACKING_OFF:
            assert self.child.deadline is not None
            self.tell(ClockAdvanced(), after_s=self.child.deadline - self.now)
        return self.tell(ChildReady(name="T", incarnation=self.child.incarnation, pid=8))


@pytest.mark.parametrize(
    ("restart", "after_crash", "after_finish"),
    [
        (PERMANENT, ActorState.STARTING, ActorState.STARTING),
        (TRANSIENT, ActorState.STARTING, ActorState.DONE),
        (TEMPORARY, ActorState.DONE, ActorState.DONE),
    ],
)
def test__end__is_followed_as_its_type_says(
    restart: RestartType, after_crash: ActorState, after_finish: ActorState
) -> None:
    crashed, finished = Story(own(restart)).crashes(), Story(own(restart)).finishes()
    assert (crashed.child.state, finished.child.state) == (after_crash, after_finish)
    assert "boom" in crashed.child.reason
    assert "it has done its work" in finished.child.reason


def test__temporary__says_why_it_is_not_back() -> None:
    assert Story(own(TEMPORARY)).crashes().child.reason == "boom; not started again, as it is temporary"


def test__restarts__never_count_against_the_others() -> None:
    story = Story(own())
    for _ in range(10):
        story.crashes().works_again()
    assert story.tree.restarts == ()
    assert not story.tree.given_up
    assert story.child.incarnation == 11


def test__restarts__the_first_is_at_once_and_later_ones_wait() -> None:
    story = Story(own())
    assert story.crashes().effects == (CreateActor(name="T", incarnation=2),)
    story.works_again().crashes()
    assert story.child.state is ActorState.BACKING_OFF
    assert story.child.deadline == story.now + 0.2


@given(st.integers(0, 5), st.floats(1, 100))
def test__limit__exactly_so_many_are_allowed(limit: int, period_s: float) -> None:
    story = Story(own(intensity=Intensity(limit=limit, period_s=period_s * 1000)))
    for _ in range(limit):
        story.crashes().works_again()
        assert story.child.state is ActorState.RUNNING
    story.crashes()
    assert story.child.state is ActorState.FAILED
    assert story.effects == ()
    within = f"{limit + 1} restarts within {period_s * 1000:g} s (limit {limit})"
    assert story.child.reason == f"{within}; the last: boom"
    assert tree.next_deadline(story.tree) is None


def test__limit__the_window_slides() -> None:
    story = Story(own(intensity=Intensity(limit=1, period_s=60)))
    for _ in range(5):
        story.crashes(after_s=61).works_again()
    assert story.child.state is ActorState.RUNNING
    assert story.crashes(after_s=1).child.state is ActorState.FAILED


def test__given_up__what_comes_later_about_it_is_late() -> None:
    story = Story(own(intensity=Intensity(limit=0, period_s=60))).crashes()
    before = story.tree
    story.tell(ChildEnded(name="T", incarnation=1)).tell(ChildStopped(name="T", incarnation=1))
    story.tell(ClockAdvanced(), after_s=1000)
    assert (story.tree, story.effects) == (before, ())


def test__given_up__replaced__begins_with_a_clean_slate() -> None:
    story = Story(own(intensity=Intensity(limit=0, period_s=60))).crashes()
    assert story.tell(ReplaceChild(name="T", reason="anew")).effects == (CreateActor(name="T", incarnation=2),)
    assert (story.child.restarts, story.child.failures, story.child.reason) == ((), 0, "anew")
    assert story.works_again().crashes().child.state is ActorState.FAILED


def test__finished__that_does_not_end__is_killed() -> None:
    story = Story(own(TRANSIENT)).tell(ChildStopped(name="T", incarnation=1))
    assert story.tell(ClockAdvanced(), after_s=1.5).effects == (KillActor(name="T", incarnation=1),)
    assert story.tell(ChildEnded(name="T", incarnation=1)).child.state is ActorState.DONE


@pytest.mark.parametrize("state", ["failed", "done", "running"])
def test__stop__does_not_wait_for_who_is_not_there(state: str) -> None:
    spec = own(TRANSIENT, Intensity(limit=0, period_s=60))
    story = Story(spec)
    if state != "running":
        story = story.crashes() if state == "failed" else story.finishes()
        assert story.tell(StopTree()).effects == (AskToStop(name="registry"),)
        assert story.child.state.value == state
    else:
        assert story.tell(StopTree()).effects == (AskToStop(name="T"),)
        story.tell(ChildStopped(name="T", incarnation=1)).tell(ChildEnded(name="T", incarnation=1))
        assert story.effects == (AskToStop(name="registry"),)
    story.tell(ChildStopped(name="registry", incarnation=1)).tell(ChildEnded(name="registry", incarnation=1))
    assert story.effects == (TellStopped(),)


def test__configuration__one_that_is_gone_is_forgotten_also_when_it_was_given_up() -> None:
    story = Story(own(intensity=Intensity(limit=0, period_s=60))).crashes()
    story.tell(Reconfigured(specs=(REGISTRY, own())))
    assert story.child.state is ActorState.FAILED
    assert list(story.tell(Reconfigured(specs=(REGISTRY,))).tree.children) == ["registry"]


def test__others__that_say_they_have_stopped_unasked__are_not_heard() -> None:
    story = Story(own())
    before = story.tree
    assert story.tell(ChildStopped(name="registry", incarnation=1)).tree == before
