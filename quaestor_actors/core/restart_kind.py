"""Why a member is started again, in a few words that can be counted; the sentence for people is its `reason`."""

from __future__ import annotations

from enum import StrEnum

from quaestor_actors.core.agent import Group
from quaestor_actors.core.member import LIVE, Member, MemberState


class RestartKind(StrEnum):
    """What ended the process before; their order is that of the numbers kept of them."""

    EXITED = "exited"
    """It ended by itself after it had served."""
    START_FAILED = "start_failed"
    """It never served: not started, ended before, or too slow."""
    UNHEALTHY = "unhealthy"
    """It was ended because of its health checks."""
    REPLACED = "replaced"
    """It was ended on purpose: by hand, for its age or size, with others, for a changed configuration."""


KINDS = tuple(RestartKind)


def of_group(before: Group, after: Group) -> list[tuple[str, RestartKind]]:
    """Return which members one decision has lost a process of that another one follows, and why."""
    return [
        (name, kind)
        for name, member in after.members.items()
        if (former := before.members.get(name)) is not None and (kind := kind_of(former, member)) is not None
    ]


def kind_of(before: Member, after: Member) -> RestartKind | None:
    """Return why a member is to be started again; None if this is not what has happened to it."""
    is_followed = after.state in {MemberState.PENDING, MemberState.BACKING_OFF}
    has_new_one = after.state in LIVE and after.incarnation > before.incarnation
    if before.state not in LIVE or not (is_followed or has_new_one):
        return None
    match before.state:
        case _ if before.planned:
            return RestartKind.REPLACED
        case MemberState.STARTING:
            return RestartKind.START_FAILED
        case MemberState.SERVING | MemberState.DEGRADED:
            return RestartKind.EXITED
        case _:
            # A start that took too long counts as failed when the process is asked to end; serving clears the count.
            return RestartKind.START_FAILED if before.failed_starts else RestartKind.UNHEALTHY
