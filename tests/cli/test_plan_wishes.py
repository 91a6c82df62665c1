"""What becomes of members by a plan."""

from __future__ import annotations

from dataclasses import replace

from support.listings import SHOWN, member

from quaestor_actors.actors.view import AgentView
from quaestor_actors.cli.plan_wishes import wishes_of_plan
from quaestor_actors.cli.wishes import Goal
from quaestor_actors.core.plan import Action, Plan
from quaestor_actors.core.spec import AgentSpec, ClusterSpec

WORKER = AgentView(agent="Worker", phase="running", reason="", waits_for=())
TREE = replace(SHOWN.tree, agents=(WORKER,), members=(member(1), member(2), member(3, "stopped")))
NEW = ClusterSpec(name="demo", agents=(AgentSpec(agent_type="New", executable="/bin/new", process_count=2),))


def goals(*actions: tuple[str, str], to_replace: tuple[str, ...] = ()) -> dict[str, Goal]:
    plan = Plan(actions=tuple(Action(verb=verb, subject=subject, detail="") for verb, subject in actions))
    tree = replace(TREE, agents=(replace(WORKER, to_replace=to_replace),))
    return {wish.member: wish.goal for wish in wishes_of_plan(plan, NEW, tree)}


def test__members__start_stop_and_are_replaced() -> None:
    found = goals(("start", "Worker/4"), ("replace", "Worker/1"), ("stop", "Worker/2"))
    assert found == {"Worker/4": Goal.REPLACED, "Worker/1": Goal.RESTARTED, "Worker/2": Goal.GONE}


def test__agents__come_and_go_with_all_their_members() -> None:
    assert goals(("start", "New")) == {"New/1": Goal.REPLACED, "New/2": Goal.REPLACED}
    assert goals(("stop", "Worker")) == dict.fromkeys(["Worker/1", "Worker/2", "Worker/3"], Goal.GONE)


def test__stopped_by_hand__is_not_waited_for() -> None:
    assert goals(("replace", "Worker/3")) == {}


def test__what_stops_nobody__is_not_waited_for() -> None:
    assert goals(("change", "Worker"), ("replace", "balancer"), ("change", "demo")) == {}


def test__still_to_be_replaced_from_before__is_a_part_of_it() -> None:
    assert goals(to_replace=("Worker/2",)) == {"Worker/2": Goal.REPLACED}


def test__before__is_remembered() -> None:
    plan = Plan(actions=(Action(verb="replace", subject="Worker/1", detail=""),))
    (wish,) = wishes_of_plan(plan, NEW, TREE)
    assert (wish.state, wish.incarnation) == ("serving", 1)
