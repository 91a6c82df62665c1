"""A whole cluster on a small host: a root, a registry, agents' supervisors, and messages on their way between them.

Messages of one sender arrive in order; between senders there is no order, and what a dead actor has sent may arrive
late. Members are told healthy when they are, so that what is tried here is the tree.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path

from support.agent_shell import AgentShell, DiedError, Notes, Told
from support.agent_world import MEMORY_DISK
from support.root_shell import (
    REGISTRY,
    Configure,
    Forget,
    GaveUpError,
    Open,
    RegistryAt,
    Restart,
    RootShell,
    Start,
    Stop,
)
from support.small_host import Fate, Host, Process

from quaestor_actors.core import cluster, member, registry
from quaestor_actors.core.actor import ActorState, ChildCrashed, ChildEnded, ChildStopped, ClockAdvanced, StopTree
from quaestor_actors.core.agent import ClockAdvanced as MembersClockAdvanced
from quaestor_actors.core.agent import GateOpened, MemberFact, ReplaceAll, StartAll, StopAll
from quaestor_actors.core.cluster import AgentReport
from quaestor_actors.core.member import Health
from quaestor_actors.core.registry import Registry
from quaestor_actors.core.spec import ClusterSpec, Condition


@dataclass(slots=True, kw_only=True, eq=False)
class ActorProcess:
    """One incarnation of an actor."""

    name: str
    incarnation: int
    inbox: deque[object] = field(default_factory=deque)
    shell: AgentShell | None = None
    registry: Registry | None = None
    hangs: bool = False
    lives: bool = True
    knows: ActorProcess | None = None
    """The registry that it was introduced to."""
    introduction: int = 0
    introductions: dict[str, int] = field(default_factory=dict)
    """Of a registry: the latest one by owner; what comes from an earlier one is not listened to."""


Line = tuple[ActorProcess, ActorProcess | None]
"""Who sends, and to whom; None is the root."""


class ClusterWorld:
    """The cluster, and what a bystander knows of it."""

    def __init__(self, spec: ClusterSpec) -> None:
        self.host = Host()
        self.now = 100.0
        self.draw = 0.5
        self.spec = spec
        self.actors: dict[str, ActorProcess] = {}
        self.lines: dict[Line, deque[object]] = {}
        self.untold_ends: list[ActorProcess] = []
        self.fates: list[Fate] = []
        self.reached: set[tuple[str, Condition]] = set()
        """What agents' members have reached at any time, as the world knows."""
        self.ran: dict[str, bool] = {}
        """How each member's last process ended by itself: normally or not."""
        self.has_stopped = False
        self.is_failed: bool | None = None
        self.stop_wanted = False
        self.stop_deaths: Counter[str] = Counter()
        """How often an actor has died that had been asked to stop."""
        self.abandoned: set[str] = set()
        """Agents that were not configured any more when the root died: a limit that the documentation states."""
        self.last: tuple[cluster.Event, tuple[cluster.Effect, ...]] | None = None
        self._ports: dict[str, int] = {}
        disk = MEMORY_DISK if MEMORY_DISK.is_dir() else None
        self.directory = Path(tempfile.mkdtemp(prefix="quaestor-model-", dir=disk))
        self.root = RootShell(self, spec, 1)
        self.root.begin()

    def close(self) -> None:
        shutil.rmtree(self.directory)

    # What the root does

    def create(self, name: str, incarnation: int, first: object) -> None:
        before = self.actors.get(name)
        assert before is None or not before.lives, "a second actor while one lives"
        self.actors[name] = ActorProcess(name=name, incarnation=incarnation, inbox=deque([first]))

    def post(self, name: str, message: object) -> None:
        if self.actors[name].lives:
            self.actors[name].inbox.append(message)

    def kill(self, name: str) -> None:
        if self.actors[name].lives:
            self.dies(self.actors[name])

    def decided(self, event: cluster.Event, effects: tuple[cluster.Effect, ...]) -> None:
        self.last = (event, effects)

    def asks_to_stop(self, name: str) -> None:
        """Those that depend on it, and for the registry all others, must be gone when the cluster stops."""
        if not self.root.tree.stopping:
            return
        depends_on = {agent.agent_type: {other for other, _ in agent.depends_on} for agent in self.root.spec.agents}
        before = set(depends_on) if name == REGISTRY else {each for each in depends_on if name in depends_on[each]}
        assert not [each for each in before if each in self.actors and self.actors[each].lives], "asked too early"

    def all_stopped(self) -> None:
        assert not [each.name for each in self.actors.values() if each.lives]
        self.has_stopped = True

    def ends(self, *, failed: bool) -> None:
        self.is_failed = failed
        self.stop_wanted = True

    def tell_root(self, act: object) -> None:
        """Have the root handle something; if it gives up, its guardian makes another one."""
        if self.has_stopped:
            return
        try:
            match act:
                case (ActorProcess() as sender, AgentReport() as report):
                    self.root.reported(sender.name, report)
                case (ActorProcess() as sender, "ready"):
                    self.root.ready(sender.name, sender.incarnation)
                case (ActorProcess() as sender, "stopped"):
                    self.root.apply(ChildStopped(name=sender.name, incarnation=sender.incarnation))
                case (ActorProcess() as sender, "crashed"):
                    self.root.apply(ChildCrashed(name=sender.name, incarnation=sender.incarnation, reason="a bug"))
                case ActorProcess() as ended:
                    self.root.apply(ChildEnded(name=ended.name, incarnation=ended.incarnation))
                case ClockAdvanced() | StopTree():
                    self.root.apply(act)
                case ClusterSpec():
                    self.root.reload(act)
                case _:
                    raise AssertionError(act)
        except GaveUpError:
            self.root_dies()

    def root_dies(self) -> None:
        """End all actors with their parent; the guardian's next root knows nothing but what the file says."""
        for each in self.actors.values():
            if each.lives:
                self.dies(each)
        self.untold_ends.clear()
        # What was to leave and has not stopped yet is known to nobody any more.
        self.abandoned |= {name for name, child in self.root.tree.children.items() if child.leaving}
        self.lines = {line: sent for line, sent in self.lines.items() if line[1] is not None}
        self.actors.clear()
        self.root = RootShell(self, self.spec, self.root.incarnation + 1)
        self.root.begin()
        if self.stop_wanted:
            # The guardian has been asked to stop, and goes on asking.
            self.tell_root(StopTree())

    # Actors

    def says(self, actor: ActorProcess, message: str) -> None:
        """Have an actor send something to the root."""
        self._send(actor, None, message)

    def dies(self, actor: ActorProcess) -> None:
        child = self.root.tree.children.get(actor.name)
        if self.root.tree.stopping or (child is not None and child.leaving):
            self.stop_deaths[actor.name] += 1
        actor.lives = False
        actor.inbox.clear()
        self.untold_ends.append(actor)

    def living(self, *, hung: bool = False) -> list[ActorProcess]:
        return [each for each in self.actors.values() if each.lives and each.hangs == hung]

    def read(self, actor: ActorProcess) -> None:
        """Have an actor handle its next message."""
        if not actor.inbox:
            return
        message = actor.inbox.popleft()
        if actor.name == REGISTRY:
            self._registry_reads(actor, message)
            return
        try:
            self._agent_reads(actor, message)
        except DiedError:
            self.dies(actor)
        if actor.shell is not None and actor.shell.ended and actor.lives:
            self.dies(actor)

    def _registry_reads(self, actor: ActorProcess, message: object) -> None:
        match message:
            case Stop():
                self._send(actor, None, "stopped")
                self.dies(actor)
            case Forget(owner=owner, introduction=introduction):
                assert actor.registry is not None
                actor.introductions[owner] = introduction
                actor.registry = registry.announce(actor.registry, owner, ())
            case _:
                actor.registry = Registry()
                self._send(actor, None, "ready")

    def _agent_reads(self, actor: ActorProcess, message: object) -> None:
        shell = actor.shell
        match message:
            case Start():
                notes = Notes(self.directory / f"{actor.name}.json")
                shell = actor.shell = AgentShell(self, actor.name, message.plan, notes)
                shell.begin(StartAll(gate_open=message.gate_open, fresh=message.fresh))
                shell.prober_is_ready()
                self._send(actor, None, "ready")
                return
            case _ if shell is None:
                raise AssertionError(message)
            case Open():
                shell.apply(GateOpened())
            case Configure():
                shell.configure(message.plan)
                if shell.prober is None:
                    shell.prober_is_ready()
            case Restart():
                shell.apply(ReplaceAll(reason=message.reason))
            case RegistryAt():
                newest = self.actors[REGISTRY]
                actor.knows = newest if newest.incarnation == message.incarnation else None
                actor.introduction = message.introduction
                shell.meet_registry()
            case Stop():
                shell.apply(StopAll(reason="cluster stop", force=message.force))
            case _:
                raise AssertionError(message)

    def _actor_of(self, shell: AgentShell) -> ActorProcess:
        return next(each for each in self.actors.values() if each.shell is shell)

    # What agents do

    def strike(self, shell: AgentShell, point: str) -> None:
        """Kill nobody here: the other machine does."""

    def send(self, shell: AgentShell, to: str, message: object) -> None:
        actor = self._actor_of(shell)
        self._note_reached(shell)
        if message == "stopped":
            left = [each.tag for each in self.host.main_processes(shell.name)]
            assert not left, "said that it has stopped what still runs"
        if to != REGISTRY:
            self._send(actor, None, message)
        elif actor.knows is not None:
            self._send(actor, actor.knows, (actor.introduction, message))

    def _send(self, actor: ActorProcess, to: ActorProcess | None, message: object) -> None:
        self.lines.setdefault((actor, to), deque()).append(message)

    def _note_reached(self, shell: AgentShell) -> None:
        names, prober = set(shell.plan.wanted), shell.prober
        if names <= set(shell.watched):
            self.reached.add((shell.name, Condition.STARTED))
            told = {name for name in names if prober is not None and prober.told.get(name) is Health.SERVING}
            if told == names:
                self.reached.add((shell.name, Condition.SERVING))
        if all(self.ran.get(name) for name in names):
            self.reached.add((shell.name, Condition.COMPLETED))

    def port_of(self, name: str) -> int:
        return self._ports.setdefault(name, 5161 + len(self._ports))

    def start(self, name: str, incarnation: int, port: int) -> Process | None:
        fate = self.fates.pop(0) if self.fates else Fate()
        if not fate.starts:
            return None
        process = self.host.start(port=port, tag=(name, incarnation), fate=fate, is_main=True)
        process.health = Health.SERVING
        self.ran.pop(name, None)
        return process

    def saw(self, shell: AgentShell, effect: member.Effect) -> None:
        if not isinstance(effect, member.Spawn):
            return
        name = effect.member_id
        assert name not in [each.tag[0] for each in self.host.main_processes(shell.name) if each.tag]
        agents = {agent.agent_type: agent for agent in self.root.spec.agents}
        waits_for = (
            [each for each in agents[shell.name].depends_on if each[0] in agents] if shell.name in agents else []
        )
        needed = [each for each in waits_for if each not in self.reached]
        assert not needed or self.spec_was_changed, f"{name} started before {needed}"

    spec_was_changed = False
    """An agent whose gate was open may have been given something else to wait for."""

    # What the world does

    def deliver(self, line: Line) -> None:
        """Have the next message of a sender arrive."""
        sender, to = line
        message = self.lines[line].popleft()
        if not self.lines[line]:
            del self.lines[line]
        current = self.actors.get(sender.name)
        if to is None and current is not None and current is not sender and current.incarnation == sender.incarnation:
            # The last words of an agent that left and came back within their way: they name a number that is in use.
            return
        if to is None:
            self.tell_root((sender, message))
            return
        match message:
            case (int() as introduction, Told() as told):
                self._registry_hears(to, sender.name, introduction, told)
            case _:
                raise AssertionError(message)

    @staticmethod
    def _registry_hears(actor: ActorProcess, owner: str, introduction: int, told: Told) -> None:
        if not actor.lives or actor.registry is None or introduction < actor.introductions.get(owner, 0):
            return
        actor.introductions[owner] = introduction
        actor.registry = told.taken_in(actor.registry, owner)

    def process_ends(self, process: Process, *, normal: bool) -> None:
        assert process.tag is not None
        self.host.end(process)
        actor = self.actors.get(process.tag[0].rpartition("/")[0])
        if actor is None or not actor.lives or actor.shell is None or actor.hangs:
            return
        is_child = any(known is process and own for known, _, own in actor.shell.watched.values())
        self.ran[process.tag[0]] = normal and is_child and not process.asked
        actor.shell.take_in_exits(normal=normal)
        self._end_if_ended(actor)

    def news(self, actor: ActorProcess) -> None:
        """Tell an agent everything that is true now."""
        shell = actor.shell
        if shell is None or shell.ended:
            return
        shell.take_in_exits()
        if shell.prober is not None:
            found: list[MemberFact] = shell.prober.news(self.host)
            if found:
                shell.apply(*found)
        self._end_if_ended(actor)

    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for each in self.living():
            if each.shell is not None and not each.shell.ended:
                each.shell.apply(MembersClockAdvanced())
                self._end_if_ended(each)
        self.tell_root(ClockAdvanced())

    def _end_if_ended(self, actor: ActorProcess) -> None:
        if actor.shell is not None and actor.shell.ended and actor.lives:
            self.dies(actor)

    def tell_end(self, actor: ActorProcess) -> None:
        self.untold_ends.remove(actor)
        self.tell_root(actor)

    # A good world

    def is_well_for_a_round(self) -> None:
        """Everything arrives, everybody reads, who was asked ends."""
        for each in self.living():
            while each.lives and each.inbox:
                self.read(each)
        for each in [each for each in self.host.processes.values() if each.asked]:
            self.host.end(each)
        for each in self.living():
            self.news(each)
        for line in list(self.lines):
            while line in self.lines:
                self.deliver(line)
        for each in list(self.untold_ends):
            if each in self.untold_ends:
                self.tell_end(each)
        self.time_passes(1.0)

    def is_quiet(self) -> bool:
        return not self.lines and not self.untold_ends and not any(each.inbox for each in self.living())

    def is_running(self, name: str) -> bool:
        child = self.root.tree.children.get(name)
        return child is not None and child.state is ActorState.RUNNING
