"""What happens to a member if nobody does anything, and when: pure functions."""

from __future__ import annotations

from quaestor_actors.actors.view import AgentView, MemberView
from quaestor_actors.cli.render import NOTHING, age
from quaestor_actors.core.host_selector import on_host

_TENTHS_BELOW_S = 10.0


def what_next(one: MemberView, agent: AgentView, now: float, *, host: str = "") -> str:
    """Return what happens to a member if nobody does anything, and when.

    Args:
        one: the member.
        agent: its agent.
        now: seconds since the epoch.
        host: on which of several hosts it is.
    """
    due = NOTHING if one.deadline is None else left(one.deadline - now)
    match one.state:
        case "pending" if agent.waits_for:
            return f"starts when its agent need not wait any more for {', '.join(agent.waits_for)}"
        case "pending":
            return "starts when it is its turn"
        case "starting":
            return f"stopped and started again {due} if it does not serve before"
        case "degraded":
            return f"checked again {due}; replaced if that fails often enough"
        case "draining":
            return f"asked to end {due} or as soon as no request is running"
        case "stopping":
            return f"killed {due} if it has not ended before"
        case "backing_off":
            return f"next try {due}"
        case "drained" | "stopped" | "failed":
            return _by_hand_alone(one, host)
        case _:
            return _recycling(one, now)


def _by_hand_alone(one: MemberView, host: str) -> str:
    does = "puts it back" if one.state == "drained" else "starts it"
    first = "finishes its requests; then " if one.state == "drained" and one.awaits_idle else ""
    return f"{first}nothing, until somebody {does}: quaestor start {on_host(one.member, host)}"


def _recycling(one: MemberView, now: float) -> str:
    if one.due is not None:
        return f"replaced as soon as it is idle: {one.due}"
    if one.recycle_at is None:
        return "nothing"
    return f"replaced because of its age {left(one.recycle_at - now)}, as soon as it is idle"


def left(seconds: float) -> str:
    """Return when something is due that many seconds from now."""
    if seconds <= 0:
        return "now"
    return f"in {seconds:.1f}s" if seconds < _TENTHS_BELOW_S else f"in {age(seconds)}"
