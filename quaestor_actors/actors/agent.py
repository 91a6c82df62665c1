"""The agent supervisor: keeps the processes of one agent running, as the core decides.

It starts them, notices their end through pidfds, has their health watched by its prober, and tells the registry what
serves. What it must not forget is in its state file, so a successor adopts the processes instead of doubling them.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never

from thespian.actors import ActorAddress

from quaestor_actors.actors import view
from quaestor_actors.actors.base import Identity, Ready, Stop, Stopped, TreeActor
from quaestor_actors.actors.children import WAKE_KEY, ChildPlan, Children
from quaestor_actors.actors.prober import (
    HealthChanged,
    HealthNews,
    ProberActor,
    StartProber,
    UnwatchMember,
    WatchMember,
)
from quaestor_actors.actors.registry import Announce, Deregister, Register
from quaestor_actors.actors.view import ActorView, MemberView
from quaestor_actors.adapters import ports, processes, state_file
from quaestor_actors.adapters.processes import WatchedProcess
from quaestor_actors.core import group, lifecycle, tree
from quaestor_actors.core.group import Group, MemberFact
from quaestor_actors.core.lifecycle import Member, MemberState
from quaestor_actors.core.location import Location, Registration, join_address
from quaestor_actors.core.spec import AgentSpec, ShutdownAction
from quaestor_actors.errors import SpawnError

DEADLINES = "deadlines"
PROBED_STATES = frozenset({MemberState.STARTING, MemberState.SERVING, MemberState.DEGRADED})


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAgent:
    """From the root: adopt what a predecessor left, start what is missing, and keep it so."""

    identity: Identity
    spec: AgentSpec
    rules: lifecycle.Rules
    heartbeat_interval_s: float
    environment: tuple[tuple[str, str], ...] = field(repr=False)
    """What members inherit: the environment of whoever launched the cluster."""
    state_path: Path
    log_directory: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryAt:
    """From the root: the registry is there; tell it all you have, then every change."""

    registry: ActorAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentChanged:
    """To the root: what changed of this agent's members and actors."""

    agent: str
    members: tuple[MemberView, ...]
    actors: tuple[ActorView, ...]


