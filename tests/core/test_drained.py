"""Members that are drained by hand: up and healthy, out of the answers, whatever becomes of them."""

from __future__ import annotations

import pytest
from support.agent_story import DRAINED, RULES, SERVING, STOPPED, Story, wanted

from quaestor_actors.core import cluster, group
from quaestor_actors.core.agent import MemberFact, Reconfigured, ReplaceAll, RestartMember, StartAll
from quaestor_actors.core.member import (
    BecameIdle,
    Deregister,
    DrainRequested,
    Found,
    Health,
    MemberState,
    Register,
    StartProbe,
    StartRequested,
    StopProbe,
    StopRequested,
    Terminate,
    UndrainRequested,
    WatchIdle,
)
from quaestor_actors.core.spec import Condition

BY_HAND = DrainRequested(reason="drained by hand")
BACK = UndrainRequested(reason="put back by hand")
OUT = MemberState.DRAINED


def drained(*, members: int = 1) -> Story:
    return Story(members=members).fact(1, BY_HAND)


def test__drain__serving__is_deregistered_and_goes_on() -> None:
    story = drained(members=2)
    assert (story.states, story.kinds) == ([OUT, SERVING], [Deregister, WatchIdle])
    assert story.member().process is not None
    assert story.member().reason == "drained by hand"


def test__drain__twice__changes_nothing() -> None:
    story = drained().idle()
    before = story.group
    assert (story.fact(1, BY_HAND).group, story.effects) == (before, ())


def test__drain__idle__says_so_and_goes_on() -> None:
    story = drained()
    assert story.member().idle_watched
    assert (story.idle().states, story.kinds) == ([OUT], [])
    assert (story.member().reason, story.member().idle_watched) == ("drained by hand; no request", False)


def test__drain__idle_of_an_older_incarnation__says_nothing() -> None:
    assert drained().fact(1, BecameIdle(incarnation=0, detail="late")).member().idle_watched


def test__put_back__is_registered_again() -> None:
    story = drained().fact(1, BACK)
    assert (story.states, story.kinds) == ([SERVING], [Register])
    assert story.member().reason == "put back by hand"


def test__put_back__not_drained__changes_nothing() -> None:
    story = Story()
    before = story.group
    assert (story.fact(1, BACK).group, story.effects) == (before, ())


def test__start_alone__does_not_put_it_back() -> None:
    assert drained().fact(1, StartRequested()).states == [OUT]


@pytest.mark.parametrize("verdict", [Health.UNREACHABLE, Health.TIMEOUT])
def test__health__goes_on_being_checked_and_decides_as_ever(verdict: Health) -> None:
    story = drained().health(verdict)
    if verdict is Health.UNREACHABLE:
        assert story.states == [MemberState.DEGRADED]
        assert story.health(Health.SERVING).states == [OUT]
        assert story.member().reason == "drained by hand"
        assert Register not in story.kinds
    else:
        assert (story.states, story.kinds) == ([MemberState.STOPPING], [Deregister, StopProbe, Terminate])


def test__exit__is_restarted_and_stays_drained() -> None:
    story = drained().exited().serving(1)
    assert (story.states, story.member().incarnation) == ([OUT], 2)
    assert Register not in story.kinds
    assert story.member().reason == "drained by hand; restarted: exited"


def test__restart_by_hand__comes_back_drained() -> None:
    story = drained().tell(RestartMember(member_id="W/1", reason="by hand")).exited().serving(1)
    assert (story.states, story.kinds) == ([OUT], [Deregister, WatchIdle])


def test__drain__not_up__takes_effect_when_it_is() -> None:
    story = Story().exited().fact(1, BY_HAND)
    assert (story.states, story.effects) == ([MemberState.STARTING], ())
    assert story.serving(1).states == [OUT]


def test__drain__stopped__takes_effect_when_it_is_restarted() -> None:
    story = Story().fact(1, StopRequested()).exited().fact(1, BY_HAND)
    assert story.states == [STOPPED]
    assert story.tell(RestartMember(member_id="W/1", reason="by hand")).serving(1).states == [OUT]


def test__drained__stop__waits_for_requests_as_if_it_served() -> None:
    story = Story(DRAINED).fact(1, BY_HAND).fact(1, StopRequested())
    assert (story.states, story.kinds) == ([MemberState.DRAINING], [Deregister, StopProbe, WatchIdle])


def test__drained__agent_starts_afresh__stays_drained() -> None:
    story = drained().tell(ReplaceAll(reason="afresh")).exited().serving(1)
    assert story.states == [OUT]


def test__drained__next_start_of_the_cluster__serves() -> None:
    assert drained().tell(StartAll(fresh=True)).states == [SERVING]
    assert drained().tell(StartAll(fresh=False)).states == [OUT]


def test__drained__changed_configuration__is_replaced_at_once_and_nobody_waits_for_it() -> None:
    story = drained(members=3).tell(Reconfigured(wanted=wanted("f2", 3)))
    assert [state is MemberState.STOPPING for state in story.states] == [True, True, False]
    assert story.exited(1).serving(1).states[0] is OUT


def test__drained__is_not_missed_when_another_one_is_replaced() -> None:
    story = drained(members=2).tell(Reconfigured(wanted={"W/1": "f1", "W/2": "f2"}))
    assert story.states == [OUT, MemberState.STOPPING]


def test__drained__foreign_process__is_let_be() -> None:
    story = Story().exited()
    story.fact(1, Found(incarnation=2, process=None, port=5161, holder="somebody")).health(Health.SERVING)
    assert (story.fact(1, BY_HAND).states, story.kinds) == ([OUT], [Deregister, WatchIdle])


def test__drained__supervisor_is_replaced__is_withdrawn_again_and_watched() -> None:
    story = drained().idle()
    resumed, effects = group.resume(story.group, ["W/1"], story.now, RULES, 0.5)
    assert resumed.members["W/1"].idle_watched
    assert [type(effect) for effect in effects] == [Deregister, StartProbe, WatchIdle]


def test__drained__serves_not_in_the_eyes_of_those_who_depend_on_it() -> None:
    assert Condition.SERVING not in cluster.report_of(drained().group).reached
    assert Condition.SERVING in cluster.report_of(drained().tell(MemberFact(member_id="W/1", fact=BACK)).group).reached
