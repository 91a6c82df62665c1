"""A restart by hand, one member after the other: who goes when, what ends it, and what is left of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.agent_story import RULES, SERVING, STARTING, STOPPED, STOPPING, Story

from quaestor_actors.core import cluster
from quaestor_actors.core.agent import Reconfigured, RestartRolling, StopAll
from quaestor_actors.core.group_events import of_group
from quaestor_actors.core.member import DrainRequested, Health, MemberState, SpawnFailed, StopRequested
from quaestor_actors.core.restart import Intensity, RestartType
from quaestor_actors.core.rollout import Rollout

FRAGILE = replace(RULES, intensity=Intensity(limit=0, period_s=60))


def names(*numbers: int) -> tuple[str, ...]:
    return tuple(f"W/{number}" for number in numbers)


def rolling(story: Story, *numbers: int) -> Story:
    return story.tell(RestartRolling(members=names(*numbers)))


def begun(*, members: int = 3) -> Story:
    return rolling(Story(members=members), *range(1, members + 1))


def news(story: Story, *events: RestartRolling) -> list[str]:
    before = story.group
    story.tell(*events)
    return [event.reason for event in of_group(before, story.group, agent="W", at=0.0) if event.subject == "W"]


def test__members__go_one_by_one_when_the_replacement_serves() -> None:
    story = begun()
    for number in (1, 2, 3):
        assert [state is STOPPING for state in story.states] == [number == n for n in (1, 2, 3)]
        assert story.member(number).reason == "restarted by hand, one after the other"
        assert story.exited(number).states[number - 1] is STARTING
        story.serving(number)
    assert story.states == [SERVING] * 3
    assert [member.incarnation for member in story.group.members.values()] == [2, 2, 2]
    assert story.group.rollout == Rollout(number=1)


def test__only_those_that_were_named__go() -> None:
    story = rolling(Story(members=3), 2)
    assert story.states == [SERVING, STOPPING, SERVING]
    assert story.exited(2).serving(2).group.rollout == Rollout(number=1)


def test__max_unavailable_two__two_by_two() -> None:
    story = rolling(Story(replace(RULES, max_unavailable=2), members=3), 1, 2, 3)
    assert story.states == [STOPPING, STOPPING, SERVING]


def test__another_one_is_away__waits_for_it() -> None:
    story = rolling(Story(members=2).exited(2).spawned(2), 1)
    assert story.states == [SERVING, STARTING]
    assert story.health(Health.SERVING, 2).states == [STOPPING, SERVING]


def test__report__says_who_is_still_to_go() -> None:
    story = begun()
    assert cluster.report_of(story.group).to_replace == names(1, 2, 3)
    assert cluster.report_of(story.exited(1).serving(1).group).to_replace == names(2, 3)


def test__changed_configuration__is_reported_likewise() -> None:
    story = Story(members=2).tell(Reconfigured(wanted={"W/1": "f2", "W/2": "f2"}))
    assert cluster.report_of(story.group).to_replace == names(1, 2)
    assert cluster.report_of(story.exited(1).serving(1).group).to_replace == names(2)


def test__stopped_before_its_turn__stays_stopped() -> None:
    story = begun().fact(3, StopRequested(reason="by hand")).exited(3)
    for number in (1, 2):
        story.exited(number).serving(number)
    assert story.states == [SERVING, SERVING, STOPPED]
    assert story.group.rollout == Rollout(number=1)


@pytest.mark.parametrize("ending", ["exit", "time"])
def test__replacement_does_not_serve__ends_it(ending: str) -> None:
    story = begun().exited(1).spawned(1)
    _ = story.exited(1) if ending == "exit" else story.time(8)
    aborted = story.group.rollout.aborted
    assert aborted.startswith("W/1 did not serve after its restart: ")
    assert aborted.endswith("; W/2, W/3 not restarted")
    assert story.states[1:] == [SERVING, SERVING]
    assert not story.group.rollout.is_active
    assert cluster.report_of(story.group).aborted == aborted


def test__others_have_failed_for_good__ends_it() -> None:
    story = Story(replace(RULES, startup_retries=1), members=2).exited(2)
    story.fact(2, SpawnFailed(incarnation=2, reason="no such file"))
    assert story.states == [SERVING, MemberState.FAILED]
    assert rolling(story, 1).states == [SERVING, MemberState.FAILED]
    assert story.group.rollout.aborted == "W/2 failed, and no more than 1 may be away; W/1 not restarted"
    assert rolling(story, 1, 2).states == [SERVING, STARTING]
    assert story.group.rollout.is_active


def test__last_replacement_does_not_serve__is_said_too() -> None:
    assert begun(members=1).exited(1).spawned(1).exited(1).group.rollout.aborted.endswith("; it was the last one")


def test__replacement_that_served__may_fail_later() -> None:
    story = begun(members=2).exited(1).serving(1).health(Health.UNREACHABLE, 1)
    assert story.states == [MemberState.DEGRADED, STOPPING]
    assert not story.group.rollout.aborted


def test__next_one__forgets_why_the_last_was_aborted() -> None:
    story = begun().exited(1).spawned(1).exited(1).serving(1)
    assert rolling(story, 2).group.rollout.aborted == ""


def test__stopped_by_hand_meanwhile__is_left_out() -> None:
    story = begun(members=2).fact(1, StopRequested(reason="by hand")).exited(1)
    assert story.states == [STOPPED, STOPPING]
    assert not story.group.rollout.aborted


def test__replacement_stopped_by_hand_before_it_serves__ends_it() -> None:
    story = begun(members=2).exited(1).spawned(1).fact(1, StopRequested(reason="stopped by hand"))
    assert story.group.rollout.aborted == "W/1 did not serve after its restart: stopped by hand; W/2 not restarted"


def test__temporary__its_end_before_it_serves__ends_it() -> None:
    story = rolling(Story(replace(RULES, restart=RestartType.TEMPORARY), members=2), 1, 2).exited(1).spawned(1)
    assert story.exited(1).group.rollout.aborted


def test__stopped_member__is_started() -> None:
    story = Story(members=2).fact(2, StopRequested()).exited(2)
    assert rolling(story, 1, 2).states == [SERVING, STARTING]
    assert story.serving(2).states == [STOPPING, SERVING]


def test__drained_member__goes_at_once_and_comes_back_drained() -> None:
    story = rolling(Story(members=2).fact(1, DrainRequested(reason="by hand")), 1, 2)
    assert story.states == [STOPPING, STOPPING]
    assert story.exited(1).serving(1).states[0] is MemberState.DRAINED


def test__member_leaves_the_configuration__is_left_out() -> None:
    story = begun(members=2).tell(Reconfigured(wanted={"W/1": "f1"})).exited(1).serving(1)
    assert not story.group.rollout.is_active


@pytest.mark.parametrize("why", ["stop", "too many restarts"])
def test__agent_ends__ends_it(why: str) -> None:
    story = rolling(Story(FRAGILE, members=3), 1, 2, 3)
    _ = story.tell(StopAll(reason="cluster stop")) if why == "stop" else story.exited(3)
    assert story.group.rollout.aborted.endswith("; W/2, W/3 not restarted")


def test__agent_that_ends_already__restarts_nobody() -> None:
    story = rolling(Story().tell(StopAll(reason="cluster stop")), 1)
    assert not story.group.rollout.is_active


def test__events__say_what_becomes_of_it() -> None:
    story = Story(members=2)
    assert news(story, RestartRolling(members=names(1, 2))) == ["of W/1, W/2"]
    before = story.group
    story.exited(1).spawned(1).exited(1)
    told = [event.reason for event in of_group(before, story.group, agent="W", at=0.0) if event.subject == "W"]
    assert told == [f"aborted: {story.group.rollout.aborted}"]
    before = rolling(story.serving(1), 1).group
    story.exited(1).serving(1)
    told = [event.reason for event in of_group(before, story.group, agent="W", at=0.0) if event.subject == "W"]
    assert told == ["every member serves again"]
