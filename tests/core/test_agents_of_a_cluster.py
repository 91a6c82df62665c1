"""The agents of a cluster among each other: gates, starting afresh together, the end of the cluster."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from quaestor_actors.core import cluster, group
from quaestor_actors.core.agent import Phase, StartAll
from quaestor_actors.core.cluster import AgentReport, EndCluster, OpenGate, Reconfigured, Reported, StartAfresh
from quaestor_actors.core.member import Member, MemberState, Rules
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.core.restart import AutoShutdown, Intensity, Strategy
from quaestor_actors.core.spec import AgentSpec, ClusterSpec, Condition

STARTED, SERVING, COMPLETED = Condition
ROOT = Path(__file__).parents[2]


def agent(name: str, *depends_on: tuple[str, Condition]) -> AgentSpec:
    return AgentSpec(agent_type=name, depends_on=depends_on)


THREE = ClusterSpec(name="demo", agents=(agent("A"), agent("B"), agent("C")), intensity=Intensity(limit=1, period_s=60))


class Story:
    """Tells a cluster what its agents report."""

    def __init__(self, spec: ClusterSpec) -> None:
        self.cluster = cluster.create(spec)
        self.now = 100.0
        self.effects: tuple[cluster.Effect, ...] = ()

    def tell(self, event: cluster.Event, *, after_s: float = 0.0) -> Story:
        self.now += after_s
        self.cluster, self.effects = cluster.decide(self.cluster, event, self.now)
        return self

    def reached(self, name: str, *conditions: Condition) -> Story:
        return self.tell(Reported(agent=name, report=AgentReport(phase=Phase.RUNNING, reached=frozenset(conditions))))

    def phase(self, name: str, phase: Phase, *, after_s: float = 0.0) -> Story:
        return self.tell(Reported(agent=name, report=AgentReport(phase=phase, reason="why")), after_s=after_s)

    @property
    def afresh(self) -> list[str]:
        return [effect.agent for effect in self.effects if isinstance(effect, StartAfresh)]


# Gates


def test__gate__depends_on_nobody__is_open_from_the_start() -> None:
    assert [each.open for each in cluster.create(THREE).agents.values()] == [True] * 3


@pytest.mark.parametrize("condition", Condition)
def test__gate__condition_reached__opens_once(condition: Condition) -> None:
    story = Story(replace(THREE, agents=(agent("A"), agent("B", ("A", condition)))))
    assert cluster.missing(story.cluster, "B") == [f"A ({condition.value})"]
    assert story.reached("A", *(set(Condition) - {condition})).effects == ()
    assert story.reached("A", condition).effects == (OpenGate(agent="B"),)
    assert story.reached("A").reached("A", condition).effects == ()


def test__gate__several_dependencies__waits_for_all() -> None:
    story = Story(replace(THREE, agents=(agent("A"), agent("B"), agent("C", ("A", SERVING), ("B", STARTED)))))
    assert story.reached("A", SERVING).effects == ()
    assert cluster.missing(story.cluster, "C") == ["B (started)"]
    assert story.reached("B", STARTED).effects == (OpenGate(agent="C"),)


def test__gate__dependency_is_no_longer_configured__opens() -> None:
    gated = agent("B", ("A", SERVING))
    story = Story(replace(THREE, agents=(agent("A"), gated)))
    assert story.tell(Reconfigured(spec=replace(THREE, agents=(gated,)))).effects == (OpenGate(agent="B"),)


def test__gate__new_dependency_of_an_open_agent__leaves_it_open() -> None:
    story = Story(THREE)
    story.tell(Reconfigured(spec=replace(THREE, agents=(agent("A"), agent("B", ("A", SERVING))))))
    assert story.cluster.agents["B"].open


def test__gate__while_the_cluster_ends__stays_closed() -> None:
    essential = replace(agent("C"), essential=True)
    story = Story(replace(THREE, agents=(agent("A"), agent("B", ("A", COMPLETED)), essential)))
    assert story.phase("C", Phase.GAVE_UP).reached("A", COMPLETED).effects == ()


def test__report__of_a_stranger__changes_nothing() -> None:
    story = Story(THREE)
    before = story.cluster
    assert story.phase("X", Phase.GAVE_UP).cluster == before


# What a group says of itself


def report(*members: Member, phase: Phase = Phase.RUNNING) -> AgentReport:
    state = group.create({each.member_id: "f1" for each in members})
    return cluster.report_of(replace(state, phase=phase, members={each.member_id: each for each in members}))


UP = {"process": ProcessId(pid=1, start_ticks=1)}
SERVES = Member(member_id="W/1", state=MemberState.SERVING, process=UP["process"])
STARTS = Member(member_id="W/2", state=MemberState.STARTING, process=UP["process"])
DONE = Member(member_id="W/3", state=MemberState.STOPPED, completed=True, wanted=False)


def test__report_of__group__all_members_must_have_reached_it() -> None:
    assert report(SERVES).reached == {STARTED, SERVING}
    assert report(SERVES, STARTS).reached == {STARTED}
    assert report(SERVES, DONE).reached == frozenset()
    assert report(DONE).reached == {COMPLETED}


def test__report_of__foreign_process_of_another_user__has_started() -> None:
    assert STARTED in report(replace(SERVES, process=None, foreign=True)).reached


def test__report_of__waiting_group__has_reached_nothing() -> None:
    assert report(SERVES, phase=Phase.WAITING).reached == frozenset()


def test__report_of__group_that_gave_up__carries_its_reason() -> None:
    state = group.decide(group.create({"W/1": "f1"}), [StartAll()], 0.0, Rules(), 0.5)[0]
    told = cluster.report_of(replace(state, phase=Phase.GAVE_UP, reason="too many restarts"))
    assert (told.phase, told.reason) == (Phase.GAVE_UP, "too many restarts")


# Agents that gave up


def test__gave_up__essential_agent__ends_the_cluster_as_failed() -> None:
    story = Story(replace(THREE, agents=(agent("A"), replace(agent("B"), essential=True)))).phase("B", Phase.GAVE_UP)
    assert story.effects == (EndCluster(reason="the essential agent B gave up: why", failed=True),)
    assert story.phase("A", Phase.GAVE_UP).effects == ()


def test__gave_up__no_intensity__stays_failed() -> None:
    assert Story(replace(THREE, intensity=Intensity(limit=0, period_s=60))).phase("A", Phase.GAVE_UP).effects == ()


def test__gave_up__told_again__counts_once() -> None:
    story = Story(THREE).phase("A", Phase.GAVE_UP)
    assert story.effects == (StartAfresh(agent="A", reason="agent A gave up and is started afresh: why"),)
    assert story.phase("A", Phase.GAVE_UP).effects == ()


def test__gave_up__more_often_than_the_intensity_allows__stays_failed_until_the_window_slides() -> None:
    story = Story(THREE).phase("A", Phase.GAVE_UP).phase("A", Phase.RUNNING)
    assert story.phase("A", Phase.GAVE_UP, after_s=59).afresh == []
    assert story.phase("A", Phase.RUNNING).phase("A", Phase.GAVE_UP, after_s=61).afresh == ["A"]


def test__gave_up__one_for_one__touches_nobody_else() -> None:
    assert Story(THREE).phase("B", Phase.GAVE_UP).afresh == ["B"]


def test__gave_up__one_for_all__all_agents_start_afresh() -> None:
    assert Story(replace(THREE, strategy=Strategy.ONE_FOR_ALL)).phase("B", Phase.GAVE_UP).afresh == ["B", "A", "C"]


def test__gave_up__rest_for_one__those_after_it_start_afresh() -> None:
    assert Story(replace(THREE, strategy=Strategy.REST_FOR_ONE)).phase("B", Phase.GAVE_UP).afresh == ["B", "C"]


# Auto shutdown


def significant(auto_shutdown: AutoShutdown) -> Story:
    agents = (replace(agent("A"), significant=True), replace(agent("B"), significant=True), agent("C"))
    return Story(replace(THREE, agents=agents, auto_shutdown=auto_shutdown))


OVER = "auto shutdown: agent {} is done (why)"


def test__done__any_significant__ends_the_cluster_in_order() -> None:
    story = significant(AutoShutdown.ANY_SIGNIFICANT).phase("A", Phase.DONE)
    assert story.effects == (EndCluster(reason=OVER.format("A"), failed=False),)
    assert story.phase("B", Phase.DONE).effects == ()


def test__done__all_significant__ends_the_cluster_with_the_last() -> None:
    story = significant(AutoShutdown.ALL_SIGNIFICANT)
    assert story.phase("A", Phase.DONE).effects == ()
    assert story.phase("B", Phase.DONE).effects == (EndCluster(reason=OVER.format("B"), failed=False),)


@pytest.mark.parametrize("auto_shutdown", AutoShutdown)
def test__done__agent_that_is_not_significant__ends_nothing(auto_shutdown: AutoShutdown) -> None:
    assert significant(auto_shutdown).phase("C", Phase.DONE).effects == ()


def test__done__never__ends_nothing() -> None:
    assert significant(AutoShutdown.NEVER).phase("A", Phase.DONE).phase("B", Phase.DONE).effects == ()


# Order of the stop


def test__stop_ranks__those_who_depend_stop_first() -> None:
    agents = (agent("A"), agent("B", ("A", SERVING)), agent("C", ("B", SERVING)), agent("D", ("A", SERVING)))
    assert cluster.stop_ranks(agents) == {"A": 2, "B": 1, "C": 0, "D": 1}


def test__stop_ranks__no_dependencies__all_at_once() -> None:
    assert cluster.stop_ranks([agent("A"), agent("B"), agent("C", ("X", SERVING))]) == {"A": 0, "B": 0, "C": 0}


# The page about it


def test__table_of_otp_s_tests__every_test_of_ours_exists() -> None:
    page = (ROOT / "docs" / "supervision.md").read_text()
    named = set(re.findall(r"`(test__\w+)`", page))
    existing = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test__\w+)\(", path.read_text(), re.MULTILINE)
    }
    assert named
    assert not named - existing
