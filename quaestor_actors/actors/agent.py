"""The agent supervisor: keeps the processes of one agent running, as the core decides.

It starts them, notices their end through pidfds, has their health watched by its prober, and tells the registry what
serves. What it must not forget is in its state file, so a successor adopts the processes instead of doubling them.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, assert_never

from thespian.actors import ActorAddress

from quaestor_actors.actors import view
from quaestor_actors.actors.agent_messages import (
    AgentChanged,
    AgentPlan,
    CommandMembers,
    ConfigureAgent,
    OpenAgent,
    RegistryAt,
    RestartAgent,
    StartAgent,
    commanded,
)
from quaestor_actors.actors.agent_notes import AgentNotes
from quaestor_actors.actors.base import Identity, Ready, SetLogLevel, Stop, Stopped, TreeActor
from quaestor_actors.actors.children import WAKE_KEY, ChildPlan, Children
from quaestor_actors.actors.member_processes import MemberProcesses
from quaestor_actors.actors.prober import (
    HealthNews,
    ProberActor,
    StartProber,
    UnwatchMember,
    WatchIdleness,
    WatchMember,
    configuration_of,
)
from quaestor_actors.actors.registry_messages import Announce, Deregister, Register
from quaestor_actors.core import actor, adoption, cluster, group, member
from quaestor_actors.core.agent import (
    ClockAdvanced,
    Event,
    GateOpened,
    Group,
    MemberFact,
    Phase,
    ReplaceAll,
    StartAll,
    StopAll,
)
from quaestor_actors.core.floating import reconfigured
from quaestor_actors.core.member import Member, MemberState
from quaestor_actors.core.probe import ProbeKind
from quaestor_actors.core.rules import registered_as, registrations_of
from quaestor_actors.core.spec import AgentSpec, ShutdownAction

DEADLINES = "deadlines"
ROUND = "round"
LONGEST_ROUND_S = 10.0
"""Memory and output files are looked at this often, or at the heartbeat if that is more often."""

PROBED_STATES = frozenset({MemberState.STARTING, MemberState.SERVING, MemberState.DEGRADED})


class AgentSupervisor(TreeActor):
    """Shell around `core.group`."""

    _plan: AgentPlan
    _children: Children
    _processes: MemberProcesses
    _notes: AgentNotes

    def __init__(self) -> None:
        """Begin with nothing; StartAgent brings everything."""
        super().__init__()
        self._group = Group()
        self._exits: list[MemberFact] = []
        self._shown: dict[str, Member] | None = {}
        self._registry: ActorAddress | None = None
        self._introduction = 0
        self._prober: ActorAddress | None = None
        self._heeded = 0
        """Number of the grant that the group knows."""
        self._told: tuple[cluster.AgentReport, Mapping[str, actor.Child], int] | None = None

    def receive(self, message: Any, sender: ActorAddress) -> None:
        """Handle commands of the root and verdicts of the prober."""
        match message:
            case StartAgent():
                self._begin(message, sender)
            case OpenAgent():
                self._apply(GateOpened())
            case ConfigureAgent():
                self._configure(message.plan)
            case RestartAgent():
                self._apply(ReplaceAll(reason=message.reason))
            case CommandMembers():
                self._apply(*(commanded(message.command, name) for name in message.members))
            case RegistryAt():
                self._introduction = message.introduction
                self._announce(message.registry)
            case HealthNews():
                self._take_news(message)
            case Stop():
                self._stop(message)
            case _ if not self._children.handle(message, sender):
                self.log.warning("unexpected message %s", type(message).__name__)

    def on_wake(self, key: str) -> None:
        """Look at the clock for members or for the prober, or at what nobody tells."""
        match key:
            case _ if key == WAKE_KEY:
                self._children.wake()
            case _ if key == ROUND:
                self._look_around()
            case _:
                self._apply(ClockAdvanced())

    def on_log_level(self, message: SetLogLevel) -> None:
        """Pass it on."""
        self._children.broadcast(message)

    @property
    def _spec(self) -> AgentSpec:
        return self._plan.spec

    @property
    def _owner(self) -> str:
        return self._spec.agent_type

    def _begin(self, message: StartAgent, sender: ActorAddress) -> None:
        self.begin(message.identity, sender)
        self._plan = message.plan
        self._notes = AgentNotes(
            self, agent=self._owner, state_path=message.state_path, log_directory=message.log_directory
        )
        self._processes = MemberProcesses(
            self,
            spec=message.plan.spec,
            environment=dict(message.environment),
            log_directory=message.log_directory,
            tag=str(message.state_path),
            on_exit=self._exited,
        )
        self._children = Children(
            self,
            [self._prober_plan()] if message.plan.rules.probed else [],
            on_ready=self._prober_ready,
            on_change=self._tell_root,
            on_stopped=self._all_stopped,
        )
        self._children.start()
        self._adopt(StartAll(gate_open=message.gate_open, fresh=message.fresh))
        self._look_around()
        self.send(sender, Ready(identity=self.identity, pid=os.getpid()))

    # The prober

    def _prober_plan(self) -> ChildPlan:
        name = f"{self.identity.name}/prober"

        def first_message(incarnation: int) -> StartProber:
            identity = Identity(
                cluster=self.identity.cluster, name=name, incarnation=incarnation, log_level=self.identity.log_level
            )
            return StartProber(identity=identity, configuration=configuration_of(self._plan))

        spec = actor.ChildSpec(name=name, stop_rank=0, stop_deadline_s=5.0)
        return ChildPlan(spec=spec, actor_class=ProberActor, first_message=first_message)

    def _prober_ready(self, _name: str, address: ActorAddress) -> None:
        self._prober = address
        for each in self._group.members.values():
            self._probe(each)
            if each.state is MemberState.DRAINING or each.idle_watched:
                self._watch_idleness(each)

    def _take_news(self, news: HealthNews) -> None:
        # The last words of a prober that is dead may come late; there is no other child.
        if any(child.incarnation == news.prober for child in self._children.tree.children.values()):
            self._apply(*_news(news))

    def _probe(self, each: Member) -> None:
        if self._prober is None or each.state not in PROBED_STATES or each.port is None:
            return
        self.send(self._prober, WatchMember(member_id=each.member_id, incarnation=each.incarnation, port=each.port))

    def _watch_idleness(self, each: Member) -> MemberFact | None:
        if self._spec.probe.kind is not ProbeKind.GRPC or not self._spec.service_names or each.port is None:
            idle = member.BecameIdle(incarnation=each.incarnation, detail="it reports no load")
            return MemberFact(member_id=each.member_id, fact=idle)
        if self._prober is not None:
            wish = WatchIdleness(member_id=each.member_id, incarnation=each.incarnation, port=each.port)
            self.send(self._prober, wish)
        return None

    # What a predecessor left, and what is configured now

    def _adopt(self, start: StartAll) -> None:
        known = self._notes.load()
        configured = reconfigured(self._spec)
        settled = adoption.settle(
            known,
            configured.wanted,
            alive=[name for name, each in known.members.items() if self._processes.adopt(each)],
            found=self._processes.find_all(),
            now=self.outside.clock(),
            rules=self._plan.rules,
        )
        for stray in settled.strays:
            self._processes.end_stray(stray)
        alive = [name for name, each in settled.group.members.items() if self._processes.adopt(each)]
        self.log.info("adopted %d members", len(alive))
        self._shown = None
        self._heeded = self._plan.grant
        now, draw = self.outside.clock(), self.outside.draw()
        self._group, effects = group.resume(settled.group, alive, now, self._plan.rules, draw)
        self._carry_out(effects, [configured, start])

    def _configure(self, plan: AgentPlan) -> None:
        before, self._plan = self._plan, plan
        self._processes.spec = plan.spec
        self._children.reconfigure([self._prober_plan()] if plan.rules.probed else [])
        if not plan.rules.probed:
            self._prober = None
        self._heeded = plan.grant
        self._apply(reconfigured(plan.spec))
        if self._prober is not None and plan.rules.probed:
            self.send(self._prober, configuration_of(self._plan))
            for each in self._group.members.values():
                self._probe(each)
        if registered_as(before.spec) != registered_as(plan.spec):
            self._announce(self._registry)
        self._look_around()

    # From events to effects

    def _apply(self, *events: Event) -> None:
        self._carry_out((), events)

    def _carry_out(self, effects: Iterable[member.Effect], events: Iterable[Event]) -> None:
        """Perform effects and decide events until neither is left.

        Processes are started first of all, because somebody waits for them: one that is not written down is found by
        the mark in its environment. Everything else is done only after what was decided has been written down.
        """
        pending: deque[Event] = deque(events)
        due = list(effects)
        while pending or due:
            if pending:
                now, draw = self.outside.clock(), self.outside.draw()
                self._group, caused = group.decide(self._group, pending, now, self._plan.rules, draw)
                pending.clear()
                due.extend(caused)
            starts = [effect for effect in due if isinstance(effect, member.Spawn)]
            pending.extend(self._started(effect) for effect in starts)
            self._notes.save(self._group)
            others = [effect for effect in due if not isinstance(effect, member.Spawn)]
            pending.extend(fact for effect in others if (fact := self._perform(effect)) is not None)
            due = []
        self._tell_root()
        self.wake_at(DEADLINES, group.next_deadline(self._group))
        if self._children.tree.stopping:
            return
        if self._group.phase is Phase.STOPPING and group.all_stopped(self._group):
            self._children.stop(force=False)

    def _started(self, effect: member.Spawn) -> MemberFact:
        return MemberFact(member_id=effect.member_id, fact=self._processes.spawn(effect))

    def _perform(self, effect: member.Effect) -> MemberFact | None:
        match effect:
            case member.Spawn():
                return self._started(effect)
            case member.Terminate():
                number = signal.Signals[self._spec.stop.signal]
                self._processes.signal(effect.member_id, effect.process, number)
            case member.Kill():
                self._processes.signal(effect.member_id, effect.process, signal.SIGKILL)
            case member.StartProbe():
                self._probe(self._group.members[effect.member_id])
            case member.StopProbe():
                self._unwatch(effect)
            case member.WatchIdle():
                return self._watch_idleness(self._group.members[effect.member_id])
            case member.Register():
                self._tell_registry(Register, effect)
            case member.Deregister():
                self._tell_registry(Deregister, effect)
            case _:
                assert_never(effect)
        return None

    def _unwatch(self, effect: member.StopProbe) -> None:
        each = self._group.members.get(effect.member_id)
        if each is not None and each.process is None and each.incarnation == effect.incarnation:
            # Somebody else's process may go on; it is not watched any more.
            self._processes.let_go(effect.member_id)
        if self._prober is not None:
            wish = UnwatchMember(member_id=effect.member_id, incarnation=effect.incarnation)
            self.send(self._prober, wish)

    def _exited(self, member_id: str, fact: member.ProcessExited) -> None:
        self._exits.append(MemberFact(member_id=member_id, fact=fact))

    def after_watch(self) -> None:
        """Decide on all members that ended at the same time together: their state is written down once."""
        exits, self._exits = self._exits, []
        if exits:
            self._apply(*exits)

    def _look_around(self) -> None:
        self._processes.rotate_output()
        if self._plan.rules.recycling_bytes:
            measured = self._processes.measure(self._group.members)
            self._apply(*(MemberFact(member_id=name, fact=fact) for name, fact in measured))
        if self._plan.rules.recycling_bytes or self._spec.output.max_bytes:
            period_s = min(LONGEST_ROUND_S, self._plan.heartbeat_interval_s)
            self.wake_at(ROUND, self.outside.clock() + period_s)

    # Registration

    def _tell_registry(self, message: type[Register | Deregister], effect: member.Register | member.Deregister) -> None:
        registrations = registrations_of(self._spec, effect.port, effect.incarnation)
        if self._registry is not None and registrations:
            news = message(owner=self._owner, introduction=self._introduction, registrations=registrations)
            self.send(self._registry, news)

    def _announce(self, registry: ActorAddress | None) -> None:
        if registry is None:
            return
        self._registry = registry
        serving = [each for each in self._group.members.values() if each.state is MemberState.SERVING]
        found = (registrations_of(self._spec, each.port, each.incarnation) for each in serving if each.port)
        registrations = tuple(registration for of_one in found for registration in of_one)
        self.send(registry, Announce(owner=self._owner, introduction=self._introduction, registrations=registrations))

    # What others must know

    def _tell_root(self) -> None:
        members, children = self._group.members, self._children.tree.children
        is_whole, shown = self._shown is None, self._shown or {}
        changed = [each for name, each in members.items() if shown.get(name) is not each]
        gone = tuple(name for name in shown if name not in members)
        told = (cluster.report_of(self._group), children, self._heeded)
        if not (is_whole or changed or gone) and told == self._told:
            return
        self._shown, self._told = dict(members), told
        host, parent, epoch = self._spec.host_name, self.identity.name, self.epoch_of
        zero = epoch(0.0)
        news = AgentChanged(
            agent=self.identity.name,
            incarnation=self.identity.incarnation,
            report=told[0],
            members=tuple(view.of_member(each, host=host, epoch_of_zero=zero) for each in changed),
            gone=gone,
            whole=is_whole,
            grant=self._heeded,
            restarts=tuple(zero + at for at in self._group.restarts),
            actors=tuple(view.of_child(each, parent=parent, since=epoch(each.since)) for each in children.values()),
        )
        self.send(self.parent, news)

    # The end

    def _stop(self, message: Stop) -> None:
        if message.leaving or self._spec.shutdown_action is ShutdownAction.KILL:
            reason = "no longer configured" if message.leaving else "cluster stop"
            self._apply(StopAll(reason=reason, force=message.force))
        else:
            self._children.stop(force=False)

    def _all_stopped(self) -> None:
        if group.all_stopped(self._group):
            self._notes.remove()
        self.send(self.parent, Stopped(identity=self.identity))
        self.end()


def _news(news: HealthNews) -> list[MemberFact]:
    health = [
        MemberFact(
            member_id=change.member_id,
            fact=member.HealthReported(incarnation=change.incarnation, health=change.health, detail=change.detail),
        )
        for change in news.changes
    ]
    idle = [
        MemberFact(member_id=each.member_id, fact=member.BecameIdle(incarnation=each.incarnation, detail=each.detail))
        for each in news.idle
    ]
    return [*health, *idle]
