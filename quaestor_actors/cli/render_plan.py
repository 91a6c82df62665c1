"""What a new configuration would change, as a list: pure functions, the plan in, a list out."""

from __future__ import annotations

from typing import Any

from quaestor_actors.cli.listing import SCHEMA_VERSION, Column, Listing
from quaestor_actors.core.plan import Action, Plan

_COLUMNS: tuple[Column[Action], ...] = (
    Column(title="ACTION", text=lambda one: one.verb),
    Column(title="SUBJECT", text=lambda one: one.subject),
    Column(title="WHY", text=lambda one: one.detail, takes_rest=True),
)


def plan_listing(plan: Plan, *, cluster: str, file: str, remarks: tuple[str, ...] = ()) -> Listing[Action]:
    """Return a plan that can be carried out.

    Args:
        plan: what would change.
        cluster: of which cluster.
        file: the configuration that it leads to.
        remarks: what is said of that configuration.
    """
    return Listing(
        columns=_COLUMNS,
        rows=plan.actions,
        document=_document(plan, cluster),
        # Each action is a line that says it all, without a header: what scripts and people know of it.
        drawing=tuple(((str(action), None),) for action in plan.actions),
        notes=(*remarks, *(() if plan.actions else (f"{file}: nothing would change",))),
    )


def _document(plan: Plan, cluster: str) -> dict[str, Any]:
    return {
        "schemaVersion": SCHEMA_VERSION,
        "cluster": cluster,
        "actions": [
            {"action": action.verb, "subject": action.subject, "reason": action.detail} for action in plan.actions
        ],
    }
