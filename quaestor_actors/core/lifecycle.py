"""The life of one member: a pure state machine over what happened to its process.

    pending -> starting -> serving <-> degraded
                  |           |           |
                  +-----------+-----------+--> stopping -> stopped
                  |           |           |       |
                  +-----------+-----------+-------+--> backing_off -> starting
                                                  +--> failed (given up)

`up` (a process exists) and `serving` (the health check says so) are different facts. Each process of a member has
an incarnation number; a fact about an older incarnation is dropped. Every change carries a reason for people.
Effects are idempotent, so a supervisor can die between any two of them and its successor converges.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from quaestor_actors.core.member import (
    DeadlinePassed,
    Deregister,
    Effect,
    Fact,
    Health,
    HealthReported,
    Kill,
    Member,
    MemberState,
    ProcessExited,
    ProcessId,
    Register,
    Rules,
    Spawn,
    Spawned,
    SpawnFailed,
    StartProbe,
    StartRequested,
    StopProbe,
    StopRequested,
    Terminate,
)

__all__ = [
    "DeadlinePassed",
    "Deregister",
    "Effect",
    "Fact",
    "Health",
    "HealthReported",
    "Kill",
    "Member",
    "MemberState",
    "ProcessExited",
    "ProcessId",
    "Register",
    "Rules",
    "Spawn",
    "SpawnFailed",
    "Spawned",
    "StartProbe",
    "StartRequested",
    "StopProbe",
    "StopRequested",
    "Terminate",
    "decide",
    "resume",
]

Step = tuple[Member, tuple[Effect, ...]]


def decide(member: Member, fact: Fact, now: float, rules: Rules) -> Step:
    """Return the member after the fact, and what must be done because of it, in order."""
    match fact:
        case StartRequested():
            return _start_requested(member, fact, now, rules)
        case StopRequested():
            return _stop_requested(member, fact, now, rules)
        case Spawned():
            return _spawned(member, fact, now, rules)
        case SpawnFailed():
            return _spawn_failed(member, fact, now, rules)
        case ProcessExited():
            return _exited(member, fact, now, rules)
        case HealthReported():
            return _health_reported(member, fact, now, rules)
        case DeadlinePassed():
            if member.deadline is None or now < member.deadline:
                return member, ()
            return _deadline_passed(member, now, rules)
        case _:
            assert_never(fact)


def _enter(member: Member, state: MemberState, reason: str, now: float, deadline: float | None) -> Member:
    return replace(member, state=state, reason=reason, since=now, deadline=deadline)


def _start_requested(member: Member, fact: StartRequested, now: float, rules: Rules) -> Step:
    match member.state:
        case MemberState.PENDING | MemberState.STOPPED | MemberState.FAILED | MemberState.BACKING_OFF:
            fresh = replace(member, failures=0, failed_starts=0)
            return _spawn(fresh, fact.reason, now, rules)
        case MemberState.STOPPING:
            return replace(member, restart_wanted=True), ()
        case MemberState.STARTING | MemberState.SERVING | MemberState.DEGRADED:
            return member, ()
        case _:
            assert_never(member.state)


def _spawn(member: Member, reason: str, now: float, rules: Rules) -> Step:
    incarnation = member.incarnation + 1
    started = replace(
        _enter(member, MemberState.STARTING, reason, now, now + rules.startup_deadline_s),
        incarnation=incarnation,
        process=None,
        port=None,
        restart_wanted=True,
        restarts=member.restarts + (1 if member.incarnation else 0),
    )
    return started, (Spawn(member_id=member.member_id, incarnation=incarnation),)


def _spawned(member: Member, fact: Spawned, now: float, rules: Rules) -> Step:
    if fact.incarnation != member.incarnation or member.process is not None:
        return member, ()
    running = replace(member, process=fact.process, port=fact.port)
    if member.state is MemberState.STOPPING:
        # The stop overtook the start: what was just started has to go again.
        return running, (_end(running, rules),)
    if rules.assume_healthy:
        return _serves(running, running.reason, now, rules)
    return running, (StartProbe(member_id=member.member_id, incarnation=member.incarnation),)


def _spawn_failed(member: Member, fact: SpawnFailed, now: float, rules: Rules) -> Step:
    awaited = member.state in {MemberState.STARTING, MemberState.STOPPING} and member.process is None
    if not awaited or fact.incarnation != member.incarnation:
        return member, ()
    return _ended(member, fact.reason, now, rules)


def _end(member: Member, rules: Rules) -> Effect:
    assert member.process is not None  # noqa: S101 - callers ask only for members that have one
    if rules.shutdown_deadline_s > 0:
        return Terminate(member_id=member.member_id, process=member.process)
    return Kill(member_id=member.member_id, process=member.process)


def _register(member: Member) -> tuple[Effect, ...]:
    if member.port is None:
        return ()
    return (Register(member_id=member.member_id, incarnation=member.incarnation, port=member.port),)


def _deregister(member: Member) -> tuple[Effect, ...]:
    if member.port is None:
        return ()
    return (Deregister(member_id=member.member_id, incarnation=member.incarnation, port=member.port),)


def _withdraw(member: Member) -> tuple[Effect, ...]:
    """Undo what made the member visible; safe to do twice."""
    return (*_deregister(member), StopProbe(member_id=member.member_id, incarnation=member.incarnation))


def _stop_requested(member: Member, fact: StopRequested, now: float, rules: Rules) -> Step:
    match member.state:
        case MemberState.PENDING | MemberState.BACKING_OFF | MemberState.FAILED:
            stopped = _enter(member, MemberState.STOPPED, fact.reason, now, None)
            return replace(stopped, restart_wanted=False), ()
        case MemberState.STOPPED:
            return member, ()
        case MemberState.STARTING | MemberState.SERVING | MemberState.DEGRADED:
            return _stop(replace(member, restart_wanted=False), fact.reason, now, rules, force=fact.force)
        case MemberState.STOPPING:
            stopping = replace(member, restart_wanted=False)
            if fact.force and member.process is not None:
                return stopping, (Kill(member_id=member.member_id, process=member.process),)
            return stopping, ()
        case _:
            assert_never(member.state)


def _stop(member: Member, reason: str, now: float, rules: Rules, *, force: bool = False) -> Step:
    limits = replace(rules, shutdown_deadline_s=0.0) if force else rules
    stopping = _enter(member, MemberState.STOPPING, reason, now, now + limits.shutdown_deadline_s)
    effects = _withdraw(member)
    if member.process is not None:
        effects += (_end(member, limits),)
    return stopping, effects


def _exited(member: Member, fact: ProcessExited, now: float, rules: Rules) -> Step:
    if fact.incarnation != member.incarnation or member.process is None:
        return member, ()
    reason = f"{member.reason}; {fact.reason}" if member.state is MemberState.STOPPING else fact.reason
    return _ended(member, reason, now, rules)


def _ended(member: Member, reason: str, now: float, rules: Rules) -> Step:
    """Decide what follows the end of a process: nothing, a new one at once, one after a pause, or giving up."""
    effects = _withdraw(member)
    gone = replace(member, process=None)
    if not member.restart_wanted:
        return _enter(gone, MemberState.STOPPED, reason, now, None), effects
    gone = replace(
        gone,
        failures=member.failures + 1,
        failed_starts=member.failed_starts + (1 if member.state is MemberState.STARTING else 0),
    )
    if gone.failed_starts >= max(1, rules.startup_retries):
        given_up = f"given up after {gone.failed_starts} failed starts in a row; the last: {reason}"
        return _enter(gone, MemberState.FAILED, given_up, now, None), effects
    delay_s = rules.backoff.delay_s(gone.failures)
    if delay_s == 0.0:
        again, spawn = _spawn(gone, f"restarted: {reason}", now, rules)
        return again, effects + spawn
    waiting = f"{reason}; failure {gone.failures} in a row, next try after {delay_s:g} s"
    return _enter(gone, MemberState.BACKING_OFF, waiting, now, now + delay_s), effects


def _health_reported(member: Member, fact: HealthReported, now: float, rules: Rules) -> Step:
    if fact.incarnation != member.incarnation:
        return member, ()
    match member.state:
        case MemberState.STARTING | MemberState.DEGRADED if fact.health is Health.SERVING:
            # While it serves, the reason goes on to say why its process was started.
            reason = member.reason if member.state is MemberState.STARTING else fact.detail
            return _serves(member, reason, now, rules)
        case MemberState.SERVING if fact.health is Health.UNREACHABLE:
            return _degraded(member, fact.detail, now, rules)
        case MemberState.SERVING | MemberState.DEGRADED if fact.health in {
            Health.NOT_SERVING,
            Health.TIMEOUT,
        }:
            return _stop(replace(member, restart_wanted=True), f"unhealthy: {fact.detail}", now, rules)
        case _:
            return member, ()


def _serves(member: Member, reason: str, now: float, rules: Rules) -> Step:
    # The deadline of `serving` is the end of the unstable period, when failures are forgiven.
    serving = replace(_enter(member, MemberState.SERVING, reason, now, now + rules.backoff.stable_s), failed_starts=0)
    return serving, _register(member)


def _degraded(member: Member, detail: str, now: float, rules: Rules) -> Step:
    degraded = _enter(member, MemberState.DEGRADED, detail, now, now + rules.response_timeout_s)
    return degraded, _deregister(member)


def _deadline_passed(member: Member, now: float, rules: Rules) -> Step:
    match member.state:
        case MemberState.STARTING:
            reason = f"did not serve within {rules.startup_deadline_s:g} s"
            return _stop(replace(member, failed_starts=member.failed_starts + 1), reason, now, rules)
        case MemberState.SERVING:
            return replace(member, failures=0, deadline=None), ()
        case MemberState.DEGRADED:
            return _stop(member, f"unhealthy: {member.reason}", now, rules)
        case MemberState.STOPPING:
            if member.process is None:
                return member, ()
            again = replace(member, deadline=now + max(1.0, rules.shutdown_deadline_s))
            return again, (Kill(member_id=member.member_id, process=member.process),)
        case MemberState.BACKING_OFF:
            return _spawn(member, f"restarted: {member.reason}", now, rules)
        case MemberState.PENDING | MemberState.STOPPED | MemberState.FAILED:
            return replace(member, deadline=None), ()
        case _:
            assert_never(member.state)


def resume(member: Member, *, alive: bool, now: float, rules: Rules) -> Step:
    """Return a member taken over from a supervisor that died, and what makes the world agree with it.

    `alive` says whether the recorded process, by pid and start time, still runs. Every effect may have been done
    already by the predecessor.
    """
    if member.process is None:
        awaited = member.state in {MemberState.STARTING, MemberState.STOPPING}
        if not awaited:
            return member, ()
        lost = SpawnFailed(incarnation=member.incarnation, reason="its supervisor ended while starting it")
        return _spawn_failed(member, lost, now, rules)
    if not alive:
        exited = ProcessExited(
            incarnation=member.incarnation, reason="its process ended while no supervisor watched it"
        )
        return _exited(member, exited, now, rules)
    probe = () if rules.assume_healthy else (StartProbe(member_id=member.member_id, incarnation=member.incarnation),)
    match member.state:
        case MemberState.SERVING:
            return member, (*probe, *_register(member))
        case MemberState.STOPPING:
            return member, (*_withdraw(member), _end(member, rules))
        case _:
            return member, probe
