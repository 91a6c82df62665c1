"""The members of one agent as a group: who starts when, who restarts with whom, and when the agent gives up.

    waiting -> running -> stopping
                 |  ^
                 |  +---- started by hand, or with a new configuration
                 +--> gave_up      too many restarts, or a member that the others cannot do without
                 +--> done         its members have done their work (auto shutdown)

Each member lives its own life (`core.lifecycle`); this machine decides what one member's life means for the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import assert_never

from quaestor_actors.core import lifecycle, rolling, rollout
from quaestor_actors.core.agent import (
    ClockAdvanced,
    Event,
    GateOpened,
    Group,
    MemberFact,
    Phase,
    Reconfigured,
    ReplaceAll,
    RestartMember,
    RestartRolling,
    StartAll,
    StopAll,
)
from quaestor_actors.core.member import (
    AT_REST,
    CHECKED,
    LIVE,
    Admitted,
    BecameIdle,
    DeadlinePassed,
    Effect,
    Fact,
    Member,
    MemberDone,
    MemberGaveUp,
    MemberState,
    Notice,
    ReplaceRequested,
    RestartDue,
    Rules,
    RulesChanged,
    StartRequested,
    StopRequested,
    UndrainRequested,
)
from quaestor_actors.core.restart import AutoShutdown, Strategy
from quaestor_actors.core.rollout import Rollout

Step = tuple[Group, tuple[Effect, ...]]


def member_names(agent_type: str, count: int) -> list[str]:
    """Return the ids of an agent's members: `TYPE/1` ... `TYPE/count`."""
    return [f"{agent_type}/{number}" for number in range(1, count + 1)]


def create(wanted: Mapping[str, str]) -> Group:
    """Return a group of members none of which is started."""
    members = {name: Member(member_id=name, reason="cluster start") for name in wanted}
    return Group(members=MappingProxyType(members), wanted=MappingProxyType(dict(wanted)))


def decide(group: Group, events: Iterable[Event], now: float, rules: Rules, draw: float) -> Step:
    """Return the group after events that came at the same time, and what must be done because of them, in order."""
    work = _Work(group, now, rules, draw)
    for event in events:
        work.take(event)
    work.settle()
    return work.result()


def resume(group: Group, alive: Iterable[str], now: float, rules: Rules, draw: float) -> Step:
    """Take over a group whose supervisor died; `alive` names the members whose recorded process still runs."""
    work = _Work(group, now, rules, draw)
    living = frozenset(alive)
    for name, member in group.members.items():
        work.put(lifecycle.resume(member, alive=name in living, now=now, rules=rules, draw=draw))
    work.settle()
    return work.result()


def next_deadline(group: Group) -> float | None:
    """Return when the group must look at the clock again; None if nothing waits for time."""
    return min((m.deadline for m in group.members.values() if m.deadline is not None), default=None)


def all_stopped(group: Group) -> bool:
    """Return whether no member has, or waits for, a process."""
    return all(member.state in AT_REST or member.state is MemberState.PENDING for member in group.members.values())


