"""An agent's supervisor as the models run it: what `actors.agent` does around the core, step by step, and mortal.

Between any two steps it may die. The order of the steps is that of the actor: processes are started, then the state
file is written, then everything else is done.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from support.small_host import Host, Leftover, Process

from quaestor_actors.adapters.state_file import StateFile
from quaestor_actors.core import adoption, cluster, group, member, registry
from quaestor_actors.core.agent import Event, Group, MemberFact, Phase, Reconfigured, StartAll
from quaestor_actors.core.location import Location, Registration
from quaestor_actors.core.member import Health, Member, MemberState, Rules
from quaestor_actors.core.registry import Registry


class DiedError(Exception):
    """The supervisor's process has ended."""


class Notes(StateFile):
    """A real state file on a disk that may be full, or be written half when the writer dies."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.full = False
        self.part = 0.0
        """How much of a write is done where it cannot be done whole."""
        self.dies = False

    def _replace(self, group: Group) -> None:
        self._fail_if_broken()
        super()._replace(group)

    def _append(self, records: list[dict[str, Any]]) -> None:
        size = self.path.stat().st_size
        super()._append(records)
        if self.full or self.dies:
            os.truncate(self.path, size + int((self.path.stat().st_size - size) * self.part))
        self._fail_if_broken()

    def _fail_if_broken(self) -> None:
        if self.dies:
            raise DiedError
        if self.full:
            raise OSError(errno.ENOSPC, "no space left on device")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an agent is to keep."""

    wanted: dict[str, str]
    rules: Rules
    fixed_ports: bool = True
    kills: bool = True
    """Its members end with the cluster."""


class World(Protocol):
    """What is around a supervisor."""

    host: Host
    now: float
    draw: float

    def strike(self, shell: AgentShell, point: str) -> None:
        """Let the supervisor die here, or something else happen."""

    def send(self, shell: AgentShell, to: str, message: object) -> None:
        """Take a message to the registry or the root."""

    def port_of(self, name: str) -> int:
        """Return the fixed port of a member, or one that is free."""

    def start(self, name: str, incarnation: int, port: int) -> Process | None:
        """Start a process; None: it cannot be started."""

    def saw(self, shell: AgentShell, effect: member.Effect) -> None:
        """Look at what the supervisor does."""


@dataclass(frozen=True, slots=True)
class Told:
    """To the registry: what it is told, and by which incarnation of the agent."""

    kind: str
    registrations: tuple[Registration, ...]

    def taken_in(self, before: Registry, owner: str) -> Registry:
        """Return the registry after that."""
        change = {"announce": registry.announce, "register": registry.register, "deregister": registry.deregister}
        return change[self.kind](before, owner, self.registrations)


class Prober:
    """Tells what a check finds when it is asked to watch, and then what changes."""

    def __init__(self) -> None:
        self.targets: dict[str, tuple[int, int]] = {}
        self.told: dict[str, Health] = {}
        self.idle: set[tuple[str, int]] = set()

    def watch(self, name: str, incarnation: int, port: int) -> None:
        if self.targets.get(name) != (incarnation, port):
            self.targets[name] = (incarnation, port)
            self.told.pop(name, None)

    def unwatch(self, name: str, incarnation: int) -> None:
        self.idle.discard((name, incarnation))
        if name in self.targets and self.targets[name][0] == incarnation:
            del self.targets[name]
            self.told.pop(name, None)

    def news(self, host: Host) -> list[MemberFact]:
        """Return what has changed since it was told last."""
        found = {name: host.health(port) for name, (_, port) in self.targets.items()}
        changed = {name: health for name, health in found.items() if self.told.get(name) is not health}
        self.told.update(changed)
        return [verdict(name, self.targets[name][0], health) for name, health in changed.items()]


def verdict(name: str, incarnation: int, health: Health) -> MemberFact:
    fact = member.HealthReported(incarnation=incarnation, health=health, detail=health.value)
    return MemberFact(member_id=name, fact=fact)


