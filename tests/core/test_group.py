"""The members of one agent together: who starts when, who stops, who comes and goes, and what a successor finds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quaestor_actors.core import group
from quaestor_actors.core.agent import (
    ClockAdvanced,
    Event,
    GateOpened,
    MemberFact,
    Phase,
    Reconfigured,
    ReplaceAll,
    RestartMember,
    StartAll,
    StopAll,
)
from quaestor_actors.core.member import (
    Deregister,
    Effect,
    Fact,
    Found,
    Health,
    HealthReported,
    Kill,
    MemberState,
    ProcessExited,
    Register,
    Rules,
    RulesChanged,
    Spawn,
    Spawned,
    SpawnFailed,
    StartProbe,
    StartRequested,
    StopRequested,
    Terminate,
    WatchIdle,
)
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.core.restart import AutoShutdown, Backoff, Intensity, RestartType

RULES = Rules(startup_retries=3, shutdown_deadline_s=10, backoff=Backoff(initial_s=0.5, jitter=0.0))
FRAGILE = replace(RULES, intensity=Intensity(limit=0, period_s=60))
PENDING, STARTING, SERVING = MemberState.PENDING, MemberState.STARTING, MemberState.SERVING
DRAINING, STOPPING = MemberState.DRAINING, MemberState.STOPPING
STOPPED, FAILED, BACKING_OFF = MemberState.STOPPED, MemberState.FAILED, MemberState.BACKING_OFF


class Story:
    """An agent and its members, called by their numbers; tells it what happens to them."""

    def __init__(self, rules: Rules = RULES, *, members: int = 2, start: Event | None = None) -> None:
        self.rules = rules
        self.group = group.create(wanted(members))
        self.now = 0.0
        self.effects: tuple[Effect, ...] = ()
        self.tell(start or StartAll())

    def tell(self, *events: Event, after_s: float = 0.0) -> Story:
        self.now += after_s
        self.group, self.effects = group.decide(self.group, events, self.now, self.rules, 0.5)
        return self

    def resume(self, *alive: int) -> Story:
        names = [f"W/{number}" for number in alive]
        self.group, self.effects = group.resume(self.group, names, self.now, self.rules, 0.5)
        return self

    def fact(self, number: int, fact: Fact) -> Story:
        return self.tell(MemberFact(member_id=f"W/{number}", fact=fact))

    def spawned(self, *numbers: int) -> Story:
        for number in numbers:
            incarnation = self.group.members[f"W/{number}"].incarnation
            process = ProcessId(pid=1000 * number + incarnation, start_ticks=7)
            self.fact(number, Spawned(incarnation=incarnation, process=process, port=5160 + number))
        return self

    def health(self, health: Health, number: int) -> Story:
        incarnation = self.group.members[f"W/{number}"].incarnation
        return self.fact(number, HealthReported(incarnation=incarnation, health=health, detail=health.value))

    def serving(self, *numbers: int) -> Story:
        for number in numbers:
            self.spawned(number).health(Health.SERVING, number)
        return self

    def exited(self, *numbers: int) -> Story:
        for number in numbers:
            incarnation = self.group.members[f"W/{number}"].incarnation
            self.fact(number, ProcessExited(incarnation=incarnation, reason="exited"))
        return self

    @property
    def states(self) -> list[MemberState]:
        return [member.state for member in self.group.members.values()]

    def reason(self, number: int) -> str:
        return self.group.members[f"W/{number}"].reason

    def of(self, kind: type[Effect]) -> list[str]:
        return [effect.member_id for effect in self.effects if isinstance(effect, kind)]


def wanted(members: int, fingerprint: str = "f1") -> dict[str, str]:
    return dict.fromkeys(group.member_names("W", members), fingerprint)


def test__member_names__count_from_one() -> None:
    assert group.member_names("Worker", 3) == ["Worker/1", "Worker/2", "Worker/3"]


# Starting


def test__start_all__spawns_every_member_once() -> None:
    story = Story()
    assert story.of(Spawn) == ["W/1", "W/2"]
    before = story.group
    assert story.tell(StartAll(fresh=False)).group == before
    assert story.effects == ()


@pytest.mark.parametrize(("fresh", "states"), [(False, [BACKING_OFF, BACKING_OFF]), (True, [STARTING, STARTING])])
def test__start_all__members_lost_with_the_cluster__start_at_once(*, fresh: bool, states: list[MemberState]) -> None:
    story = Story().serving(1, 2).exited(1, 2).serving(1, 2).resume()
    assert story.states == [BACKING_OFF, BACKING_OFF]
    assert story.tell(StartAll(fresh=fresh)).states == states


def test__start_concurrency__members_start_as_others_serve_or_fail() -> None:
    story = Story(replace(RULES, start_concurrency=2), members=5)
    assert story.of(Spawn) == ["W/1", "W/2"]
    assert story.spawned(1).of(Spawn) == []
    assert story.health(Health.SERVING, 1).of(Spawn) == ["W/3"]
    assert story.spawned(2).tell(ClockAdvanced(), after_s=8).of(Spawn) == ["W/4", "W/5"]


def test__start_concurrency__not_probed__all_at_once() -> None:
    assert len(Story(replace(RULES, start_concurrency=1, probed=False), members=5).of(Spawn)) == 5


def test__gate__closed__members_wait_until_it_opens() -> None:
    story = Story(start=StartAll(gate_open=False))
    assert (story.group.phase, story.states, story.effects) == (Phase.WAITING, [PENDING, PENDING], ())
    assert story.fact(1, StartRequested()).states == [PENDING, PENDING]
    assert story.tell(GateOpened()).of(Spawn) == ["W/1", "W/2"]
    assert story.group.phase is Phase.RUNNING


def test__gate__closed_again_for_a_successor__keeps_what_serves() -> None:
    story = Story().serving(1, 2).resume(1, 2).tell(StartAll(gate_open=False, fresh=False))
    assert (story.group.phase, story.states) == (Phase.WAITING, [SERVING, SERVING])
    assert story.exited(1).states == [PENDING, SERVING]
    assert story.tell(GateOpened()).states == [STARTING, SERVING]


def test__gate__closed__giving_up_and_a_start_by_hand_do_not_open_it() -> None:
    story = Story(FRAGILE).serving(1, 2).tell(StartAll(gate_open=False, fresh=False)).exited(1)
    assert story.group.phase is Phase.GAVE_UP
    story.exited(2).fact(1, StartRequested())
    assert (story.group.phase, story.states) == (Phase.WAITING, [PENDING, FAILED])


def test__start_all__fresh__also_starts_what_rested() -> None:
    story = Story(FRAGILE).serving(1, 2).fact(1, StopRequested()).exited(1, 2)
    assert story.states == [STOPPED, FAILED]
    assert story.tell(StartAll(fresh=False)).states == [STOPPED, FAILED]
    assert story.tell(StartAll()).states == [STARTING, STARTING]


def test__start_all__fresh_while_stopping__members_come_back() -> None:
    story = Story(replace(RULES, drain_s=10)).serving(1, 2).tell(StopAll(reason="cluster stop")).exited(1)
    story.tell(StartAll()).exited(2)
    assert (story.group.phase, story.states) == (Phase.RUNNING, [STARTING, STARTING])


@pytest.mark.parametrize("phase", [Phase.STOPPING, Phase.GAVE_UP, Phase.DONE])
def test__start_all__of_a_successor__leaves_other_phases_alone(phase: Phase) -> None:
    story = Story()
    story.group = replace(story.group, phase=phase)
    assert story.tell(StartAll(fresh=False)).group.phase is phase


# Stopping


def test__stop_all__asks_every_member_at_once() -> None:
    story = Story(members=3).serving(1, 2, 3).tell(StopAll(reason="cluster stop"))
    assert story.of(Terminate) == ["W/1", "W/2", "W/3"]
    assert story.group.phase is Phase.STOPPING
    assert not group.all_stopped(story.group)


def test__stop_all__by_force__kills_also_what_was_asked_before() -> None:
    story = Story().serving(1, 2).fact(1, StopRequested()).tell(StopAll(reason="cluster stop", force=True))
    assert story.of(Kill) == ["W/1", "W/2"]


def test__stop_all__then_every_end__leaves_all_stopped_and_nothing_to_wait_for() -> None:
    story = Story().serving(1, 2).tell(StopAll(reason="cluster stop"))
    for number in (1, 2):
        assert not group.all_stopped(story.group)
        assert story.exited(number).of(Spawn) == []
    assert group.all_stopped(story.group)
    assert group.next_deadline(story.group) is None


@pytest.mark.parametrize(
    "event",
    [
        MemberFact(member_id="W/1", fact=StartRequested()),
        RestartMember(member_id="W/1", reason="by hand"),
        ReplaceAll(reason="afresh"),
        Reconfigured(wanted=wanted(3, "f2")),
        GateOpened(),
    ],
)
def test__stopping__nothing_but_a_fresh_start_starts_anything(event: Event) -> None:
    story = Story().serving(1, 2).tell(StopAll(reason="cluster stop")).exited(1).tell(event).exited(2)
    assert story.of(Spawn) == []
    assert group.all_stopped(story.group)


# By hand


def test__fact__about_a_stranger__changes_nothing() -> None:
    story = Story()
    before = story.group
    assert story.tell(MemberFact(member_id="W/9", fact=StartRequested())).group == before
    assert story.tell(RestartMember(member_id="W/9", reason="by hand")).group == before


def test__restart_by_hand__stopped__starts() -> None:
    story = Story().serving(1, 2).fact(1, StopRequested()).exited(1)
    assert story.tell(RestartMember(member_id="W/1", reason="by hand")).states == [STARTING, SERVING]


def test__restart_by_hand__stopping__comes_back() -> None:
    story = Story().serving(1, 2).fact(1, StopRequested())
    assert story.tell(RestartMember(member_id="W/1", reason="by hand")).exited(1).states == [STARTING, SERVING]


def test__start_by_hand__done__runs_again() -> None:
    rules = replace(RULES, restart=RestartType.TEMPORARY, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    story = Story(rules).serving(1, 2).exited(1, 2)
    assert (story.group.phase, story.states) == (Phase.DONE, [STOPPED, STOPPED])
    story.fact(1, StartRequested())
    assert (story.group.phase, story.states) == (Phase.RUNNING, [STARTING, STOPPED])


def test__replace_all__whatever_the_members_do__all_start_together() -> None:
    story = Story(members=3).serving(1, 2, 3).fact(2, StopRequested()).exited(2)
    story.tell(ReplaceAll(reason="agent A gave up"))
    assert story.states == [STOPPING, PENDING, STOPPING]
    assert story.exited(1).of(Spawn) == []
    assert story.exited(3).of(Spawn) == ["W/1", "W/2", "W/3"]
    assert [story.reason(number) for number in (1, 2, 3)] == ["agent A gave up"] * 3


def test__replace_all__gave_up__runs_again_with_no_restarts_counted() -> None:
    story = Story(FRAGILE).serving(1, 2).exited(1, 2).tell(ReplaceAll(reason="started afresh"))
    assert (story.group.phase, story.group.restarts, story.states) == (Phase.RUNNING, (), [STARTING, STARTING])


# More and fewer members


def test__scale_up__touches_nobody_else() -> None:
    story = Story(members=1).serving(1).tell(Reconfigured(wanted=wanted(3)))
    assert (story.states, story.of(Spawn)) == ([SERVING, STARTING, STARTING], ["W/2", "W/3"])
    assert story.reason(3) == "added to the configuration"


def test__scale_down__members_end_and_are_forgotten() -> None:
    story = Story(members=3).serving(1, 2, 3).tell(Reconfigured(wanted=wanted(1)))
    assert story.states == [SERVING, STOPPING, STOPPING]
    assert list(story.exited(2, 3).group.members) == ["W/1"]


@pytest.mark.parametrize("drain_s", [0, 10])
def test__scale_down_and_up__while_stopping__the_member_comes_back(drain_s: float) -> None:
    story = Story(replace(RULES, drain_s=drain_s)).serving(1, 2)
    story.tell(Reconfigured(wanted=wanted(1))).tell(Reconfigured(wanted=wanted(2)))
    assert story.exited(2).states == [SERVING, STARTING]


def test__scale_down_and_up__stopped_by_hand_meanwhile__stays_stopped() -> None:
    story = Story().serving(1, 2).tell(Reconfigured(wanted=wanted(1))).tell(Reconfigured(wanted=wanted(2)))
    assert story.fact(2, StopRequested(reason="by hand")).exited(2).states == [SERVING, STOPPED]


def test__scale_down_and_up__late_facts_of_the_old_process__are_dropped() -> None:
    story = Story().serving(1, 2).tell(Reconfigured(wanted=wanted(1))).exited(2)
    story.tell(Reconfigured(wanted=wanted(2))).serving(2)
    story.fact(2, ProcessExited(incarnation=1, reason="late"))
    assert story.states == [SERVING, SERVING]
    assert story.group.members["W/2"].restarts == 0


def test__scale_up__gave_up__new_members_start() -> None:
    story = Story(FRAGILE).serving(1, 2).exited(1, 2).tell(Reconfigured(wanted=wanted(3)))
    assert (story.group.phase, story.states[2]) == (Phase.RUNNING, STARTING)


def test__scale_up__done__nothing_waits() -> None:
    rules = replace(RULES, restart=RestartType.TEMPORARY, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    story = Story(rules).serving(1, 2).exited(1, 2).tell(Reconfigured(wanted=wanted(3)))
    assert (story.group.phase, story.states) == (Phase.DONE, [STOPPED] * 3)


# Time, and a successor


def test__clock__moves_only_the_members_that_are_due() -> None:
    story = Story(members=1).spawned(1)
    before = story.group
    assert group.next_deadline(before) == 8.0
    assert story.tell(ClockAdvanced(), after_s=7.9).group == before
    assert story.tell(ClockAdvanced(), after_s=0.1).states == [STOPPING]


def test__resume__dead_member_beside_a_live_one__only_the_dead_one_is_replaced() -> None:
    story = Story().serving(1, 2).resume(1)
    assert (story.states, story.of(Spawn), story.of(Register)) == ([SERVING, STARTING], ["W/2"], ["W/1"])
    assert story.reason(2) == "restarted: its process ended while no supervisor watched it"


def test__resume__serving__changes_nothing_and_tells_again() -> None:
    story = Story().serving(1, 2)
    before = story.group
    assert story.resume(1, 2).group == before
    assert (story.of(StartProbe), story.of(Register)) == (["W/1", "W/2"], ["W/1", "W/2"])


@pytest.mark.parametrize(("deadline_s", "end"), [(0.0, Kill), (10.0, Terminate)])
def test__resume__stopping__is_asked_again(deadline_s: float, end: type[Effect]) -> None:
    story = Story(replace(RULES, shutdown_deadline_s=deadline_s)).serving(1, 2).fact(1, StopRequested())
    assert story.resume(1, 2).of(end) == ["W/1"]


def test__resume__draining__is_watched_again() -> None:
    story = Story(replace(RULES, drain_s=10)).serving(1, 2).fact(1, StopRequested()).resume(1, 2)
    assert (story.states, story.of(WatchIdle)) == ([DRAINING, SERVING], ["W/1"])


def test__resume__died_while_spawning__counts_as_a_failed_start() -> None:
    story = Story(members=1).resume()
    assert (story.group.members["W/1"].failed_starts, story.of(Spawn)) == (1, ["W/1"])
    assert story.reason(1) == "restarted: its supervisor ended while starting it"


def test__resume__backing_off__keeps_its_wake_up() -> None:
    story = Story(members=1).serving(1).exited(1).serving(1).exited(1)
    before = story.group
    assert story.resume().group == before


def test__resume__degraded__is_made_undiscoverable_and_checked() -> None:
    story = Story(members=1).serving(1).health(Health.UNREACHABLE, 1).resume(1)
    assert (story.of(Deregister), story.of(StartProbe)) == (["W/1"], ["W/1"])


def test__resume__foreign_of_another_user__is_checked_again() -> None:
    story = Story(members=1).fact(1, Found(incarnation=1, process=None, port=5161, holder="somebody"))
    story.health(Health.SERVING, 1).resume()
    assert (story.states, story.of(StartProbe), story.of(Spawn)) == ([SERVING], ["W/1"], [])


def test__rules_changed__told_from_outside__changes_no_phase() -> None:
    assert Story().serving(1, 2).fact(1, RulesChanged()).group.phase is Phase.RUNNING


def test__spawn_failed__late_of_an_older_incarnation__is_dropped() -> None:
    story = Story(members=1).serving(1).exited(1)
    before = story.group
    assert story.fact(1, SpawnFailed(incarnation=1, reason="late")).group == before
