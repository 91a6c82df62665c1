"""A host of a simulated world: its clock, its coordination actor, its agents and their processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, assert_never

from quaestor_actors.core import coordination
from quaestor_actors.core import coordination_state as facts
from quaestor_actors.core.placement import Slot
from quaestor_actors.core.store import WatchBatch

if TYPE_CHECKING:
    from support.coordination_world import World

KILL_S = 0.2
"""Until a process that is killed executes no more, at the most."""
MESSAGE_S = 0.02
"""Between actors of one host, or until an end is seen, at the most."""
SUCCESSION_S = 0.05
"""Until a dead actor's successor runs, at the most."""
LIFE_S = 1.0
"""An actor lives this long at least."""
ENDED_S = KILL_S + SUCCESSION_S + 4 * MESSAGE_S
"""When a host has not been entitled for so long, nothing floats on it: agents may have started once more what ended."""
START_S, STOP_S = 0.5, 1.0
RPC_S, WRITE_S = 2.0, 1.0
"""When operations are given up."""
EFFECTS_PER_S = 100

MACHINE, TREE, ACTOR = 1, 2, 3
"""What something that is going to happen dies with."""


@dataclass(slots=True, eq=False)
class Process:
    """One that runs a copy; it serves some time after its start."""

    slot: Slot
    token: int
    ready_at: float
    is_stopping: bool = False
    has_ended: bool = False


@dataclass(slots=True, eq=False)
class Tail:
    """A watch that is established."""

    number: int
    position: int
    told_at: float = 0.0


