"""The world around one agent's supervisor, and what a bystander expects of it from what he has done to the world."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from support.agent_shell import AgentShell, DiedError, Notes, Plan, Told
from support.small_host import Fate, Host, Leftover, Process

from quaestor_actors.core import group, member, registry
from quaestor_actors.core.agent import ClockAdvanced, Event, MemberFact, Phase, RestartRolling, StartAll
from quaestor_actors.core.member import Health
from quaestor_actors.core.registry import Registry

AGENT = "W"
MEMORY_DISK = Path("/dev/shm")  # noqa: S108 - a fast disk, if there is one; the directory in it is private
FIRST_PORT = 5161
BUSIEST = 150
"""No single event has more consequences than this, with four members."""
QUICKEST = 16
"""Nor is one member started more often within a second, unless somebody wishes it."""


@dataclass(slots=True)
class Expected:
    """What a bystander knows."""

    stopped: set[str] = field(default_factory=set)
    """By a person."""
    drained: set[str] = field(default_factory=set)
    """By a person: whatever becomes of it, it is not discovered."""
    vouched: set[tuple[str, int]] = field(default_factory=set)
    """Incarnations of which was said last that they serve, and of which no end is known."""

    def copy(self) -> Expected:
        return Expected(set(self.stopped), set(self.drained), set(self.vouched))


class AgentWorld:
    """One agent on a small host, with a supervisor that is replaced whenever it dies."""

    def __init__(self, plan: Plan, *, gate_open: bool, draw: float) -> None:
        self.host = Host()
        self.now = 100.0
        self.draw = draw
        self.plan = plan
        self.gate_open = gate_open
        self.expected = Expected()
        self.registry = Registry()
        self.fates: list[Fate] = []
        self.dies_in: int | None = None
        self.tears = False
        self.ends_during_adoption: Process | None = None
        self.disk_is_full = False
        self.deaths = 0
        self.used: set[tuple[str, int]] = set()
        """Numbers of incarnations, as far as the file must know them."""
        self.gone: set[tuple[str, int]] = set()
        """Of these the end has been told."""
        self._spawned: dict[tuple[str, int], int] = {}
        """Incarnations that were started in this act, and how often the supervisor had written before that."""
        self._free_port = 20000
        self._started: dict[str, list[float]] = {}
        self._effects = 0
        disk = MEMORY_DISK if MEMORY_DISK.is_dir() else None
        self._directory = Path(tempfile.mkdtemp(prefix="quaestor-model-", dir=disk))
        self.path = self._directory / "W.json"
        self.shell = self._new_shell()
        self.act(lambda: self.shell.begin(StartAll(gate_open=gate_open)))
        self.shell.prober_is_ready()
        self.meet_registry()

    def close(self) -> None:
        shutil.rmtree(self._directory)

    # What the supervisor does

    def strike(self, shell: AgentShell, point: str) -> None:
        if point == "adopting" and self.ends_during_adoption is not None:
            doomed, self.ends_during_adoption = self.ends_during_adoption, None
            if self.host.find(doomed.id):
                self.host.end(doomed)
        if self.dies_in is None:
            return
        self.dies_in -= 1
        if self.dies_in >= 0:
            return
        self.dies_in = None
        if point == "saving" and self.tears:
            shell.notes.dies = True
            return
        raise DiedError

    def send(self, shell: AgentShell, to: str, message: object) -> None:
        assert shell is self.shell
        if message == "stopped" and not shell.knows_registry:
            # It could not say so itself; the root has the registry forget agents that are gone.
            self.registry = registry.announce(self.registry, AGENT, ())
        if to != "registry" or not isinstance(message, Told):
            return
        self.registry = message.taken_in(self.registry, AGENT)

    def port_of(self, name: str) -> int:
        if self.plan.fixed_ports:
            return FIRST_PORT + int(name.rpartition("/")[2])
        self._free_port += 1
        return self._free_port

    def start(self, name: str, incarnation: int, port: int) -> Process | None:
        fate = self.fates.pop(0) if self.fates else Fate()
        if not fate.starts:
            return None
        if not self.plan.fixed_ports:
            # Nobody would ever look for it.
            fate = replace(fate, leftover=Leftover.NOTHING)
        process = self.host.start(port=port, tag=(name, incarnation), fate=fate, is_main=True)
        if fate.ends_at_once:
            self.host.end(process)
        return process

    def saw(self, shell: AgentShell, effect: member.Effect) -> None:
        """Say no to what must never be done."""
        self._effects += 1
        assert self._effects <= BUSIEST, "it spins"
        name = effect.member_id
        match effect:
            case member.Spawn():
                lives = [each for each in self.host.main_processes(AGENT) if each.tag and each.tag[0] == name]
                assert not lives, "a second process while one lives"
                assert name not in self.expected.stopped, "started what a person stopped"
                assert name in shell.plan.wanted, "started what is not configured"
                assert self.gate_open, "started before its gate opened"
                about = (name, effect.incarnation)
                assert about not in self.used, "the number of an earlier incarnation"
                self.used.add(about)
                self._spawned[about] = shell.saves
                lately = [at for at in self._started.get(name, []) if at > self.now - 1.0]
                self._started[name] = [*lately, self.now]
                assert len(lately) < QUICKEST, "it is started over and over"
            case member.Terminate() | member.Kill():
                in_registry = {each.registration.incarnation for each in self.entries(name)}
                current = shell.group.members[name].incarnation
                assert not shell.knows_registry or current not in in_registry, "it ends while it can be discovered"
            case _:
                pass

    def entries(self, name: str) -> list[registry.Entry]:
        """Return what the registry holds of a member; by its port where that is fixed."""
        member_of = {port: each for each, port in self.ports().items()}
        return [e for e in self.registry.entries.values() if member_of.get(e.registration.location.port) == name]

    def ports(self) -> dict[str, int]:
        return {name: each.port for name, each in self.shell.group.members.items() if each.port is not None}

    # Acts, and deaths

    def act(self, act: Callable[[], None], learnt: Callable[[Expected], None] = lambda _: None) -> None:
        """Have the supervisor do something; if it dies before that is written down, it never happened."""
        before, saves = self.expected.copy(), self.shell.saves
        learnt(self.expected)
        self._effects = 0
        self._spawned.clear()
        try:
            act()
        except DiedError:
            self._forget_unwritten(before, saves)
            self.take_over(is_lossy=self.shell.notes.dies)
        if not self.shell.plan.rules.probed:
            self.expected.vouched |= self.discoverable()

    def _forget_unwritten(self, before: Expected, saves: int) -> None:
        # Of what was not written down only a process that is found is known.
        self.used -= {about for about, at in self._spawned.items() if at == self.shell.saves}
        if self.shell.saves == saves:
            self.expected = before
            self.expected.stopped -= {name for name, _ in self._spawned}

    def tell(self, *events: Event) -> None:
        self.act(lambda: self.shell.apply(*events))

    def _new_shell(self) -> AgentShell:
        notes = Notes(self.path)
        notes.full = self.disk_is_full
        return AgentShell(self, AGENT, self.plan, notes)

    def take_over(self, *, is_lossy: bool = False, fresh: bool = False) -> None:
        """Have a successor begin, again and again if it dies, too."""
        is_lossy = is_lossy or self.shell.is_behind
        self._started.clear()
        if is_lossy or self.shell.ended:
            self.used.clear()
            self.gone.clear()
        while True:
            self.deaths += 1
            self.shell = self._new_shell()
            self._effects = 0
            self._spawned.clear()
            if is_lossy or fresh:
                # What a person wished is forgotten together with the notes.
                self.expected.stopped.clear()
                self.expected.drained.clear()
            try:
                self.shell.begin(StartAll(gate_open=self.gate_open, fresh=fresh))
            except DiedError:
                # Only the first supervisor of a cluster is told that it is.
                fresh = False
                self._forget_unwritten(self.expected, 0)
                is_lossy = is_lossy or self.shell.notes.dies or self.shell.is_behind
                continue
            break
        self.meet_registry()
        if is_lossy or not self.plan.rules.probed:
            self.expected.vouched |= self.discoverable()

    def meet_registry(self) -> None:
        if not self.shell.ended:
            self.shell.meet_registry()

    def intervene(self) -> None:
        """Note that somebody wished a start: it is no loop."""
        self._started.clear()

    # What is true

    def discoverable(self) -> set[tuple[str, int]]:
        """Return members that clients are sent to, by incarnation."""
        name_at = {port: name for name, port in self.ports().items()}
        found = [entry.registration for entry in self.registry.entries.values()]
        return {(name_at.get(each.location.port, "nobody"), each.incarnation) for each in found}

    # News

    def hear(self, news: list[MemberFact]) -> None:
        """Tell the supervisor verdicts."""

        def learnt(expected: Expected) -> None:
            for each in news:
                fact = each.fact
                assert isinstance(fact, member.HealthReported)
                about = (each.member_id, fact.incarnation)
                (expected.vouched.add if fact.health is Health.SERVING else expected.vouched.discard)(about)

        if news:
            self.act(lambda: self.shell.apply(*news), learnt)

    def take_in_exits(self, *, normal: bool = False) -> None:
        gone = {(name, self.shell.watched[name][1]) for name in self.shell.exits()}

        def learnt(expected: Expected) -> None:
            expected.vouched -= gone

        if gone:
            self.gone |= gone
            self.act(lambda: self.shell.take_in_exits(normal=normal), learnt)

    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.tell(ClockAdvanced())

    def becomes_idle(self, name: str, incarnation: int) -> None:
        if self.shell.prober is None:
            return
        self.shell.prober.idle.discard((name, incarnation))
        idle = member.BecameIdle(incarnation=incarnation, detail="no request")
        self.tell(MemberFact(member_id=name, fact=idle))

    # A person

    def restart_rolling(self, names: list[str]) -> None:
        self.intervene()
        heeds = self.shell.group.phase is not Phase.STOPPING

        def learnt(expected: Expected) -> None:
            expected.stopped.difference_update(names if heeds else ())

        self.act(lambda: self.shell.apply(RestartRolling(members=tuple(names))), learnt)

    def drain(self, name: str, *, drained: bool) -> None:
        """Drain a member, or put it back."""
        is_known = name in self.shell.group.members and not self.shell.ended
        fact = (member.DrainRequested if drained else member.UndrainRequested)(reason="by hand")

        def learnt(expected: Expected) -> None:
            expected.drained.discard(name)
            expected.drained.update({name} if drained and is_known else ())

        self.act(lambda: self.shell.apply(MemberFact(member_id=name, fact=fact)), learnt)

    # A good world

    def is_well_for_a_round(self) -> None:
        """Nothing fails: processes serve, those that were asked end, killed ones at the latest, and all is told."""
        for each in list(self.host.processes.values()):
            obeys = each.asked and not each.fate.ignores_sigterm
            if each.killed or obeys:
                self.host.end(each)
            else:
                each.health = Health.SERVING
        self.take_in_exits()
        if self.shell.prober is None:
            self.shell.prober_is_ready()
        if self.shell.prober is not None:
            self.hear(self.shell.prober.news(self.host))
        if self.shell.prober is not None:
            for name, incarnation in sorted(self.shell.prober.idle):
                self.becomes_idle(name, incarnation)
        self.time_passes(2.0)

    def next_deadline(self) -> float | None:
        return group.next_deadline(self.shell.group)

    def configure(self, plan: Plan) -> None:
        before = self.plan
        self.plan = replace(plan, fixed_ports=before.fixed_ports)
        back = set(plan.wanted) - set(before.wanted)

        def learnt(expected: Expected) -> None:
            # What comes back into the configuration starts with it.
            expected.stopped &= set(plan.wanted) - back
            # What has left may have been forgotten before it comes back.
            expected.drained &= set(plan.wanted) - back

        self.intervene()
        self.act(lambda: self.shell.configure(self.plan), learnt)
