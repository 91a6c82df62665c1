"""What becomes of members by a plan, as wishes that come true: pure functions."""

from __future__ import annotations

from quaestor_actors.actors.view import TreeView
from quaestor_actors.cli.render import members_in_order
from quaestor_actors.cli.wishes import Goal, Wish, wishes
from quaestor_actors.core.plan import Action, Plan
from quaestor_actors.core.spec import ClusterSpec


def wishes_of_plan(plan: Plan, spec: ClusterSpec, tree: TreeView, *, host: str = "") -> tuple[Wish, ...]:
    """Return what becomes of members; what was still to be replaced before is a part of it.

    Args:
        plan: what is done.
        spec: what it leads to.
        tree: what there is before.
        host: on which of several hosts that is; empty: on this one.
    """
    goals: dict[str, Goal] = {name: Goal.REPLACED for agent in tree.agents for name in agent.to_replace}
    for action in plan.actions:
        goals.update(_goals(action, spec, tree))
    # Who was stopped by hand is not replaced.
    stopped = {member.member for member in tree.members if member.state == "stopped"}
    return tuple(
        wish
        for name, goal in goals.items()
        for wish in wishes(tree, [name], goal, host=host)
        if goal is not Goal.RESTARTED or name not in stopped
    )


def _goals(action: Action, spec: ClusterSpec, tree: TreeView) -> dict[str, Goal]:
    goal = {"start": Goal.REPLACED, "replace": Goal.RESTARTED, "stop": Goal.GONE}.get(action.verb)
    if goal is None:
        return {}
    if "/" in action.subject:
        return {action.subject: goal}
    if goal is Goal.GONE:
        there = [member.member for member in members_in_order(tree)]
        return {name: goal for name in there if name.rpartition("/")[0] == action.subject}
    return {name: goal for agent in spec.agents if agent.agent_type == action.subject for name in agent.members}
