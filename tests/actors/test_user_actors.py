"""Actors of users in the tree: what they are told, what follows when they fail, and what a new configuration does."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from support.simple_tree import SimpleTree, agent
from support.user_actors import Echo, Unreadable

from quaestor_actors.actors.root_messages import Changed, Ending
from quaestor_actors.actors.user_actor_messages import Answer, FindActor, Letter, Located, Refused, packed
from quaestor_actors.actors.view import ActorView
from quaestor_actors.core.finding import Trouble
from quaestor_actors.core.restart import Intensity, RestartType
from quaestor_actors.core.spec import ActorSpec

Start = Callable[..., SimpleTree]

ECHO = ActorSpec(name="Echo", class_name="support.user_actors:Echo")
OTHER = replace(ECHO, name="Other")


def find(tree: SimpleTree, name: str = "Echo") -> Located:
    tree._requests += 1
    request_id = f"find {tree._requests}"
    tree.send(tree.root, FindActor(request_id=request_id, name=name))
    tree.settle()
    (found,) = [one for one in tree.heard if isinstance(one, Located) and one.request_id == request_id]
    return found


def post(tree: SimpleTree, message: Any, name: str = "Echo") -> str:
    """Send a message, and return the id of the question."""
    tree._requests += 1
    request_id = f"ask {tree._requests}"
    address = find(tree, name).address
    assert address is not None
    tree.send(address, Letter(to=name, payload=packed(message), request_id=request_id))
    tree.settle()
    return request_id


def answer(tree: SimpleTree, request_id: str) -> Any:
    """Return the answer to a question, or why there is none; None if nothing was said."""
    for one in tree.heard:
        if isinstance(one, Answer) and one.request_id == request_id:
            return pickle.loads(one.payload)  # noqa: S301 - just pickled
        if isinstance(one, Refused) and one.request_id == request_id:
            return one
    return None


def ask(tree: SimpleTree, message: Any, name: str = "Echo") -> Any:
    return answer(tree, post(tree, message, name))


def shown(tree: SimpleTree, name: str = "Echo") -> ActorView:
    return next(each for each in tree.status().actors if each.name == f"actor/{name}")


@pytest.mark.parametrize("seed", range(3))
def test__asked__answers_by_its_settings(start: Start, seed: int) -> None:
    tree = start(agent(), actors=(replace(ECHO, settings={"greeting": "good day"}),), seed=seed)
    assert ask(tree, "how are you")[:3] == ("Echo", "good day", "how are you")
    assert shown(tree).state == "running"
    assert tree.states == {"Worker/1": "serving", "Worker/2": "serving"}


def test__sender__can_be_answered_later(start: Start) -> None:
    tree = start(actors=(ECHO,))
    first = post(tree, "silence")
    assert answer(tree, first) is None
    post(tree, "answer the last")
    assert answer(tree, first) == "late"


def test__crash__who_asked_is_told_and_the_next_one_begins_anew(start: Start) -> None:
    tree = start(actors=(ECHO,))
    post(tree, ("say", 1))
    refused = ask(tree, "crash")
    assert isinstance(refused, Refused)
    assert refused.reason.startswith("Echo crashed: ValueError: too hot (in receive, ")
    assert "user_actors.py:" in refused.reason
    assert not refused.is_untouched
    assert ask(tree, "seen") == ()
    assert (find(tree).incarnation, shown(tree).restarts, tree.incarnation) == (2, 1, 1)
    assert shown(tree).reason.startswith("restarted: ValueError: too hot")


def test__killed__is_replaced_and_nobody_else_is(start: Start) -> None:
    tree = start(agent(count=1), actors=(ECHO, OTHER))
    tree.kill("actor/Echo")
    tree.settle()
    assert shown(tree).reason == "restarted: its process ended unexpectedly"
    assert {each.name: each.restarts for each in tree.status().actors if each.restarts} == {"actor/Echo": 1}


def test__fails_to_start__waits_longer_and_longer_and_the_tree_stays(start: Start) -> None:
    tree = start(actors=(replace(ECHO, settings={"breaks": True}), OTHER))
    tree.pass_time(60.0)
    assert tree.incarnation == 1
    assert shown(tree).restarts > 12
    assert "OSError: the device is not there" in shown(tree).reason
    found = find(tree)
    assert (found.address, found.standing.trouble) == (None, Trouble.AWAY)
    assert ask(tree, "hi", "Other")[1] == "hello"


def test__limit__is_given_up_alone(start: Start) -> None:
    tree = start(agent(), actors=(replace(ECHO, intensity=Intensity(limit=2, period_s=60.0)), OTHER))
    for _ in range(3):
        ask(tree, "crash")
        tree.pass_time(1.0)
    assert shown(tree).state == "failed"
    found = find(tree)
    assert found.standing.trouble is Trouble.ENDED
    assert found.standing.reason.startswith("it was given up: 3 restarts within 60 s (limit 2); the last: ValueError")
    assert not any(isinstance(message, Ending) for message in tree.heard)
    assert tree.incarnation == 1
    told = [each for one in tree.heard if isinstance(one, Changed) for each in one.actors if each.state == "failed"]
    assert [each.name for each in told] == ["actor/Echo"]
    tree.stop()
    assert tree.has_stopped


def test__given_up__essential__ends_the_cluster_as_failed(start: Start) -> None:
    spec = replace(ECHO, intensity=Intensity(limit=0, period_s=60.0), essential=True)
    tree = start(agent(), actors=(spec, OTHER))
    ask(tree, "crash")
    (ending,) = [message for message in tree.heard if isinstance(message, Ending)]
    assert ending.failed
    assert ending.reason.startswith("the essential actor Echo was given up: 1 restarts within 60 s (limit 0)")
    assert tree.has_stopped


def test__given_up__begins_afresh_as_long_as_the_cluster_allows_it(start: Start) -> None:
    spec = replace(ECHO, intensity=Intensity(limit=0, period_s=60.0))
    tree = start(actors=(spec,), intensity=Intensity(limit=1, period_s=60.0))
    ask(tree, "crash")
    assert shown(tree).reason.startswith("actor Echo was given up and is started afresh: 1 restarts")
    assert ask(tree, "hi")[1] == "hello"
    ask(tree, "crash")
    assert shown(tree).state == "failed"


@pytest.mark.parametrize(("restart", "expected"), [(RestartType.PERMANENT, "running"), (RestartType.TRANSIENT, "done")])
def test__finish__is_followed_as_its_type_says(start: Start, restart: RestartType, expected: str) -> None:
    tree = start(actors=(replace(ECHO, restart=restart),))
    ask(tree, "finish")
    assert shown(tree).state == expected
    assert "it has done its work" in shown(tree).reason


def test__class_that_is_gone__says_so_in_words(start: Start) -> None:
    tree = start(actors=(replace(ECHO, class_name="gone_of_a_test:T"),))
    reason = "there is no module gone_of_a_test; install it beside quaestor-actors, or name its folder in PYTHONPATH"
    assert shown(tree).reason.startswith(reason)


def test__message_that_cannot_be_read__harms_nobody(start: Start) -> None:
    tree = start(actors=(ECHO,))
    refused = ask(tree, Unreadable())
    assert isinstance(refused, Refused)
    assert refused.reason.startswith("a message cannot be read (LookupError: no)")
    assert shown(tree).restarts == 0


def test__letter_for_somebody_who_was_there_before__is_left_untouched(start: Start) -> None:
    tree = start(actors=(ECHO,))
    tree.send(find(tree).address, Letter(to="Former", payload=packed("crash"), request_id="x"))
    tree.settle()
    refused = answer(tree, "x")
    assert isinstance(refused, Refused)
    assert refused.is_untouched
    assert shown(tree).restarts == 0


def test__wake__comes_when_it_is_due_and_can_be_cancelled(start: Start) -> None:
    tree = start(actors=(ECHO,))
    post(tree, ("wake", 5.0))
    tree.pass_time(4.5)
    assert ask(tree, "seen") == ()
    tree.pass_time(1.0)
    assert ask(tree, "seen") == ("alarm",)
    post(tree, ("wake", 5.0))
    post(tree, ("wake", None))
    tree.pass_time(60.0)
    assert ask(tree, "seen") == ("alarm",)


# Among each other


@pytest.mark.parametrize("seed", range(3))
def test__tell__by_name_in_order_and_back(start: Start, seed: int) -> None:
    tree = start(actors=(ECHO, OTHER), seed=seed)
    for number in range(3):
        post(tree, ("tell", "Other", ("say", number)))
    assert ask(tree, "seen", "Other") == tuple(("Echo", number) for number in range(3))
    assert ask(tree, "seen") == tuple(("Other", ("say back", number)) for number in range(3))


def test__tell__nobody__is_undelivered_at_once(start: Start) -> None:
    tree = start(actors=(ECHO,))
    post(tree, ("tell", "Nobody", 1))
    post(tree, ("tell", "Echo@a9", 2))
    assert ask(tree, "seen") == (
        ("Nobody", 1, "there is no actor Nobody; there are: Echo"),
        ("Echo@a9", 2, "there is no host a9; the cluster is on one machine"),
    )


def test__tell__one_that_is_being_started__is_waited_for(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = start(actors=(ECHO, OTHER))
    monkeypatch.setattr(Echo, "fails_to_start", True)
    tree.kill("actor/Other")
    tree.pass_time(0.1)
    post(tree, ("tell", "Other", ("say", 1)))
    post(tree, ("tell", "Other", ("say", 2)))
    monkeypatch.undo()
    tree.pass_time(3.0)
    assert ask(tree, "seen", "Other") == (("Echo", 1), ("Echo", 2))


def test__tell__one_that_does_not_come_back__is_given_up(start: Start) -> None:
    tree = start(actors=(ECHO, replace(OTHER, settings={"breaks": True})))
    tree.pass_time(30.0)
    post(tree, ("tell", "Other", 1))
    tree.pass_time(4.5)
    assert ask(tree, "seen") == ()
    tree.pass_time(2.0)
    ((to, message, reason),) = ask(tree, "seen")
    assert (to, message) == ("Other", 1)
    assert reason.endswith(", for 5 s")
    assert "the device is not there" in reason


def test__tell__another_one_was_put_in_its_place__reaches_that(start: Start) -> None:
    tree = start(actors=(ECHO, OTHER))
    post(tree, ("tell", "Other", ("say", 1)))
    tree.kill("actor/Other")
    tree.pass_time(2.0)
    post(tree, ("tell", "Other", ("say", 2)))
    assert ask(tree, "seen", "Other") == (("Echo", 2),)


# A new configuration


def test__reload__starts_stops_and_replaces(start: Start) -> None:
    tree = start(agent(), actors=(ECHO, OTHER))
    post(tree, ("say", 1), "Other")
    third = replace(ECHO, name="Third")
    changed = replace(ECHO, settings={"greeting": "good day"})
    kept = replace(OTHER, essential=True)
    tree.reload(replace(tree.spec, actors=(changed, kept, third)))
    assert ask(tree, "hi")[1] == "good day"
    assert ask(tree, "seen", "Other") == (("", 1),)
    assert ask(tree, "hi", "Third")[1] == "hello"
    tree.reload(replace(tree.spec, actors=(changed,)))
    assert [each.name for each in tree.status().actors if each.name.startswith("actor/")] == ["actor/Echo"]
    assert find(tree, "Other").standing.trouble is Trouble.UNKNOWN


def test__reload__one_that_was_given_up_is_tried_with_other_settings(start: Start) -> None:
    broken = replace(ECHO, settings={"breaks": True}, intensity=Intensity(limit=0, period_s=60.0))
    tree = start(actors=(broken,))
    assert shown(tree).state == "failed"
    tree.reload(replace(tree.spec, actors=(replace(broken, settings={}),)))
    assert ask(tree, "hi")[1] == "hello"


def test__root_is_lost__actors_begin_anew(start: Start) -> None:
    tree = start(actors=(ECHO,))
    post(tree, ("say", 1))
    tree.kill("root")
    tree.settle()
    assert tree.incarnation == 2
    assert ask(tree, "seen") == ()
