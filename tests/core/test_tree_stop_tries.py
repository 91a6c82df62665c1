"""An actor that ends before it has stopped what it keeps is followed by another one that does."""

from __future__ import annotations

import pytest

from quaestor_actors.core import tree
from quaestor_actors.core.actor import (
    ActorState,
    AskToStop,
    ChildEnded,
    ChildReady,
    ChildSpec,
    ChildStopped,
    CreateActor,
    Effect,
    Event,
    Reconfigured,
    StartTree,
    StopTree,
    TellStopped,
    Tree,
)

AGENT = ChildSpec(name="agent", stop_rank=0, stop_deadline_s=50, stop_tries=2)


def after(*events: Event) -> tuple[Tree, tuple[Effect, ...]]:
    state, effects = tree.create([AGENT]), ()
    for event in events:
        state, effects = tree.decide(state, event, 100.0)
    return state, effects


RUNNING = (StartTree(), ChildReady(name="agent", incarnation=1, pid=7))


@pytest.mark.parametrize("force", [False, True])
def test__end_while_stopping__a_successor_is_created_and_asked_the_same(*, force: bool) -> None:
    state, effects = after(*RUNNING, StopTree(force=force), ChildEnded(name="agent", incarnation=1))
    assert effects == (CreateActor(name="agent", incarnation=2), AskToStop(name="agent", force=force))
    assert state.children["agent"].state is ActorState.STOPPING
    assert state.children["agent"].deadline == 150.0


def test__successor_that_ends_too__is_the_last_one() -> None:
    ends = (ChildEnded(name="agent", incarnation=1), ChildEnded(name="agent", incarnation=2))
    _, effects = after(*RUNNING, StopTree(), *ends)
    assert effects == (TellStopped(),)


def test__end_after_it_said_that_it_has_stopped__is_followed_by_nobody() -> None:
    stopped = ChildStopped(name="agent", incarnation=1)
    _, effects = after(*RUNNING, StopTree(), stopped, ChildEnded(name="agent", incarnation=1))
    assert effects == (TellStopped(),)


def test__end_of_one_that_leaves__its_successor_leaves_too() -> None:
    state, effects = after(*RUNNING, Reconfigured(specs=()), ChildEnded(name="agent", incarnation=1))
    assert effects == (CreateActor(name="agent", incarnation=2), AskToStop(name="agent", leaving=True))
    state, _ = tree.decide(state, ChildStopped(name="agent", incarnation=2), 101.0)
    state, _ = tree.decide(state, ChildEnded(name="agent", incarnation=2), 101.0)
    assert not state.children
