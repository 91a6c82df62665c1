"""Members that are replaced on purpose: draining, recycling by age and memory, changed specifications, one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.agent_story import (
    BACKING_OFF,
    DEGRADED,
    DRAINED,
    DRAINING,
    LARGE,
    RULES,
    SERVING,
    STARTING,
    STOPPED,
    STOPPING,
    Story,
    wanted,
)

from quaestor_actors.core.agent import Reconfigured, RestartMember
from quaestor_actors.core.member import (
    BecameIdle,
    Deregister,
    Found,
    Health,
    Kill,
    MemberState,
    MemoryMeasured,
    ReplaceRequested,
    SpawnFailed,
    StartRequested,
    StopProbe,
    StopRequested,
    Terminate,
    WatchIdle,
)
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.core.recycling import RECYCLING_SPREAD

# Draining


def draining() -> Story:
    return Story(DRAINED).fact(1, StopRequested())


def test__drain__stop_of_a_serving_member__waits_for_its_requests() -> None:
    story = draining()
    assert (story.states, story.member().deadline) == ([DRAINING], 110.0)
    assert story.kinds == [Deregister, StopProbe, WatchIdle]


def test__drain__idle__is_asked_to_end() -> None:
    story = draining().idle()
    assert (story.states, story.kinds) == ([STOPPING], [Terminate])
    assert story.member().deadline == story.now + 45.0


def test__drain__idle_of_an_older_incarnation__goes_on_draining() -> None:
    assert draining().fact(1, BecameIdle(incarnation=0, detail="late")).states == [DRAINING]


def test__drain__deadline__is_asked_to_end_and_says_what_still_ran() -> None:
    story = draining().time(10)
    assert (story.states, story.kinds) == ([STOPPING], [Terminate])
    assert story.member().reason == "stop requested; requests still running after 10 s"


def test__drain__exit__is_stopped() -> None:
    story = draining().exited()
    assert (story.states, story.member().deadline) == ([STOPPED], None)


def test__drain__exit_while_replaced__starts_the_next() -> None:
    story = Story(DRAINED).fact(1, ReplaceRequested(reason="recycled")).exited()
    assert (story.states, story.member().failures, story.member().reason) == ([STARTING], 0, "recycled")


def test__drain__force__kills() -> None:
    story = draining().fact(1, StopRequested(force=True))
    assert (story.states, story.kinds) == ([STOPPING], [Kill])


def test__drain__forced_stop_of_a_serving_member__does_not_drain() -> None:
    assert Story(DRAINED).fact(1, StopRequested(force=True)).kinds == [Deregister, StopProbe, Kill]


@pytest.mark.parametrize("verdict", [Health.TIMEOUT, Health.UNREACHABLE])
@pytest.mark.parametrize("later_s", [0, 5])
def test__drain__hung_member__is_not_drained(verdict: Health, later_s: float) -> None:
    story = Story(replace(DRAINED, failure_threshold=3)).health(verdict).time(later_s)
    assert (story.states, story.fact(1, StopRequested()).states) == ([DEGRADED], [STOPPING])


def test__drain__member_that_answers_not_serving__is_drained() -> None:
    assert Story(DRAINED).health(Health.NOT_SERVING).states == [DRAINING]


def test__drain__starting_member__is_not_drained() -> None:
    story = Story(DRAINED).exited().spawned(1)
    assert story.fact(1, StopRequested()).states == [STOPPING]


def test__drain__of_zero_seconds__is_none() -> None:
    assert Story().fact(1, StopRequested()).states == [STOPPING]


def test__drain__start_by_hand_meanwhile__comes_back_after_its_end() -> None:
    assert draining().fact(1, StartRequested()).idle().exited().states == [STARTING]


# Recycling: what makes a member due


@pytest.mark.parametrize("draw", [0.0, 0.25, 0.5, 0.999])
def test__recycling__age__varies_by_a_tenth(draw: float) -> None:
    member = Story(replace(RULES, recycling_interval_s=1000), draw=draw).member()
    assert member.recycle_at is not None
    assert abs(member.recycle_at - 1100) <= 1000 * RECYCLING_SPREAD
    assert member.recycle_at == member.deadline


def test__recycling__age__members_that_started_together_are_not_old_together() -> None:
    story = Story(replace(RULES, recycling_interval_s=1000), members=4)
    assert len({member.recycle_at for member in story.group.members.values()}) == 4


def test__recycling__old_enough__is_due_and_goes_on_serving_until_idle() -> None:
    story = Story(replace(RULES, recycling_interval_s=7200)).time(8000)
    assert (story.states, story.kinds) == ([SERVING], [WatchIdle])
    assert story.member().due == "it is older than 2 h"


def test__recycling__time_passes_while_degraded__is_due_all_the_same() -> None:
    story = Story(replace(RULES, recycling_interval_s=100, failure_threshold=9))
    story.health(Health.UNREACHABLE, after_s=85).health(Health.SERVING, after_s=30).time(0)
    assert story.member().due is not None


def test__recycling__memory__above_the_limit_only() -> None:
    story = Story(LARGE).fact(1, MemoryMeasured(incarnation=1, resident_bytes=500_000_000))
    assert story.member().due is None
    assert story.large(1).member().due == "it uses 612 MB of memory, limit 500"


def test__recycling__memory_of_an_older_incarnation__is_ignored() -> None:
    story = Story(LARGE).fact(1, MemoryMeasured(incarnation=0, resident_bytes=612_000_000))
    assert story.member().due is None


@pytest.mark.parametrize("state", [SERVING, DEGRADED])
def test__recycling__switched_off__is_due_no_longer(state: MemberState) -> None:
    story = Story(replace(RULES, recycling_interval_s=100, failure_threshold=9))
    if state is DEGRADED:
        story.health(Health.UNREACHABLE)
    story.rules = RULES
    story.tell(Reconfigured(wanted=wanted("f1", 1))).health(Health.SERVING).time(1000)
    assert (story.member().due, story.member().recycle_at, story.member().deadline) == (None, None, None)


def test__recycling__shorter_interval__counts_from_the_time_it_serves() -> None:
    story = Story()
    story.rules = replace(RULES, recycling_interval_s=10)
    story.tell(Reconfigured(wanted=wanted("f1", 1)), after_s=1000).time(0)
    assert story.member().due is not None


def test__recycling__foreign_process__is_never_due() -> None:
    story = Story(replace(LARGE, recycling_interval_s=60)).exited()
    story.fact(1, Found(incarnation=2, process=None, port=5161, holder="somebody")).health(Health.SERVING)
    assert story.large(1).time(1000).member().due is None


# Recycling: who goes when


def test__recycling__idle_only__is_replaced_and_says_why() -> None:
    story = Story(LARGE).large(1)
    assert (story.states, story.kinds) == ([SERVING], [WatchIdle])
    story.idle()
    assert (story.states, story.kinds) == ([STOPPING], [Deregister, StopProbe, Terminate])
    assert story.exited().member().reason == "recycled: it uses 612 MB of memory, limit 500"
    assert (story.states, story.member().failures) == ([STARTING], 0)


def test__recycling__idle_but_not_due__goes_on_serving() -> None:
    assert Story(LARGE).idle().states == [SERVING]


def test__recycling__watched_for_idleness__is_not_watched_twice() -> None:
    assert WatchIdle not in Story(LARGE).large(1).large(1).kinds


def test__recycling__max_unavailable__the_next_goes_when_the_replacement_serves() -> None:
    story = Story(LARGE, members=3).large(1, 2, 3).idle(1)
    assert story.idle(2).states == [STOPPING, SERVING, SERVING]
    assert story.exited(1).idle(3).states == [STARTING, SERVING, SERVING]
    story.serving(1)
    assert story.kinds.count(WatchIdle) == 2
    assert story.idle(2).states == [SERVING, STOPPING, SERVING]


def test__recycling__max_unavailable_two__two_go_at_once() -> None:
    story = Story(replace(LARGE, max_unavailable=2), members=3).large(1, 2, 3).idle(1).idle(2).idle(3)
    assert story.states == [STOPPING, STOPPING, SERVING]


def test__recycling__another_one_is_away_unexpectedly__waits() -> None:
    story = Story(LARGE, members=2).large(1).exited(2)
    assert story.idle(1).states == [SERVING, STARTING]
    assert WatchIdle in story.serving(2).kinds


def test__recycling__another_one_was_stopped_by_hand__does_not_wait_for_it() -> None:
    story = Story(LARGE, members=2).large(1).fact(2, StopRequested()).exited(2)
    assert story.idle(1).states == [STOPPING, STOPPED]


# Changed specifications


def test__changed__serving_members__are_replaced_one_by_one() -> None:
    story = Story(members=3).tell(Reconfigured(wanted=wanted("f2", 3)))
    for number in (1, 2, 3):
        assert [state is STOPPING for state in story.states] == [number == n for n in (1, 2, 3)]
        assert story.member(number).reason == "its configuration changed"
        story.exited(number).serving(number)
    assert story.states == [SERVING] * 3
    assert {member.fingerprint for member in story.group.members.values()} == {"f2"}
    assert [member.failures for member in story.group.members.values()] == [0, 0, 0]


def test__changed__max_unavailable_two__two_by_two() -> None:
    story = Story(replace(RULES, max_unavailable=2), members=3).tell(Reconfigured(wanted=wanted("f2", 3)))
    assert story.states == [STOPPING, STOPPING, SERVING]


def test__changed__only_one_member__touches_no_other() -> None:
    story = Story(members=2).tell(Reconfigured(wanted={"W/1": "f1", "W/2": "f2"}))
    assert story.states == [SERVING, STOPPING]


def test__changed__nothing__touches_nobody() -> None:
    story = Story(members=2)
    before = story.group
    assert story.tell(Reconfigured(wanted=wanted("f1", 2))).group == before
    assert story.effects == ()


@pytest.mark.parametrize("verdict", [None, Health.UNREACHABLE])
def test__changed__members_that_do_not_serve__go_at_once(verdict: Health | None) -> None:
    story = Story(members=3)
    for number in (1, 2):
        _ = story.health(verdict, number) if verdict else story.exited(number).spawned(number)
    assert story.tell(Reconfigured(wanted=wanted("f2", 3))).states == [STOPPING, STOPPING, SERVING]


def test__changed__while_spawning__goes_as_soon_as_it_is_known() -> None:
    story = Story().exited().tell(Reconfigured(wanted=wanted("f2", 1)))
    assert story.states == [STARTING]
    assert story.spawned(1).states == [STOPPING]
    assert story.exited().member().fingerprint == "f2"


def test__changed__backing_off__starts_at_once() -> None:
    story = Story().exited().serving(1).exited()
    assert story.states == [BACKING_OFF]
    assert story.tell(Reconfigured(wanted=wanted("f2", 1))).states == [STARTING]


def test__changed__given_up__starts_at_once_and_afresh() -> None:
    story = Story(replace(RULES, startup_retries=1)).exited()
    story.fact(1, SpawnFailed(incarnation=2, reason="no such file"))
    assert story.states == [MemberState.FAILED]
    story.tell(Reconfigured(wanted=wanted("f2", 1)))
    assert (story.states, story.member().failures) == ([STARTING], 0)


def test__changed__stopped_by_hand__stays_stopped() -> None:
    story = Story().fact(1, StopRequested()).exited().tell(Reconfigured(wanted=wanted("f2", 1)))
    assert story.states == [STOPPED]


def test__changed__foreign_process__is_kept() -> None:
    story = Story().exited()
    process = ProcessId(pid=77, start_ticks=1)
    story.fact(1, Found(incarnation=2, process=process, port=5161, holder="somebody")).health(Health.SERVING)
    assert story.tell(Reconfigured(wanted=wanted("f2", 1))).states == [SERVING]


def test__restart_by_hand__serving__is_replaced_whatever_else_is_away() -> None:
    story = Story(members=2).tell(RestartMember(member_id="W/1", reason="by hand"))
    assert story.tell(RestartMember(member_id="W/2", reason="by hand")).states == [STOPPING, STOPPING]
    assert story.exited(1).states == [STARTING, STOPPING]
