"""The life of one member: a pure state machine over what happened to its process.

What follows from its end is in `ending`, from its health in `checking`, from its age and size in `recycling`; how it
is taken out of service in `stopping`, and out of the answers alone in `draining`.

    pending -> starting -> serving <-> degraded
                  |           |           |
                  |           +-----------+--> draining
                  |           |           |       |
                  +-----------+-----------+-------+--> stopping -> stopped
                  |           |           |       |       |
                  +-----------+-----------+-------+-------+--> backing_off -> pending
                                                          +--> failed (given up)

docs/lifecycle.md has every transition, and `drained`: as good as serving, and by hand out of the answers. `up` (a
process exists) and `serving` (the health check says so) are different facts. Each process of a member has an
incarnation number; a fact about an older incarnation is dropped. Every change carries a reason for people. Effects are
idempotent, so a supervisor can die between any two of them and its successor converges.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from quaestor_actors.core import checking, draining, recycling, stopping
from quaestor_actors.core.ending import ended, take_down
from quaestor_actors.core.member import (
    CHECKED,
    LIVE,
    UP,
    Admitted,
    BecameIdle,
    DeadlinePassed,
    DrainRequested,
    Effect,
    Fact,
    Found,
    HealthReported,
    Kill,
    Member,
    MemberState,
    MemoryMeasured,
    ProcessExited,
    ReplaceRequested,
    Rules,
    RulesChanged,
    Spawn,
    Spawned,
    SpawnFailed,
    StartProbe,
    StartRequested,
    Step,
    StopRequested,
    Terminate,
    UndrainRequested,
)
from quaestor_actors.core.stopping import enter


def decide(member: Member, fact: Fact, now: float, rules: Rules, draw: float) -> Step:  # noqa: C901, PLR0911, PLR0912 - a table
    """Return the member after the fact, and what must be done because of it, in order.

    Args:
        member: as it was.
        fact: what happened.
        now: monotonic seconds.
        rules: by which it is kept.
        draw: a random number from 0 to 1, which may be the same for several members.
    """
    # What happens may be told before anybody has looked at the clock.
    member = recycling.forgiven(member, now, rules)
    match fact:
        case StartRequested():
            return _start_requested(member, fact, now)
        case StopRequested():
            return _stop_requested(member, fact, now, rules)
        case ReplaceRequested():
            return _replace_requested(member, fact, now, rules)
        case DrainRequested():
            return draining.requested(member, fact, now, rules)
        case UndrainRequested():
            return _undrain_requested(member, fact, now, rules, draw)
        case Admitted():
            return _admitted(member, fact, now, rules)
        case RulesChanged():
            return _rules_changed(member, now, rules, draw)
        case Spawned():
            return _spawned(member, fact, now, rules, draw)
        case Found():
            return _found(member, fact, now, rules, draw)
        case SpawnFailed():
            return _spawn_failed(member, fact, now, rules, draw)
        case ProcessExited():
            return _exited(member, fact, now, rules, draw)
        case HealthReported():
            return checking.reported(member, fact, now, rules, draw)
        case BecameIdle():
            return recycling.became_idle(member, fact, now, rules)
        case MemoryMeasured():
            return recycling.memory_measured(member, fact, rules), ()
        case DeadlinePassed():
            if member.deadline is None or now < member.deadline:
                return member, ()
            return _deadline_passed(member, now, rules, draw)
        case _:
            assert_never(fact)


def _rules_changed(member: Member, now: float, rules: Rules, draw: float) -> Step:
    is_checked = member.state in CHECKED
    if not rules.probed and is_checked and member.foreign:
        return ended(member, "its port is taken, and nothing may be checked", now, rules, draw)
    if not rules.probed and is_checked and member.state not in UP and member.process is not None:
        return checking.serves(member, member.reason, now, rules, draw)
    return recycling.rules_changed(member, rules, draw), ()


# Starting


def _start_requested(member: Member, fact: StartRequested, now: float) -> Step:
    match member.state:
        case MemberState.PENDING | MemberState.STOPPED | MemberState.FAILED | MemberState.BACKING_OFF:
            fresh = replace(member, failures=0, failed_starts=0, wanted=True, completed=False)
            return enter(fresh, MemberState.PENDING, fact.reason, now, None), ()
        case MemberState.STOPPING | MemberState.DRAINING:
            reason = f"{member.reason}; {fact.reason}"
            return replace(member, wanted=True, planned=True, afterwards=MemberState.STOPPED, reason=reason), ()
        case MemberState.STARTING | MemberState.SERVING | MemberState.DRAINED | MemberState.DEGRADED:
            return member, ()
        case _:
            assert_never(member.state)


def _admitted(member: Member, fact: Admitted, now: float, rules: Rules) -> Step:
    if member.state is not MemberState.PENDING or not member.wanted:
        return member, ()
    incarnation = member.incarnation + 1
    started = enter(
        member,
        MemberState.STARTING,
        member.reason,
        now,
        now + rules.startup_deadline_s,
        incarnation=incarnation,
        process=None,
        port=None,
        foreign=False,
        fingerprint=fact.fingerprint,
        planned=False,
        forced=False,
        afterwards=MemberState.STOPPED,
        completed=False,
        failed_checks=0,
        health=None,
        check="",
        check_pending=False,
        recycle_at=None,
        due=None,
        idle_watched=False,
    )
    return started, (Spawn(member_id=member.member_id, incarnation=incarnation),)


def _awaits_process(member: Member, incarnation: int) -> bool:
    awaited = member.state in {MemberState.STARTING, MemberState.STOPPING} and member.process is None
    return awaited and not member.foreign and incarnation == member.incarnation


def _spawned(member: Member, fact: Spawned, now: float, rules: Rules, draw: float) -> Step:
    if not _awaits_process(member, fact.incarnation):
        return member, ()
    running = replace(member, process=fact.process, port=fact.port)
    if member.state is MemberState.STOPPING:
        # The stop overtook the start: what was just started has to go again.
        return stopping.kill(running, now) if member.forced else stopping.terminate(running, now, rules)
    if not rules.probed:
        return checking.serves(running, running.reason, now, rules, draw)
    return running, (StartProbe(member_id=member.member_id, incarnation=member.incarnation),)


def _found(member: Member, fact: Found, now: float, rules: Rules, draw: float) -> Step:
    if not _awaits_process(member, fact.incarnation):
        return member, ()
    taken = f"port {fact.port} is taken by {fact.holder}"
    if member.state is MemberState.STOPPING:
        return ended(member, f"{member.reason}; {taken}", now, rules, draw)
    if not rules.probed:
        return ended(member, taken, now, rules, draw)
    found = replace(member, process=fact.process, port=fact.port, foreign=True, reason=taken)
    return found, (StartProbe(member_id=member.member_id, incarnation=member.incarnation),)


def _spawn_failed(member: Member, fact: SpawnFailed, now: float, rules: Rules, draw: float) -> Step:
    if not _awaits_process(member, fact.incarnation):
        return member, ()
    reason = f"{member.reason}; {fact.reason}" if member.state is MemberState.STOPPING else fact.reason
    return ended(member, reason, now, rules, draw)


# Out of the answers, and back


def _undrain_requested(member: Member, fact: UndrainRequested, now: float, rules: Rules, draw: float) -> Step:
    undrained = replace(member, drained=None)
    if member.state is not MemberState.DRAINED:
        return undrained, ()
    return checking.serves(undrained, fact.reason, now, rules, draw)


# Ending


def _stop_requested(member: Member, fact: StopRequested, now: float, rules: Rules) -> Step:
    forced = member.forced or fact.force
    member = replace(member, wanted=False, planned=False, forced=forced, afterwards=fact.afterwards)
    match member.state:
        case MemberState.PENDING | MemberState.BACKING_OFF | MemberState.FAILED:
            return enter(member, fact.afterwards, fact.reason, now, None), ()
        case MemberState.STOPPED:
            return member, ()
        case MemberState.STARTING | MemberState.SERVING | MemberState.DRAINED | MemberState.DEGRADED:
            return take_down(member, fact.reason, now, rules, force=fact.force)
        case MemberState.DRAINING | MemberState.STOPPING:
            if fact.afterwards is MemberState.FAILED:
                member = replace(member, reason=fact.reason)
            return stopping.kill(member, now) if fact.force else (member, ())
        case _:
            assert_never(member.state)


def _replace_requested(member: Member, fact: ReplaceRequested, now: float, rules: Rules) -> Step:
    if not member.wanted or member.state not in LIVE:
        return member, ()
    if member.state in {MemberState.DRAINING, MemberState.STOPPING}:
        return replace(member, planned=True), ()
    return take_down(replace(member, planned=True), fact.reason, now, rules)


def _exited(member: Member, fact: ProcessExited, now: float, rules: Rules, draw: float) -> Step:
    if fact.incarnation != member.incarnation or member.process is None:
        return member, ()
    was_asked = member.state in {MemberState.STOPPING, MemberState.DRAINING}
    reason = f"{member.reason}; {fact.reason}" if was_asked else fact.reason
    if fact.output and member.wanted and not member.planned and not fact.normal:
        reason = f"{reason}; last output: {fact.output}"
    return ended(member, reason, now, rules, draw, normal=fact.normal and not was_asked)


# Time


def _deadline_passed(member: Member, now: float, rules: Rules, draw: float) -> Step:
    match member.state:
        case MemberState.STARTING:
            return _start_overdue(member, now, rules, draw)
        case MemberState.SERVING | MemberState.DRAINED:
            return recycling.looked_at(member, now, rules), ()
        case MemberState.DEGRADED:
            return checking.still_degraded(member, now, rules, draw)
        case MemberState.DRAINING:
            late = replace(member, reason=f"{member.reason}; requests still running after {rules.drain_s:g} s")
            return stopping.terminate(late, now, rules)
        case MemberState.STOPPING:
            late = replace(member, deadline=None)
            return stopping.kill(late, now)
        case MemberState.BACKING_OFF:
            reason = f"restarted: {member.cause}; failure {member.failures} in a row"
            return enter(member, MemberState.PENDING, reason, now, None), ()
        case MemberState.PENDING | MemberState.STOPPED | MemberState.FAILED:
            return replace(member, deadline=None), ()
        case _:
            assert_never(member.state)


def _start_overdue(member: Member, now: float, rules: Rules, draw: float) -> Step:
    last = f"; the last check: {member.check}" if member.check else ""
    reason = f"did not serve within {rules.startup_deadline_s:g} s{last}"
    if member.foreign:
        return ended(member, f"{member.reason}, which {reason}", now, rules, draw)
    return take_down(replace(member, failed_starts=member.failed_starts + 1), reason, now, rules)


# A supervisor's successor


def resume(member: Member, *, alive: bool, now: float, rules: Rules, draw: float) -> Step:
    """Return a member taken over from a supervisor that died, and what makes the world agree with it.

    `alive` says whether the recorded process, by pid and start time, still runs. Every effect may have been done
    already by the predecessor.
    """
    member = replace(recycling.forgiven(member, now, rules), idle_watched=False)
    if member.state not in LIVE:
        return member, stopping.withdraw(member) if member.port is not None else ()
    if member.process is None and not member.foreign:
        lost = SpawnFailed(incarnation=member.incarnation, reason="its supervisor ended while starting it")
        return _spawn_failed(member, lost, now, rules, draw)
    if member.process is not None and not alive:
        exited = ProcessExited(
            incarnation=member.incarnation, reason="its process ended while no supervisor watched it"
        )
        return _exited(member, exited, now, rules, draw)
    if member.state is MemberState.STARTING and not rules.probed:
        return checking.serves(member, member.reason, now, rules, draw)
    if member.state is MemberState.DRAINED:
        member = replace(member, idle_watched=True)
    return member, _resumed(member, rules)


def _resumed(member: Member, rules: Rules) -> tuple[Effect, ...]:
    probe = (StartProbe(member_id=member.member_id, incarnation=member.incarnation),) if rules.probed else ()
    match member.state:
        case MemberState.SERVING:
            return (*probe, *stopping.register(member))
        case MemberState.DRAINED:
            return (*stopping.deregister(member), *probe, stopping.watch_idle(member))
        case MemberState.DRAINING:
            return (*stopping.withdraw(member), stopping.watch_idle(member))
        case MemberState.STOPPING if member.process is not None:
            asked: Effect = Terminate(member_id=member.member_id, process=member.process)
            polite = rules.shutdown_deadline_s > 0 and not member.forced
            end = asked if polite else Kill(member_id=member.member_id, process=member.process)
            return (*stopping.withdraw(member), end)
        case MemberState.DEGRADED:
            return (*stopping.deregister(member), *probe)
        case _:
            return probe
