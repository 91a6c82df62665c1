"""What people see of several hosts that agree through a store on what floats: pure functions."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from quaestor_actors.actors.view import CoordinationView, TreeView


def coordination_document(tree: TreeView) -> dict[str, Any]:
    """Return the part of a cluster's document that is about it; there is none without such hosts."""
    view = tree.coordination
    if view is None:
        return {}
    since = datetime.fromtimestamp(view.since, UTC).isoformat(timespec="milliseconds")
    return {"coordination": {**asdict(view), "since": since}}


def coordination_lines(view: CoordinationView | None) -> list[str]:
    """Return a line if the store cannot be used, and one for each member that floats and runs nowhere."""
    if view is None:
        return []
    trouble = f"hosts: {view.trouble}; what floats here is ended when this host's lease is over"
    lines = [trouble] if view.trouble else []
    lines += [
        f"{place.member} is to run on {place.host}, which has not claimed it yet"
        for place in view.places
        if place.claimed_by == ""
    ]
    return lines
