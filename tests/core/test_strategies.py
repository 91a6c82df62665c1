"""What the end of a member leads to, for itself and for the others: restart types, back-off, strategies, giving up."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import pytest
from support.agent_story import AgentStory

from quaestor_actors.core.agent import MemberFact, Phase
from quaestor_actors.core.member import (
    Deregister,
    Effect,
    Health,
    MemberState,
    ProcessExited,
    Rules,
    Spawn,
    SpawnFailed,
    StartRequested,
    StopProbe,
    StopRequested,
    Terminate,
)
from quaestor_actors.core.restart import AutoShutdown, Backoff, Intensity, RestartType, Strategy, own_draw

RULES = Rules(
    shutdown_deadline_s=45.0,
    startup_retries=3,
    backoff=Backoff(initial_s=0.5, factor=2.0, cap_s=4.0, jitter=0.0, stable_s=30.0),
)
ALL = replace(RULES, strategy=Strategy.ONE_FOR_ALL)
REST = replace(RULES, strategy=Strategy.REST_FOR_ONE)
PERMANENT, TRANSIENT, TEMPORARY = RestartType
STARTING, SERVING, STOPPING = MemberState.STARTING, MemberState.SERVING, MemberState.STOPPING
PENDING, BACKING_OFF = MemberState.PENDING, MemberState.BACKING_OFF
STOPPED, FAILED = MemberState.STOPPED, MemberState.FAILED


class Story(AgentStory):
    """Ends for several reasons."""

    def __init__(self, rules: Rules = RULES, *, members: int = 1, draw: float = 0.5) -> None:
        super().__init__(rules, members=members, draw=draw)

    def end(self, number: int, reason: str = "killed by SIGKILL", *, normal: bool = False) -> MemberFact:
        fact = ProcessExited(incarnation=self.member(number).incarnation, reason=reason, normal=normal)
        return MemberFact(member_id=f"W/{number}", fact=fact)

    def exited(self, number: int = 1, reason: str = "killed by SIGKILL", *, normal: bool = False) -> Self:
        return self.tell(self.end(number, reason, normal=normal))

    def failed_to_spawn(self, number: int = 1) -> Self:
        return self.fact(number, SpawnFailed(incarnation=self.member(number).incarnation, reason="no such file"))

    def of(self, kind: type[Effect]) -> list[str]:
        return [effect.member_id for effect in self.effects if isinstance(effect, kind)]


# Restart types and kinds of ends


@pytest.mark.parametrize("kind", RestartType)
@pytest.mark.parametrize(("reason", "normal"), [("exited with code 0", True), ("exited with code 1", False)])
def test__exit__serving__is_restarted_by_its_type(kind: RestartType, reason: str, normal: bool) -> None:  # noqa: FBT001 - by name
    story = Story(replace(RULES, restart=kind)).serving().exited(1, reason, normal=normal)
    is_restarted = kind is PERMANENT or (kind is TRANSIENT and not normal)
    assert story.states == [STARTING if is_restarted else STOPPED]
    assert (story.member().restarts, story.member().wanted) == (int(is_restarted), is_restarted)
    assert story.member().completed is (normal and not is_restarted)


@pytest.mark.parametrize("kind", [PERMANENT, TRANSIENT])
def test__signal__serving__is_restarted(kind: RestartType) -> None:
    story = Story(replace(RULES, restart=kind)).serving().exited(1, "killed by SIGSEGV")
    assert (story.states, story.member().reason) == ([STARTING], "restarted: killed by SIGSEGV")


@pytest.mark.parametrize("kind", RestartType)
def test__unhealthy__exits_normally_when_asked__counts_as_abnormal(kind: RestartType) -> None:
    story = Story(replace(RULES, restart=kind)).serving().health(Health.TIMEOUT)
    story.exited(1, "exited with code 0", normal=True)
    assert story.states == [STOPPED if kind is TEMPORARY else STARTING]
    assert not story.member().completed


@pytest.mark.parametrize("kind", RestartType)
def test__spawn_failure__starting__is_tried_again_unless_temporary(kind: RestartType) -> None:
    story = Story(replace(RULES, restart=kind)).failed_to_spawn()
    assert story.states == [STOPPED if kind is TEMPORARY else STARTING]


@pytest.mark.parametrize("kind", RestartType)
@pytest.mark.parametrize("normal", [True, False])
def test__stopped_by_hand__any_type__stays_stopped(kind: RestartType, normal: bool) -> None:  # noqa: FBT001 - by name
    rules = replace(
        RULES, restart=kind, intensity=Intensity(limit=0, period_s=9), auto_shutdown=AutoShutdown("any_significant")
    )
    story = Story(rules, members=2).serving(1, 2).fact(1, StopRequested()).exited(1, normal=normal)
    assert story.states == [STOPPED, SERVING]
    assert (story.group.phase, story.member().completed) == (Phase.RUNNING, False)


def test__not_restarted__temporary__says_so() -> None:
    story = Story(replace(RULES, restart=TEMPORARY)).serving().exited(1, "exited with code 3")
    assert story.member().reason == "exited with code 3; not restarted, being temporary"


def test__exit__serving__is_withdrawn_and_replaced_at_once() -> None:
    assert Story().serving().exited().effects == (
        Deregister(member_id="W/1", incarnation=1, port=5161),
        StopProbe(member_id="W/1", incarnation=1),
        Spawn(member_id="W/1", incarnation=2),
    )


def test__exit__with_output__ends_the_reason_with_it() -> None:
    fact = ProcessExited(incarnation=1, reason="exited with code 1", output="KeyError: 'x'")
    assert Story().serving().fact(1, fact).member().reason == (
        "restarted: exited with code 1; last output: KeyError: 'x'"
    )


def test__exit__of_an_older_incarnation__changes_nothing() -> None:
    story = Story().serving().exited().serving()
    before = story.group
    story.fact(1, ProcessExited(incarnation=1, reason="late"))
    assert (story.group, story.effects) == (before, ())


# Back-off and giving up alone


def test__second_failure_in_a_row__backs_off_and_the_third_waits_longer() -> None:
    story = Story().serving().exited().serving().exited()
    assert (story.states, story.member().deadline) == ([BACKING_OFF], 100.5)
    assert "failure 2 in a row, next try after 0.5 s" in story.member().reason
    assert story.time(0.5).effects == (Spawn(member_id="W/1", incarnation=3),)
    assert story.serving().exited().member().deadline == story.now + 1.0


@pytest.mark.parametrize("draw", [0.0, 0.3, 0.999])
def test__backoff__jitter__stays_within_its_part(draw: float) -> None:
    story = Story(replace(RULES, backoff=replace(RULES.backoff, jitter=0.1)), draw=draw).serving().exited().exited()
    deadline = story.serving().exited().member().deadline
    assert deadline is not None
    assert 0.45 <= deadline - story.now <= 0.55


def test__backoff__same_draw__differs_between_members() -> None:
    assert own_draw(0.5, "Worker/1") != own_draw(0.5, "Worker/2")


def test__backoff__many_failures__stays_at_the_cap() -> None:
    assert RULES.backoff.delay_s(10_000) == 4.0


def test__stable_period_of_serving__forgives_failures() -> None:
    story = Story().serving().exited().serving().time(30).exited()
    assert (story.states, story.member().failures) == ([STARTING], 1)


def failed_for_good(rules: Rules = RULES, *, members: int = 1) -> Story:
    story = Story(rules, members=members)
    for other in range(2, members + 1):
        story.serving(other)
    for _ in range(rules.startup_retries):
        story.failed_to_spawn().time(10)
    return story


def test__failed_starts__reach_the_limit__member_is_given_up_alone_with_a_sentence() -> None:
    story = failed_for_good(members=2)
    assert (story.states, story.group.phase) == ([FAILED, SERVING], Phase.RUNNING)
    assert story.member().reason == "given up after 3 failed starts in a row; the last: no such file"
    assert story.member().deadline is None


def test__failed_starts__one_less_than_the_limit__is_not_given_up() -> None:
    story = Story().failed_to_spawn().failed_to_spawn()
    assert (story.states, story.member().failed_starts) == ([BACKING_OFF], 2)


def test__serving__after_failed_starts__forgives_them() -> None:
    story = Story().failed_to_spawn().serving()
    assert (story.member().failed_starts, story.member().failures) == (0, 1)


def test__start_by_hand__failed__starts_again_with_a_clean_slate() -> None:
    story = failed_for_good().fact(1, StartRequested())
    assert story.states == [STARTING]
    assert (story.member().failed_starts, story.member().failures) == (0, 0)


def test__start_by_hand__backing_off__starts_at_once() -> None:
    assert Story().serving().exited().serving().exited().fact(1, StartRequested()).states == [STARTING]


# Strategies


def test__one_for_one__exit__touches_nobody_else() -> None:
    story = Story(members=3).serving(1, 2, 3).exited(2)
    assert story.states == [SERVING, STARTING, SERVING]
    assert story.group.held == frozenset()


def test__one_for_all__exit__stops_all_others_in_reverse_order() -> None:
    story = Story(ALL, members=4).serving(1, 2, 3, 4).exited(2)
    assert story.states == [STOPPING, PENDING, STOPPING, STOPPING]
    assert story.of(Terminate) == ["W/4", "W/3", "W/1"]
    assert story.member(3).reason == "restarted with W/2 (one_for_all)"


def test__one_for_all__all_have_ended__start_together_in_order() -> None:
    story = Story(ALL, members=3).serving(1, 2, 3).exited(1).exited(3)
    assert story.of(Spawn) == []
    story.exited(2)
    assert story.of(Spawn) == ["W/1", "W/2", "W/3"]
    assert story.group.held == frozenset()
    assert [member.failures for member in story.group.members.values()] == [1, 0, 0]


def test__rest_for_one__exit__stops_only_those_after_it() -> None:
    story = Story(REST, members=4).serving(1, 2, 3, 4).exited(2)
    assert story.states == [SERVING, PENDING, STOPPING, STOPPING]
    assert story.of(Terminate) == ["W/4", "W/3"]
    assert story.exited(3).of(Spawn) == []
    assert story.exited(4).of(Spawn) == ["W/2", "W/3", "W/4"]


def test__rest_for_one__exit_of_the_last__touches_nobody_else() -> None:
    assert Story(REST, members=3).serving(1, 2, 3).exited(3).states == [SERVING, SERVING, STARTING]


def test__rest_for_one__an_earlier_one_ends_meanwhile__all_after_it_wait() -> None:
    story = Story(REST, members=3).serving(1, 2, 3).exited(2).exited(1)
    assert story.states == [PENDING, PENDING, STOPPING]
    assert story.exited(3).of(Spawn) == ["W/1", "W/2", "W/3"]


@pytest.mark.parametrize("rules", [ALL, REST])
def test__held__culprit_backs_off__all_wait_for_it(rules: Rules) -> None:
    story = Story(rules, members=2).serving(1, 2).exited(1).exited(2).serving(1, 2).exited(1).exited(2)
    assert story.states == [BACKING_OFF, PENDING]
    assert story.of(Spawn) == []
    assert story.time(0.5).of(Spawn) == ["W/1", "W/2"]


def test__held__culprit_stopped_by_hand__the_others_start() -> None:
    story = Story(ALL, members=2).serving(1, 2).exited(1).exited(2).serving(1, 2).exited(1).exited(2)
    story.fact(1, StopRequested())
    assert (story.states, story.of(Spawn)) == ([STOPPED, STARTING], ["W/2"])


def test__held__sibling_started_by_hand__waits_for_the_others() -> None:
    story = Story(ALL, members=3).serving(1, 2, 3).exited(1).fact(1, StartRequested())
    assert story.states == [PENDING, STOPPING, STOPPING]


def test__strategy__member_stopped_by_hand__is_left_alone() -> None:
    story = Story(ALL, members=3).serving(1, 2, 3).fact(3, StopRequested()).exited(3).exited(1).exited(2)
    assert story.states == [STARTING, STARTING, STOPPED]


@pytest.mark.parametrize("rules", [ALL, REST])
def test__strategy__temporary_members__end_without_touching_others(rules: Rules) -> None:
    story = Story(replace(rules, restart=TEMPORARY), members=2).serving(1, 2).exited(1)
    assert story.states == [STOPPED, SERVING]


def test__strategy__member_given_up__gives_up_all() -> None:
    story = Story(replace(ALL, startup_retries=1), members=2).serving(2).failed_to_spawn(1)
    assert (story.states, story.group.phase) == ([FAILED, STOPPING], Phase.GAVE_UP)
    assert story.exited(2).states == [FAILED, FAILED]


# Intensity, essential, auto shutdown


LIMITED = replace(RULES, intensity=Intensity(limit=2, period_s=10))


def test__intensity__exactly_the_limit__is_allowed() -> None:
    story = Story(LIMITED, members=3).serving(1, 2, 3).exited(1).exited(2)
    assert (story.group.phase, story.states) == (Phase.RUNNING, [STARTING, STARTING, SERVING])


def test__intensity__one_more_than_the_limit__gives_up_with_a_sentence() -> None:
    story = Story(LIMITED, members=4).serving(1, 2, 3, 4).exited(1).exited(2).exited(3)
    why = "3 restarts within 10 s (limit 2); the last: W/3: killed by SIGKILL"
    assert (story.group.phase, story.group.reason) == (Phase.GAVE_UP, why)
    assert story.of(Spawn) == []
    for number in (1, 2):
        story.failed_to_spawn(number)
    story.exited(4)
    assert story.states == [FAILED] * 4
    assert all(f"agent given up: {why}" in member.reason for member in story.group.members.values())


def test__intensity__window_slides__does_not_give_up() -> None:
    story = Story(LIMITED, members=1).serving()
    for _ in range(5):
        assert story.time(6).exited().time(0.5).serving().group.phase is Phase.RUNNING


@pytest.mark.parametrize("rules", [ALL, REST])
def test__intensity__group_that_ends_at_once__counts_one_restart(rules: Rules) -> None:
    story = Story(replace(rules, intensity=Intensity(limit=1, period_s=10)), members=3).serving(1, 2, 3)
    story.tell(story.end(1), story.end(2), story.end(3))
    assert (story.group.phase, story.states) == (Phase.RUNNING, [STARTING] * 3)


def test__intensity__members_that_end_at_once_alone__count_one_each() -> None:
    story = Story(LIMITED, members=3).serving(1, 2, 3)
    assert story.tell(*(story.end(number) for number in (1, 2, 3))).group.phase is Phase.GAVE_UP


def test__gave_up__member_stopped_by_hand__keeps_being_stopped() -> None:
    story = Story(replace(LIMITED, intensity=Intensity(limit=0, period_s=9)), members=2).serving(1, 2)
    story.fact(1, StopRequested(reason="by hand")).exited(2).exited(1)
    assert story.states == [STOPPED, FAILED]


def test__gave_up__start_by_hand__runs_again_with_no_restarts_counted() -> None:
    story = Story(replace(LIMITED, intensity=Intensity(limit=0, period_s=9)), members=2).serving(1, 2).exited(1)
    story.exited(2).fact(1, StartRequested())
    assert (story.group.phase, story.group.restarts, story.states) == (Phase.RUNNING, (), [STARTING, FAILED])


def test__essential__member_given_up__gives_up_the_agent() -> None:
    story = failed_for_good(replace(RULES, essential=True), members=2)
    assert story.group.phase is Phase.GAVE_UP
    assert story.group.reason == "W/1 is given up after 3 failed starts in a row; the last: no such file"


ONCE = replace(RULES, restart=TRANSIENT)


def test__auto_shutdown__any__the_first_normal_end_ends_all() -> None:
    story = Story(replace(ONCE, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT), members=2).serving(1, 2)
    assert story.exited(1, "exited with code 1").group.phase is Phase.RUNNING
    story.serving(1).exited(1, "exited with code 0", normal=True)
    assert (story.group.phase, story.states) == (Phase.DONE, [STOPPED, STOPPING])
    assert story.exited(2).states == [STOPPED, STOPPED]


def test__auto_shutdown__all__the_last_normal_end_ends_all() -> None:
    story = Story(replace(ONCE, auto_shutdown=AutoShutdown.ALL_SIGNIFICANT), members=2).serving(1, 2)
    assert story.exited(1, normal=True).group.phase is Phase.RUNNING
    assert story.exited(2, normal=True).group.phase is Phase.DONE


def test__auto_shutdown__never__runs_on() -> None:
    assert Story(ONCE).serving().exited(1, normal=True).group.phase is Phase.RUNNING
