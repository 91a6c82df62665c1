"""What follows the end of a member's process, expected or not."""

from __future__ import annotations

from dataclasses import replace

from quaestor_actors.core import stopping
from quaestor_actors.core.member import Member, MemberDone, MemberGaveUp, MemberState, RestartDue, Rules, Step
from quaestor_actors.core.restart import RestartType, own_draw
from quaestor_actors.core.stopping import enter


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
    gone = replace(member, process=None, foreign=False)
    if not member.wanted:
        return enter(gone, member.afterwards, reason, now, None), effects
    if member.planned:
        return replace(enter(gone, MemberState.PENDING, member.reason, now, None), planned=False), effects
    if rules.restart is RestartType.TEMPORARY or (rules.restart is RestartType.TRANSIENT and normal):
        done = f"{reason}; not restarted, being {rules.restart.value}"
        gone = replace(gone, wanted=False, completed=normal)
        notice = MemberDone(member_id=member.member_id, reason=reason)
        return enter(gone, MemberState.STOPPED, done, now, None), (*effects, notice)
    was_starting = member.state is MemberState.STARTING
    failed_starts = member.failed_starts + was_starting
    gone = replace(gone, cause=reason, failures=member.failures + 1, failed_starts=failed_starts)
    again, caused = _try_again(gone, reason, now, rules, draw)
    return again, (*effects, *caused)


def _try_again(member: Member, reason: str, now: float, rules: Rules, draw: float) -> Step:
    if member.failed_starts >= max(1, rules.startup_retries):
        given_up = f"given up after {member.failed_starts} failed starts in a row; the last: {reason}"
        notice = MemberGaveUp(member_id=member.member_id, reason=given_up)
        return enter(member, MemberState.FAILED, given_up, now, None), (notice,)
    due = RestartDue(member_id=member.member_id, reason=reason)
    delay_s = rules.backoff.delay_s(member.failures, own_draw(draw, member.member_id))
    if delay_s == 0.0:
        return enter(member, MemberState.PENDING, f"restarted: {reason}", now, None), (due,)
    waiting = f"{reason}; failure {member.failures} in a row, next try after {delay_s:.3g} s"
    return enter(member, MemberState.BACKING_OFF, waiting, now, now + delay_s), (due,)