class Machine:
    """A host: its coordination actor, its agents and their processes. While it is paused nothing of it executes."""

    def __init__(self, world: World, name: str, rate: float) -> None:
        self.world, self.name, self.rate = world, name, rate
        self.ids = [0, 0, 0]
        self.is_up = self.is_paused = self.is_cut = self.is_noisy = False
        self.excused_until = self.lives_until = 0.0
        self.tail: Tail | None = None
        self.leases: set[int] = set()
        self.effects: Counter[int] = Counter()
        self.boot()

    def boot(self) -> None:
        """Start everything on a machine where nothing runs."""
        self.began_at, self.uptime_s = self.world.now, self.world.random.uniform(1, 1000)
        self.is_up, self.is_paused, self.is_leaving = True, False, False
        self.waiting: list[Callable[[], None]] = []
        self.allowed: dict[Slot, int] = {}
        self.processes: dict[Slot, Process] = {}
        self.heeded, self.told_at = 0, 0.0
        self._start_actor(term=None, granted={})

    def halt(self) -> None:
        """Lose power."""
        self.ids[0] += 1
        self.is_up = self.is_paused = False
        self.tail = None
        for process in self.processes.values():
            process.has_ended = True
        self.processes = {}

    def clock(self) -> float:
        return self.uptime_s + (self.world.now - self.began_at) * self.rate

    def after(self, delay_s: float, do: Callable[[], None], *, dies_with: int) -> None:
        ids = self.ids[:dies_with]

        def step() -> None:
            if ids == self.ids[:dies_with]:
                if self.is_paused:
                    self.waiting.append(step)
                else:
                    do()

        self.world.after(delay_s, step)

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        """Execute again; what has come up meanwhile comes now.

        Excused: processes execute until they are killed, whoever else runs them by now.
        """
        self.is_paused = False
        self.excused_until = self.world.now + ENDED_S
        self.world.after(ENDED_S, self.world.check)
        waiting, self.waiting = self.waiting, []
        for step in waiting:
            step()

    def executing(self) -> list[Process]:
        return [each for each in self.processes.values() if not each.has_ended and not self.is_paused]

    # The coordination actor

    def _start_actor(self, *, term: facts.Term | None, granted: dict[Slot, int]) -> None:
        self.ids[2] += 1
        self.has_actor, self.lives_until = True, self.world.now + LIFE_S
        self.tail = None
        self.under_way: dict[int, float] = {}
        self.dies_after: int | None = None
        self.wake_number = 0
        self.state = coordination.create(now=self.clock(), term=term, granted=granted)
        self.on(facts.Leaving() if self.is_leaving else facts.ClockAdvanced())
        self._report()

    def lose_actor(self, *, keeps_file: bool, with_tree: bool = False) -> None:
        """Let the actor die, or everything but processes; a successor follows soon. It is immortal for a while."""
        if self.world.now < self.lives_until:
            return
        self.has_actor, self.lives_until = False, self.world.now + LIFE_S
        self.ids[2] += 1
        self.tail = None
        term, granted = (self.state.term, dict(self.state.granted)) if keeps_file else (None, {})
        if with_tree:
            # New agents adopt what is alive, and have heard of no grant.
            self.ids[1] += 1
            self.processes = {slot: each for slot, each in self.processes.items() if not each.has_ended}
            self.allowed = {slot: each.token for slot, each in self.processes.items() if not each.is_stopping}
            self.heeded = 0
        start = partial(self._start_actor, term=term, granted=granted)
        self.after(self.world.random.uniform(0, SUCCESSION_S), start, dies_with=ACTOR)

    def leave(self) -> None:
        """Stop in order what floats here."""
        self.is_leaving = True
        self._tell(partial(self.on, facts.Leaving()), dies_with=ACTOR)

    def on(self, event: facts.Event) -> None:
        if not self.has_actor:
            return
        rules, now, executing = self.world.rules[self.name], self.clock(), self.executing()
        self.state, effects = coordination.decide(self.state, event, now, rules)
        self.effects[int(self.world.now)] += len(effects)
        assert self.effects[int(self.world.now)] <= EFFECTS_PER_S, "too busy"
        dies_after = None if self.world.now < self.lives_until else self.dies_after
        for effect in effects[:dies_after]:
            self._perform(effect)
        if dies_after is not None:
            self.lose_actor(keeps_file=True)
            return
        if executing and not coordination.is_entitled(self.state, now, rules):
            self._end_all_soon(executing)
        self.wake_number += 1
        wake_at = coordination.next_deadline(self.state, now, rules)
        assert wake_at is None or wake_at > now
        has_left = self.is_leaving and self.state.term is None
        assert has_left or wake_at is not None or self.under_way, "nothing will ever happen"
        if wake_at is not None:
            wake = partial(self._wake, self.wake_number)
            self.after((wake_at - now) / self.rate + 1e-6, wake, dies_with=ACTOR)

    def _wake(self, number: int) -> None:
        if number == self.wake_number:
            self.on(facts.ClockAdvanced())

    def _end_all_soon(self, processes: list[Process]) -> None:
        before = (*self.ids, self.excused_until, self.is_paused)

        def check() -> None:
            if before == (*self.ids, self.excused_until, self.is_paused):
                assert all(each.has_ended for each in processes), "it runs without being entitled"

        self.world.after(ENDED_S, check)

    def _perform(self, effect: facts.Effect) -> None:
        world = self.world
        match effect:
            case facts.GrantLease(ttl_s=ttl_s):
                self._ask(partial(world.grant, self, ttl_s), facts.LeaseFailed(reason="no answer"), WRITE_S)
            case facts.KeepAlive(lease=lease):
                self._ask(partial(world.keep_alive, lease), facts.LeaseFailed(reason="no answer"), WRITE_S)
            case facts.Revoke(lease=lease):
                self._ask(partial(world.revoke, self, lease), None, WRITE_S)
            case facts.ListAll(number=number):
                self.tail = None
                failed = facts.FollowingFailed(number=number, reason="no answer")
                self._ask(partial(world.listed, number), failed, RPC_S)
            case facts.Watch(number=number):
                self.tail = None
                failed = facts.FollowingFailed(number=number, reason="no answer")
                self._ask(partial(world.watched, effect), failed, RPC_S, tail=Tail(number, effect.from_revision))
            case facts.Change():
                transact = partial(world.transact, self, effect, self.state.revision, world.rules[self.name])
                self._ask(transact, facts.ChangeFailed(number=effect.number, reason="no answer"), WRITE_S)
            case facts.Grant():
                self._tell(partial(self._heed, effect), dies_with=TREE)
            case facts.Kill(slots=slots):
                for process in [each for slot, each in self.processes.items() if slot in slots]:
                    self.after(world.random.uniform(0, KILL_S), partial(self._end, process), dies_with=MACHINE)
            case _:
                assert_never(effect)

    def _ask(
        self,
        do: Callable[[], facts.Event | None],
        failed: facts.Event | None,
        limit_s: float,
        *,
        tail: Tail | None = None,
    ) -> None:
        """Have something take effect in the store, if fate lets it, and answer it likewise."""
        there_s, back_s = self.world.fate(self, limit_s)
        number, boot = next(self.world.numbers), self.ids[0]
        ids = list(self.ids)

        def answer(event: facts.Event, era: int) -> None:
            if self.under_way.pop(number, None) is None:
                return
            if tail is not None and isinstance(event, facts.Watched):
                store = self.world.store
                if era != self.world.era or store.is_away or self.is_cut or tail.position < store.oldest:
                    assert failed is not None
                    event = failed
                elif tail.number == self.state.follow_number:
                    self.tail = tail
            self.on(event)
            self.world.spread()

        def take_effect() -> None:
            if self.world.store.is_away or (self.is_cut and boot == self.ids[0]):
                return
            event = do()
            self.world.spread()
            self.world.check()
            if event is not None and ids == self.ids and not self.is_cut:
                self.after(back_s, partial(answer, event, self.world.era), dies_with=ACTOR)

        if failed is not None:
            self.under_way[number] = self.world.now + limit_s
            self.after(limit_s, partial(answer, failed, self.world.era), dies_with=ACTOR)
        self.world.after(there_s, take_effect)

    def hear(self, batch: WatchBatch) -> None:
        """Have the watch tell something, after what it has told before."""
        tail, world = self.tail, self.world
        assert tail is not None
        lag_s = world.random.uniform(0.001, 1.0 if self.is_noisy else 0.01)
        tail.told_at = max(tail.told_at, world.now + lag_s)
        event = facts.Watched(number=tail.number, batch=batch)
        self.after(tail.told_at - world.now, partial(self._heard, tail, event), dies_with=ACTOR)

    def _heard(self, tail: Tail, event: facts.Watched) -> None:
        if self.tail is tail or self.world.random.random() < 0.5:
            self.on(event)

    def break_watch(self) -> None:
        """Lose the connection; that is noticed some time later."""
        if self.tail is not None:
            failed = facts.FollowingFailed(number=self.tail.number, reason="broken")
            self.tail = None
            self.after(self.world.random.uniform(0, RPC_S), partial(self.on, failed), dies_with=ACTOR)

    # Agents

    def crash(self) -> None:
        """Let all processes end by themselves."""
        for process in list(self.processes.values()):
            self._end(process)

    def _tell(self, do: Callable[[], None], *, dies_with: int) -> None:
        self.told_at = max(self.told_at, self.world.now + self.world.random.uniform(0, MESSAGE_S))
        self.after(self.told_at - self.world.now, do, dies_with=dies_with)

    def _report(self) -> None:
        event = facts.RunningChanged(running=frozenset(self.processes), grant=self.heeded)
        self._tell(partial(self.on, event), dies_with=ACTOR)

    def _heed(self, grant: facts.Grant) -> None:
        self.heeded, self.allowed = grant.number, dict(grant.slots)
        for slot, process in self.processes.items():
            if self.allowed.get(slot) != process.token and not process.is_stopping:
                process.is_stopping = True
                delay_s = self.world.random.uniform(0, STOP_S)
                self.after(delay_s, partial(self._end, process), dies_with=MACHINE)
        self._start_allowed()
        self._report()

    def _start_allowed(self) -> None:
        for slot in sorted(self.allowed.keys() - self.processes.keys()):
            process = Process(slot, self.allowed[slot], ready_at=self.world.now + START_S)
            self.processes[slot] = process
            self.world.started(self, process)

    def _end(self, process: Process) -> None:
        if not process.has_ended:
            process.has_ended = True
            self.after(self.world.random.uniform(0, MESSAGE_S), partial(self._seen, process), dies_with=TREE)

    def _seen(self, process: Process) -> None:
        if self.processes.get(process.slot) is process:
            del self.processes[process.slot]
            self._start_allowed()
            self._report()
