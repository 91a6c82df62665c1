"""What was commanded: when it has come true, when it cannot any more, who holds it up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.listings import NOW, SHOWN, member

from quaestor_actors.actors.view import AgentView, MemberView, TreeView
from quaestor_actors.cli.wishes import (
    Goal,
    Outcome,
    Standing,
    Wish,
    counted,
    holders,
    outcomes,
    report,
    told_of,
    wishes,
)

AGENT = AgentView(agent="Worker", phase="running", reason="", waits_for=())
TRUE, OPEN, FAILED = Standing.TRUE, Standing.OPEN, Standing.FAILED


def tree(*members: MemberView, agent: AgentView = AGENT) -> TreeView:
    return replace(SHOWN.tree, members=members, agents=(agent,))


def standing(goal: Goal, before: MemberView | None, now: MemberView | None, agent: AgentView = AGENT) -> Standing:
    name = (before or now or member(1)).member
    wished = wishes(tree(*([before] if before else [])), [name], goal)
    return outcomes(tree(*([now] if now else []), agent=agent), wished)[0].standing


UP = member(1)
OUT = member(1, "drained", drained="drained by hand")


@pytest.mark.parametrize(
    ("goal", "before", "now", "expected"),
    [
        (Goal.SERVING, member(1, "stopped"), member(1, "stopped"), OPEN),
        (Goal.SERVING, member(1, "stopped"), member(1, "starting", incarnation=2), OPEN),
        (Goal.SERVING, member(1, "stopped"), member(1, "backing_off", incarnation=3), OPEN),
        (Goal.SERVING, member(1, "stopped"), member(1, incarnation=2), TRUE),
        (Goal.SERVING, member(1, "failed"), member(1, "failed"), OPEN),
        (Goal.SERVING, member(1, "failed"), member(1, "failed", incarnation=2), FAILED),
        (Goal.SERVING, UP, UP, TRUE),
        (Goal.SERVING, OUT, OUT, OPEN),
        (Goal.SERVING, UP, None, OPEN),
        (Goal.STOPPED, UP, UP, OPEN),
        (Goal.STOPPED, UP, member(1, "stopping"), OPEN),
        (Goal.STOPPED, UP, member(1, "stopped"), TRUE),
        (Goal.STOPPED, member(1, "failed"), member(1, "failed"), TRUE),
        (Goal.STOPPED, UP, None, TRUE),
        (Goal.RESTARTED, UP, UP, OPEN),
        (Goal.RESTARTED, UP, member(1, "starting", incarnation=2), OPEN),
        (Goal.RESTARTED, UP, member(1, incarnation=2), TRUE),
        (Goal.RESTARTED, OUT, replace(OUT, incarnation=2), TRUE),
        (Goal.RESTARTED, UP, member(1, "failed", incarnation=2), FAILED),
        (Goal.RESTARTED, UP, member(1, "stopped"), FAILED),
        (Goal.DRAINED, UP, UP, OPEN),
        (Goal.DRAINED, UP, replace(OUT, awaits_idle=True), OPEN),
        (Goal.DRAINED, UP, OUT, TRUE),
        (Goal.DRAINED, member(1, "stopped"), member(1, "stopped", drained="drained by hand"), TRUE),
        (Goal.GONE, UP, UP, OPEN),
        (Goal.GONE, UP, None, TRUE),
        (Goal.REPLACED, None, None, OPEN),
        (Goal.REPLACED, None, UP, TRUE),
        (Goal.REPLACED, UP, UP, TRUE),
        (Goal.REPLACED, member(1, "stopped"), member(1, "stopped"), TRUE),
        (Goal.REPLACED, UP, member(1, "failed", incarnation=2), FAILED),
    ],
)
def test__wish__comes_true_or_not(
    goal: Goal, before: MemberView | None, now: MemberView | None, expected: Standing
) -> None:
    assert standing(goal, before, now) is expected


def test__replaced__not_while_the_agent_says_that_it_is_still_to_be() -> None:
    assert standing(Goal.REPLACED, UP, UP, replace(AGENT, to_replace=("Worker/1",))) is OPEN


def test__rolling_restart_of_a_member_that_has_moved_away__fails_instead_of_waiting_for_ever() -> None:
    def outcome(now: TreeView, before: TreeView) -> Outcome:
        return outcomes(now, wishes(before, ["Worker/1"], Goal.RESTARTED, is_rolling=True))[0]

    found = outcome(tree(), tree(UP))
    assert (found.standing, found.state, "moved to another host" in found.reason) == (FAILED, "gone", True)
    # Before its supervisor has told of its members nobody is there.
    assert outcome(tree(agent=replace(AGENT, phase="waiting")), tree(UP)).standing is OPEN
    assert outcome(tree(), tree()).standing is OPEN


def test__rolling_restart_that_is_aborted__fails_for_those_who_were_still_to_go() -> None:
    def wished(before: int, *, is_rolling: bool = True) -> tuple[Wish, ...]:
        there = tree(member(1), member(2), agent=replace(AGENT, rolling_restarts=before))
        return wishes(there, ["Worker/1", "Worker/2"], Goal.RESTARTED, is_rolling=is_rolling)

    agent = replace(AGENT, aborted="Worker/1 did not serve", rolling_restarts=3)
    aborted = tree(member(1, incarnation=2), member(2), agent=agent)
    assert [each.standing for each in outcomes(aborted, wished(2))] == [TRUE, FAILED]
    # One from before, or from somebody else, says nothing about what was wished.
    assert [each.standing for each in outcomes(aborted, wished(3))] == [TRUE, OPEN]
    assert [each.standing for each in outcomes(aborted, wished(2, is_rolling=False))] == [TRUE, OPEN]


def found(*members: MemberView) -> tuple[TreeView, list[Outcome]]:
    wished = wishes(tree(member(1), member(2), member(3)), ["Worker/1", "Worker/2", "Worker/3"], Goal.RESTARTED)
    now = tree(*members)
    return now, outcomes(now, wished)


def test__holders__those_who_are_away_before_those_whose_turn_comes() -> None:
    now, of_all = found(member(1, incarnation=2), member(2), member(3, "stopping", deadline=NOW + 8), member(4))
    told = holders(now, of_all, NOW)
    assert [each.who for each in told] == ["Worker/3", "Worker/2"]
    assert told[0].next_step == "killed in 8.0s if it has not ended before"
    assert told_of(told) == "waiting for Worker/3 and 1 more: stopping: cluster start"
    assert counted(of_all) == "1/3"
    assert counted(of_all[:1]) == ""


def test__holders__another_one_that_is_away_is_why_nobody_goes() -> None:
    now, of_all = found(member(1), member(2), member(3), member(4, "backing_off", deadline=NOW + 4))
    assert next(each.who for each in holders(now, of_all, NOW)) == "Worker/4"


def test__holders__who_is_not_there_yet() -> None:
    now, of_all = found(member(1, incarnation=2), member(2, incarnation=2))
    assert told_of(holders(now, of_all, NOW)) == "waiting for Worker/3: not there: nobody has told of it yet"


def test__report__names_what_has_not_come_true() -> None:
    _, of_all = found(member(1, incarnation=2), member(2, "stopped", reason="stopped\x1bby hand"))
    assert report(of_all, "headline").splitlines() == [
        "headline",
        "  Worker/2: stopped: stopped\\x1bby hand",
        "  Worker/3: not there",
    ]