class AgentShell:
    """One incarnation of an agent's supervisor."""

    def __init__(self, world: World, name: str, plan: Plan, notes: Notes) -> None:
        self.name = name
        self.plan = plan
        self.notes = notes
        self.group = Group()
        self.prober: Prober | None = None
        self.knows_registry = False
        self.watched: dict[str, tuple[Process, int, bool]] = {}
        """By member: its process, under which incarnation, and whether this supervisor started it."""
        self.ended = False
        self.saves = 0
        self.is_behind = False
        """The file says less than what was decided, because it could not be written."""
        self.report: cluster.AgentReport | None = None
        self._world = world

    # Messages

    def begin(self, start: StartAll) -> None:
        """Adopt what a predecessor left, and start what is missing."""
        known = self.notes.load()
        alive = [name for name, each in known.members.items() if self._adopt(each)]
        world = self._world
        world.strike(self, "adopting")
        found = world.host.tagged(self.name)
        settled = adoption.settle(
            known, self.plan.wanted, alive=alive, found=found, now=world.now, rules=self.plan.rules
        )
        for stray in settled.strays:
            if (process := world.host.find(stray.process)) is not None:
                world.host.end(process)
        world.strike(self, "adopting")
        alive = [name for name, each in settled.group.members.items() if self._adopt(each)]
        self.group, effects = group.resume(settled.group, alive, world.now, self.plan.rules, world.draw)
        self._carry_out(effects, [Reconfigured(wanted=self.plan.wanted), start])

    def apply(self, *events: Event) -> None:
        if not self.ended:
            self._carry_out((), events)

    def configure(self, plan: Plan) -> None:
        self.plan = plan
        if not plan.rules.probed:
            self.prober = None
        self.apply(Reconfigured(wanted=plan.wanted))
        if self.prober is not None:
            self.prober_is_ready()

    def prober_is_ready(self) -> None:
        """Have a new prober, which knows nothing."""
        if not self.plan.rules.probed:
            return
        self.prober = Prober()
        for each in self.group.members.values():
            self._probe(each)
            if each.state is MemberState.DRAINING or each.idle_watched:
                self.prober.idle.add((each.member_id, each.incarnation))

    def meet_registry(self) -> None:
        self.knows_registry = True
        serving = [each for each in self.group.members.values() if each.state is MemberState.SERVING]
        found = [registration(each.member_id, each.port, each.incarnation) for each in serving if each.port]
        self._world.send(self, "registry", Told("announce", tuple(found)))

    def exits(self) -> list[str]:
        """Return the members whose processes have ended, which nobody has been told."""
        return [name for name, (process, *_) in self.watched.items() if self._world.host.find(process.id) is None]

    def take_in_exits(self, *, normal: bool = False) -> None:
        """Decide on all ends together."""
        self.apply(*(MemberFact(member_id=name, fact=self._reap(name, normal=normal)) for name in self.exits()))

    def _reap(self, name: str, *, normal: bool) -> member.ProcessExited:
        process, incarnation, is_child = self.watched.pop(name)
        if process.is_main or process.tag is not None:
            self._world.host.end_group(process)
        return member.ProcessExited(incarnation=incarnation, reason="exited", normal=normal and is_child)

    # From events to effects

    def _carry_out(self, effects: Iterable[member.Effect], events: Iterable[Event]) -> None:
        world = self._world
        pending, due = deque(events), list(effects)
        while pending or due:
            if pending:
                self.group, caused = group.decide(self.group, pending, world.now, self.plan.rules, world.draw)
                pending.clear()
                due.extend(caused)
            world.strike(self, "decided")
            for effect in due:
                if isinstance(effect, member.Spawn):
                    world.saw(self, effect)
                    pending.append(MemberFact(member_id=effect.member_id, fact=self._spawn(effect)))
                    world.strike(self, "spawned")
            self._save()
            for effect in due:
                if not isinstance(effect, member.Spawn):
                    world.strike(self, "saved")
                    world.saw(self, effect)
                    pending.extend(self._perform(effect))
            due = []
        self._tell_root()

    def _save(self) -> None:
        self._world.strike(self, "saving")
        try:
            self.notes.save(self.group)
        except OSError:
            self.is_behind = True
        else:
            self.is_behind = False
            self.saves += 1

    def _perform(self, effect: member.Effect) -> list[MemberFact]:
        prober = self.prober
        match effect:
            case member.Terminate() | member.Kill():
                self._signal(effect)
            case member.StartProbe():
                self._probe(self.group.members[effect.member_id])
            case member.StopProbe():
                self._stop_probe(effect)
            case member.WatchIdle():
                if not self.plan.rules.drain_s:
                    idle = member.BecameIdle(incarnation=effect.incarnation, detail="it reports no load")
                    return [MemberFact(member_id=effect.member_id, fact=idle)]
                if prober is not None:
                    prober.idle.add((effect.member_id, effect.incarnation))
            case member.Register() | member.Deregister():
                kind = "register" if isinstance(effect, member.Register) else "deregister"
                if self.knows_registry:
                    told = registration(effect.member_id, effect.port, effect.incarnation)
                    self._world.send(self, "registry", Told(kind, (told,)))
        return []

    def _probe(self, each: Member) -> None:
        if self.prober is not None and each.state in member.CHECKED and each.port is not None:
            self.prober.watch(each.member_id, each.incarnation, each.port)

    def _stop_probe(self, effect: member.StopProbe) -> None:
        each = self.group.members.get(effect.member_id)
        if each is not None and each.process is None and each.incarnation == effect.incarnation:
            self.watched.pop(effect.member_id, None)
        if self.prober is not None:
            self.prober.unwatch(effect.member_id, effect.incarnation)

    def _signal(self, effect: member.Terminate | member.Kill) -> None:
        known = self.watched.get(effect.member_id)
        if known is None or known[0].id != effect.process:
            return
        process = known[0]
        assert process.tag is not None, f"{effect} went to a process that is not ours"
        process.asked = True
        process.killed = process.killed or isinstance(effect, member.Kill)

    def _adopt(self, each: Member) -> bool:
        process = self._world.host.find(each.process)
        if process is not None:
            self.watched[each.member_id] = (process, each.incarnation, False)
        return process is not None

    def _spawn(self, effect: member.Spawn) -> member.Fact:
        world, name, incarnation = self._world, effect.member_id, effect.incarnation
        port = world.port_of(name)
        holder = world.host.holder(port)
        if holder is not None:
            return self._taken(effect, holder)
        process = world.start(name, incarnation, port)
        if process is None:
            return member.SpawnFailed(incarnation=incarnation, reason="no such file")
        self.watched[name] = (process, incarnation, True)
        return member.Spawned(incarnation=incarnation, process=process.id, port=port)

    def _taken(self, effect: member.Spawn, holder: Process) -> member.Fact:
        name, incarnation, port = effect.member_id, effect.incarnation, holder.port
        if not self.plan.rules.probed:
            return member.SpawnFailed(incarnation=incarnation, reason=f"port {port} is taken")
        if not holder.hidden:
            self.watched[name] = (holder, incarnation, False)
        if holder.tag is not None and holder.tag[0] == name:
            return member.Spawned(incarnation=incarnation, process=holder.id, port=port)
        process = None if holder.hidden else holder.id
        return member.Found(incarnation=incarnation, process=process, port=port, holder="somebody")

    def _tell_root(self) -> None:
        report = cluster.report_of(self.group)
        if report != self.report:
            self.report = report
            self._world.send(self, "root", report)
        if self.group.phase is Phase.STOPPING and group.all_stopped(self.group):
            self.end()

    def end(self) -> None:
        """End in order."""
        if group.all_stopped(self.group):
            self.notes.remove()
        self.ended = True
        self._world.send(self, "root", "stopped")


def registration(name: str, port: int, incarnation: int) -> Registration:
    location = Location(service_name=name.rpartition("/")[0], host_name="localhost", port=port)
    return Registration(location=location, incarnation=incarnation)


__all__ = ["AgentShell", "DiedError", "Leftover", "Notes", "Plan", "Prober", "Told", "World", "registration", "verdict"]
