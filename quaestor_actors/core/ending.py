"""What follows the end of a member's process, expected or not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from quaestor_actors.core import stopping
from quaestor_actors.core.member import Member, MemberDone, MemberGaveUp, MemberState, RestartDue, Rules, Step
from quaestor_actors.core.restart import RestartType, own_draw
from quaestor_actors.core.stopping import enter

GONE: Final[dict[str, Any]] = {"process": None, "foreign": False}
"""What changes of a member whose process has ended."""


def take_down(member: Member, reason: str, now: float, rules: Rules, *, force: bool = False) -> Step:
    """Take a member out of service, whoever started its process."""
    if member.foreign:
        # A process that this cluster did not start is never ended by it.
        let_go = f"{reason}; its process is not this cluster's and goes on"
        effects = stopping.withdraw(member)
        member = replace(member, process=None, foreign=False)
        if member.wanted:
            return replace(enter(member, MemberState.PENDING, let_go, now, None), planned=False), effects
        return enter(member, member.afterwards, let_go, now, None), effects
    return stopping.stop(member, reason, now, rules, force=force)


def ended(member: Member, reason: str, now: float, rules: Rules, draw: float, *, normal: bool = False) -> Step:
    """Decide what follows the end of a process: nothing, a new one at once, one after a pause, or giving up."""
    effects = stopping.withdraw(member)
    if not member.wanted:
        return enter(member, member.afterwards, reason, now, None, **GONE), effects
    if member.planned:
        return enter(member, MemberState.PENDING, member.reason, now, None, planned=False, **GONE), effects
    if rules.restart is RestartType.TEMPORARY or (rules.restart is RestartType.TRANSIENT and normal):
        done = f"{reason}; not restarted, being {rules.restart.value}"
        stopped = enter(member, MemberState.STOPPED, done, now, None, wanted=False, completed=normal, **GONE)
        return stopped, (*effects, MemberDone(member_id=member.member_id, reason=reason))
    again, caused = _try_again(member, reason, now, rules, draw)
    return again, (*effects, *caused)


def _try_again(member: Member, reason: str, now: float, rules: Rules, draw: float) -> Step:
    failures = member.failures + 1
    failed_starts = member.failed_starts + (member.state is MemberState.STARTING)
    counts = {"cause": reason, "failures": failures, "failed_starts": failed_starts, **GONE}
    if failed_starts >= max(1, rules.startup_retries):
        given_up = f"given up after {failed_starts} failed starts in a row; the last: {reason}"
        notice = MemberGaveUp(member_id=member.member_id, reason=given_up)
        return enter(member, MemberState.FAILED, given_up, now, None, **counts), (notice,)
    due = RestartDue(member_id=member.member_id, reason=reason)
    delay_s = rules.backoff.delay_s(failures, own_draw(draw, member.member_id))
    if delay_s == 0.0:
        return enter(member, MemberState.PENDING, f"restarted: {reason}", now, None, **counts), (due,)
    waiting = f"{reason}; failure {failures} in a row, next try after {delay_s:.3g} s"
    return enter(member, MemberState.BACKING_OFF, waiting, now, now + delay_s, **counts), (due,)