class _Work:
    """One decision in the making: the group as it becomes, and the effects collected on the way."""

    def __init__(self, group: Group, now: float, rules: Rules, draw: float) -> None:
        self._group = group
        self._members = dict(group.members)
        self._effects: list[Effect] = []
        self._notices: list[Notice] = []
        self._idle: set[str] = set()
        self._now = now
        self._rules = rules
        self._draw = draw

    def result(self) -> Step:
        return replace(self._group, members=MappingProxyType(self._members)), tuple(self._effects)

    def put(self, step: tuple[Member, tuple[Effect | Notice, ...]]) -> None:
        """Take in what one member's machine decided."""
        member, caused = step
        self._members[member.member_id] = member
        for what in caused:
            if isinstance(what, Notice):
                self._notices.append(what)
            else:
                self._effects.append(what)

    def _tell(self, names: Iterable[str], fact: Fact) -> None:
        for name in names:
            self.put(lifecycle.decide(self._members[name], fact, self._now, self._rules, self._draw))

    def _enter(self, phase: Phase, reason: str) -> None:
        self._group = replace(self._group, phase=phase, reason=reason)

    # Events

    def take(self, event: Event) -> None:  # noqa: C901 - a table
        match event:
            case StartAll():
                self._start_all(event)
            case GateOpened():
                self._group = replace(self._group, gate_open=True)
                if self._group.phase is Phase.WAITING:
                    self._enter(Phase.RUNNING, "")
            case StopAll():
                self._enter(Phase.STOPPING, event.reason)
                self._tell(list(self._members), StopRequested(reason=event.reason, force=event.force))
            case ReplaceAll():
                self._replace_all(event)
            case Reconfigured():
                self._reconfigured(event)
            case MemberFact():
                self._member_fact(event)
            case RestartMember():
                if self._may_start(event.member_id):
                    self._restart([event.member_id], event.reason)
            case RestartRolling():
                names = tuple(name for name in event.members if self._may_start(name))
                self._group = replace(self._group, rollout=Rollout(left=names, number=self._group.rollout.number + 1))
            case ClockAdvanced():
                due = [
                    m.member_id for m in self._members.values() if m.deadline is not None and m.deadline <= self._now
                ]
                self._tell(due, DeadlinePassed())
            case _:
                assert_never(event)

    def _start_all(self, event: StartAll) -> None:
        self._group = replace(self._group, gate_open=event.gate_open)
        if event.fresh:
            # A member that was lost with the cluster has not failed, and does not wait as if it had.
            at_rest = AT_REST | {MemberState.BACKING_OFF}
            down = [m.member_id for m in self._members.values() if m.state in at_rest or not m.wanted]
            self._tell([name for name in down if name in self._group.wanted], StartRequested(reason="cluster start"))
            self._tell(list(self._members), UndrainRequested(reason="cluster start"))
            self._group = replace(self._group, restarts=())
        if event.fresh or self._group.phase in {Phase.WAITING, Phase.RUNNING}:
            self._run()

    def _replace_all(self, event: ReplaceAll) -> None:
        if self._group.phase is Phase.STOPPING:
            return
        names = [name for name in self._members if name in self._group.wanted]
        self._group = replace(self._group, restarts=(), held=frozenset(names))
        self._run()
        self._restart(names, event.reason)

    def _restart(self, names: Iterable[str], reason: str) -> None:
        """Have members start afresh, whether they have a process now or not."""
        for name in names:
            live = self._members[name].state in LIVE
            if live and not self._members[name].wanted:
                self._tell([name], StartRequested(reason=reason))
            self._tell([name], ReplaceRequested(reason=reason) if live else StartRequested(reason=reason))

    def _reconfigured(self, event: Reconfigured) -> None:
        wanted = dict(event.wanted)
        new = {name: self._newcomer(name, event.added) for name in wanted if name not in self._members}
        gone = [name for name in self._members if name not in wanted]
        kept = {name: self._members[name] for name in gone}
        self._members = {name: new.get(name) or self._members[name] for name in wanted} | kept
        self._group = replace(self._group, wanted=MappingProxyType(wanted))
        back = [name for name in wanted if not self._members[name].configured]
        for name in (*back, *gone):
            self._members[name] = replace(self._members[name], configured=name in wanted)
        self._tell(list(wanted), RulesChanged())
        self._tell(gone, StopRequested(reason=event.gone))
        if self._group.phase is Phase.STOPPING:
            return
        if self._group.phase is Phase.DONE:
            self._tell(new, StopRequested(reason=f"auto shutdown: {self._group.reason}"))
            return
        self._tell(back, StartRequested(reason=event.added))
        self._retry_changed(revive=bool(new or back))

    def _newcomer(self, name: str, added: str) -> Member:
        reason = added if self._members else "cluster start"
        last = self._group.retired.get(name, 0)
        return Member(member_id=name, reason=reason, incarnation=last, retired=last)

    def _retry_changed(self, *, revive: bool) -> None:
        """Give members that failed another chance when what they are started from has changed."""
        wanted = self._group.wanted
        changed = [n for n, m in self._members.items() if n in wanted and m.process is None and m.fingerprint]
        changed = [name for name in changed if self._members[name].fingerprint != wanted[name]]
        if changed or revive:
            self._revive()
        failed = {MemberState.FAILED, MemberState.BACKING_OFF}
        retry = [name for name in changed if self._members[name].state in failed]
        self._tell(retry, StartRequested(reason="its configuration changed"))

    def _member_fact(self, event: MemberFact) -> None:
        if event.member_id not in self._members:
            return
        if isinstance(event.fact, StartRequested) and not self._may_start(event.member_id):
            return
        if isinstance(event.fact, BecameIdle) and event.fact.incarnation == self._members[event.member_id].incarnation:
            self._idle.add(event.member_id)
        if isinstance(event.fact, StopRequested):
            self._group = replace(self._group, rollout=rollout.without(self._group.rollout, event.member_id))
        self._tell([event.member_id], event.fact)

    def _may_start(self, name: str) -> bool:
        """Return whether a member may be started by hand; if so the agent runs again in case it did not."""
        if self._group.phase is Phase.STOPPING or name not in self._group.wanted:
            return False
        self._revive()
        return True

    def _revive(self) -> None:
        if self._group.phase in {Phase.GAVE_UP, Phase.DONE}:
            self._run()
            self._group = replace(self._group, restarts=())

    def _run(self) -> None:
        self._enter(Phase.RUNNING if self._group.gate_open else Phase.WAITING, "")

    # What members' lives mean for the group

    def settle(self) -> None:
        """Draw all consequences: strategy, intensity, auto shutdown, recycling, and whose turn it is to start."""
        while self._notices:
            notices, self._notices = self._notices, []
            # Ends of one moment are told in any order; the first of the specification takes those after it along.
            order = list(self._members)
            for notice in sorted(notices, key=lambda each: order.index(each.member_id)):
                self._heed(notice)
        self._release()
        self._roll_out()
        if self._group.phase is Phase.RUNNING:
            self._roll()
            self._admit()
        gone = [n for n, m in self._members.items() if n not in self._group.wanted and m.state in AT_REST]
        retired = {name: self._members.pop(name).incarnation for name in gone}
        if retired:
            self._group = replace(self._group, retired=MappingProxyType({**self._group.retired, **retired}))

    def _heed(self, notice: Notice) -> None:
        if self._group.phase not in {Phase.RUNNING, Phase.WAITING}:
            return
        match notice:
            case RestartDue():
                self._restarted(notice)
            case MemberGaveUp():
                if self._rules.essential or self._rules.strategy is not Strategy.ONE_FOR_ONE:
                    self._give_up(f"{notice.member_id} is {notice.reason}")
            case MemberDone():
                self._done(notice)
            case _:
                assert_never(notice)

    def _restarted(self, notice: RestartDue) -> None:
        if notice.member_id in self._group.held:
            # It ended while it was to restart with others: that is one restart, and it is under way.
            return
        intensity = self._rules.intensity
        if intensity is not None:
            recent = (*intensity.recent(self._group.restarts, self._now), self._now)
            self._group = replace(self._group, restarts=recent)
            if len(recent) > intensity.limit:
                within = f"{len(recent)} restarts within {intensity.period_s:g} s (limit {intensity.limit})"
                self._give_up(f"{within}; the last: {notice.member_id}: {notice.reason}")
                return
        companions = self._companions(notice.member_id)
        if not companions:
            return
        self._group = replace(self._group, held=self._group.held | {notice.member_id} | frozenset(companions))
        reason = f"restarted with {notice.member_id} ({self._rules.strategy.value})"
        self._tell(reversed(companions), ReplaceRequested(reason=reason))

    def _companions(self, name: str) -> list[str]:
        """Return the members that restart together with one, by the strategy."""
        if self._rules.strategy is Strategy.ONE_FOR_ONE:
            return []
        order = list(self._members)
        others = order if self._rules.strategy is Strategy.ONE_FOR_ALL else order[order.index(name) + 1 :]
        return [other for other in others if other != name and self._members[other].wanted]

    def _give_up(self, reason: str) -> None:
        self._enter(Phase.GAVE_UP, reason)
        self._group = replace(self._group, held=frozenset())
        # A member that failed by itself, or that somebody stopped, keeps its own reason.
        others = [m.member_id for m in self._members.values() if m.state not in AT_REST and m.wanted]
        self._tell(others, StopRequested(reason=f"agent given up: {reason}", afterwards=MemberState.FAILED))

    def _done(self, notice: MemberDone) -> None:
        match self._rules.auto_shutdown:
            case AutoShutdown.NEVER:
                return
            case AutoShutdown.ALL_SIGNIFICANT if any(m.state not in AT_REST for m in self._members.values()):
                return
            case _:
                self._enter(Phase.DONE, f"{notice.member_id} {notice.reason}")
                self._tell(list(self._members), StopRequested(reason=f"auto shutdown: {self._group.reason}"))

    def _release(self) -> None:
        """Let members that restart together start, once none of them is still to end or backing off.

        One that is up and not asked to end was found so by a supervisor whose predecessor's notes were behind.
        """
        busy = {MemberState.DRAINING, MemberState.STOPPING, MemberState.BACKING_OFF}
        held = [self._members[name] for name in self._group.held if name in self._members]
        if held and not any(member.state in busy for member in held):
            self._group = replace(self._group, held=frozenset())

    def _roll_out(self) -> None:
        """Note how far a restart of members one after the other is."""
        group = self._group
        progress = rollout.advanced(group.rollout, self._members)
        if progress.is_active and group.phase not in {Phase.RUNNING, Phase.WAITING}:
            progress = rollout.aborted(progress, group.reason or "the agent stops")
        if progress != group.rollout:
            self._group = replace(group, rollout=progress)

    def _roll(self) -> None:
        if self._group.held:
            return
        left = self._group.rollout.left
        # Whoever has no process to be replaced takes nothing away by starting now.
        down = [name for name in left if self._members[name].state not in CHECKED]
        under_way = rollout.begun(self._group.rollout, self._members, down)
        self._tell(down, StartRequested(reason=rolling.BY_HAND))
        limit = self._rules.max_unavailable
        replaced, watched = rolling.choose(self._members, self._group.wanted, limit, self._idle, under_way.left)
        under_way = rollout.begun(under_way, self._members, [name for name in under_way.left if name in replaced])
        failed = [n for n, m in self._members.items() if m.state is MemberState.FAILED and n in self._group.wanted]
        self._group = replace(self._group, rollout=rollout.unless_stuck(under_way, failed, limit))
        for name, reason in replaced.items():
            self._tell([name], ReplaceRequested(reason=reason))
        for name in watched:
            self._members[name] = replace(self._members[name], idle_watched=True)
            self._effects.append(rolling.watch_idle(self._members[name]))

    def _admit(self) -> None:
        limit = self._rules.start_concurrency if self._rules.probed else None
        starting = sum(member.state is MemberState.STARTING for member in self._members.values())
        for name, member in list(self._members.items()):
            if limit is not None and starting >= limit:
                return
            if member.state is not MemberState.PENDING or not member.wanted or name in self._group.held:
                continue
            if name in self._group.wanted:
                self._tell([name], Admitted(fingerprint=self._group.wanted[name]))
                starting += 1