class AgentSupervisor(TreeActor):
    """Shell around `core.group`."""

    _start: StartAgent
    _children: Children

    def __init__(self) -> None:
        """Begin with nothing; StartAgent brings everything."""
        super().__init__()
        self._group: Group = group.create("", 0)
        self._saved: Group | None = None
        self._processes: dict[str, WatchedProcess] = {}
        self._exits: list[MemberFact] = []
        self._shown: dict[str, Member] = {}
        self._registry: ActorAddress | None = None
        self._prober: ActorAddress | None = None

    def receive(self, message: Any, sender: ActorAddress) -> None:
        """Handle commands of the root and verdicts of the prober."""
        match message:
            case StartAgent():
                self._begin(message, sender)
            case RegistryAt():
                self._announce(message.registry)
            case HealthNews():
                self._apply(*(_health_fact(change) for change in message.changes))
            case Stop():
                self._stop(message)
            case _ if not self._children.handle(message, sender):
                self.log.warning("unexpected message %s", type(message).__name__)

    def on_wake(self, key: str) -> None:
        """Look at the clock for members or for the prober."""
        if key == WAKE_KEY:
            self._children.wake()
        else:
            self._apply(group.ClockAdvanced())

    @property
    def _owner(self) -> str:
        return self._start.spec.agent_type

    def _begin(self, message: StartAgent, sender: ActorAddress) -> None:
        self.begin(message.identity, sender)
        self._start = message
        prober = ChildPlan(
            spec=tree.ChildSpec(name=f"{self.identity.name}/prober", stop_rank=0, stop_deadline_s=5.0),
            actor_class=ProberActor,
            first_message=self._first_message_of_prober,
        )
        self._children = Children(
            self,
            [] if message.spec.assume_healthy else [prober],
            on_ready=self._prober_ready,
            on_change=self._tell_root_of_actors,
            on_stopped=self._all_stopped,
        )
        self._children.start()
        self._adopt()
        self._apply(group.StartAll())
        self.send(sender, Ready(identity=self.identity, pid=os.getpid()))

    def _first_message_of_prober(self, incarnation: int) -> StartProber:
        name = f"{self.identity.name}/prober"
        return StartProber(
            identity=Identity(cluster=self.identity.cluster, name=name, incarnation=incarnation),
            interval_s=self._start.heartbeat_interval_s,
            timeout_s=self._start.rules.response_timeout_s,
        )

    # What a predecessor left

    def _adopt(self) -> None:
        fresh = group.create(self._owner, self._start.spec.process_count)
        known = state_file.load(self._start.state_path)
        surplus = [name for name in known if name not in fresh.members]
        merged = {**fresh.members, **known}
        self._group = Group(members={name: self._settle_doubt(member) for name, member in merged.items()})
        for member in self._group.members.values():
            if member.process and (watched := processes.watch(member.process)):
                self._watch(member.member_id, member.incarnation, watched)
                self.log.info("adopted %s, pid %d", member.member_id, member.process.pid)
        self._group, effects = group.resume(
            self._group, dict.fromkeys(self._processes, True), time.monotonic(), self._start.rules
        )
        unwanted = lifecycle.StopRequested(reason="no longer configured")
        self._carry_out(effects, [MemberFact(member_id=name, fact=unwanted) for name in surplus])

    def _settle_doubt(self, member: Member) -> Member:
        """Find the process of a member whose supervisor died between starting it and writing it down."""
        if member.state is not MemberState.STARTING or member.process is not None:
            return member
        found = processes.find_tagged(self._tag(member.member_id, member.incarnation))
        if found is None:
            return member
        fact = lifecycle.Spawned(incarnation=member.incarnation, process=found, port=member.port)
        return lifecycle.decide(member, fact, time.monotonic(), self._start.rules)[0]

    def _tag(self, member_id: str, incarnation: int) -> str:
        return f"{self._start.state_path} {member_id} {incarnation}"

    # From events to effects

    def _apply(self, *events: group.Event) -> None:
        self._carry_out((), events)

    def _carry_out(self, effects: Iterable[lifecycle.Effect], events: Iterable[group.Event]) -> None:
        """Perform effects and decide events until neither is left; what was decided is written down first."""
        pending = deque(events)
        due = list(effects)
        while pending or due:
            while pending:
                self._group, caused = group.decide(self._group, pending.popleft(), time.monotonic(), self._start.rules)
                due.extend(caused)
            self._save()
            for effect in due:
                if (fact := self._perform(effect)) is not None:
                    pending.append(fact)
            due = []
        self._tell_root_of_members()
        self.wake_at(DEADLINES, group.next_deadline(self._group))
        if self._group.stopping and group.all_stopped(self._group):
            self._children.stop(force=False)

    def _perform(self, effect: lifecycle.Effect) -> MemberFact | None:
        match effect:
            case lifecycle.Spawn():
                return MemberFact(member_id=effect.member_id, fact=self._spawn(effect))
            case lifecycle.Terminate():
                self._signal(effect.member_id, signal.SIGTERM)
            case lifecycle.Kill():
                self._signal(effect.member_id, signal.SIGKILL)
            case lifecycle.StartProbe():
                self._probe(self._group.members[effect.member_id])
            case lifecycle.StopProbe():
                if self._prober is not None:
                    self.send(
                        self._prober,
                        UnwatchMember(member_id=effect.member_id, incarnation=effect.incarnation),
                    )
            case lifecycle.Register():
                self._tell_registry(Register, effect)
            case lifecycle.Deregister():
                self._tell_registry(Deregister, effect)
            case _:
                assert_never(effect)
        return None

    # Processes

    def _spawn(self, effect: lifecycle.Spawn) -> lifecycle.Fact:
        spec = self._start.spec
        number = int(effect.member_id.rpartition("/")[2])
        port = spec.ports[number - 1] if spec.ports else ports.free_port(spec.host_name)
        if ports.is_taken(spec.host_name, port):
            reason = f"port {port} is taken by {ports.holder_of(port)}"
            return lifecycle.SpawnFailed(incarnation=effect.incarnation, reason=reason)
        try:
            watched = processes.spawn(
                spec,
                member=self._tag(effect.member_id, effect.incarnation),
                port=port,
                environment=dict(self._start.environment),
                log_path=self._start.log_directory / f"{effect.member_id.replace('/', '-')}.log",
            )
        except SpawnError as error:
            return lifecycle.SpawnFailed(incarnation=effect.incarnation, reason=str(error))
        self._watch(effect.member_id, effect.incarnation, watched)
        return lifecycle.Spawned(incarnation=effect.incarnation, process=watched.process, port=port)

    def _watch(self, member_id: str, incarnation: int, watched: WatchedProcess) -> None:
        self._processes[member_id] = watched
        self.watch(watched.pidfd, lambda: self._exited(member_id, incarnation))

    def _exited(self, member_id: str, incarnation: int) -> None:
        watched = self._processes.pop(member_id)
        self.unwatch(watched.pidfd)
        fact = lifecycle.ProcessExited(incarnation=incarnation, reason=processes.reap(watched))
        self._exits.append(MemberFact(member_id=member_id, fact=fact))

    def after_watch(self) -> None:
        """Decide on all members that ended at the same time together: their state is written down once."""
        exits, self._exits = self._exits, []
        if exits:
            self._apply(*exits)

    def _signal(self, member_id: str, number: signal.Signals) -> None:
        if watched := self._processes.get(member_id):
            processes.signal_group(watched, number)

    # Health and registration

    def _prober_ready(self, _name: str, address: ActorAddress) -> None:
        self._prober = address
        for member in self._group.members.values():
            self._probe(member)

    def _probe(self, member: Member) -> None:
        if self._prober is None or member.state not in PROBED_STATES or member.process is None:
            return
        if member.port is None:
            return
        self.send(
            self._prober,
            WatchMember(
                member_id=member.member_id,
                incarnation=member.incarnation,
                address=join_address(self._start.spec.host_name, member.port),
                service_names=self._start.spec.service_names,
                use_tls=self._start.spec.use_tls,
            ),
        )

    def _tell_registry(
        self, message: type[Register | Deregister], effect: lifecycle.Register | lifecycle.Deregister
    ) -> None:
        registrations = self._registrations(effect.port, effect.incarnation)
        if self._registry is not None and registrations:
            self.send(self._registry, message(owner=self._owner, registrations=registrations))

    def _registrations(self, port: int, incarnation: int) -> tuple[Registration, ...]:
        spec = self._start.spec
        if spec.exclude_from_registry:
            return ()
        return tuple(
            Registration(
                location=Location(service_name=name, host_name=spec.host_name, port=port, use_tls=spec.use_tls),
                incarnation=incarnation,
            )
            for name in spec.service_names
        )

    def _announce(self, registry: ActorAddress) -> None:
        self._registry = registry
        serving = [m for m in self._group.members.values() if m.state is MemberState.SERVING]
        registrations = [r for m in serving if m.port for r in self._registrations(m.port, m.incarnation)]
        self.send(registry, Announce(owner=self._owner, registrations=tuple(registrations)))

    # What others must know or keep

    def _save(self) -> None:
        if self._group is not self._saved:
            state_file.save(self._start.state_path, self._group.members.values())
            self._saved = self._group

    def _tell_root_of_members(self) -> None:
        changed = [m for name, m in self._group.members.items() if self._shown.get(name) is not m]
        if not changed:
            return
        self._shown = dict(self._group.members)
        views = tuple(view.of_member(member, self._start.spec.host_name) for member in changed)
        self.send(self.parent, AgentChanged(agent=self.identity.name, members=views, actors=self._actor_views()))

    def _tell_root_of_actors(self) -> None:
        self.send(self.parent, AgentChanged(agent=self.identity.name, members=(), actors=self._actor_views()))

    def _actor_views(self) -> tuple[ActorView, ...]:
        return tuple(view.of_child(child, self.identity.name) for child in self._children.tree.children.values())

    # The end

    def _stop(self, message: Stop) -> None:
        if self._start.spec.shutdown_action is ShutdownAction.KILL:
            self._apply(group.StopAll(reason="cluster stop", force=message.force))
        else:
            self._children.stop(force=False)

    def _all_stopped(self) -> None:
        if group.all_stopped(self._group):
            state_file.remove(self._start.state_path)
        self.send(self.parent, Stopped(identity=self.identity))
        self.end()


def _health_fact(change: HealthChanged) -> MemberFact:
    fact = lifecycle.HealthReported(incarnation=change.incarnation, health=change.health, detail=change.detail)
    return MemberFact(member_id=change.member_id, fact=fact)
