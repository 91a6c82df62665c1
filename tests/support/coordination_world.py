"""Several hosts, one store, what may happen between them, in simulated time, and what is true.

What must hold at any time is checked as things happen. Bounds that are excused: `Machine.resume`, `World.wipe`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count
from math import inf
from random import Random

from support.coordination_host import RPC_S, START_S, STOP_S, Machine, Process
from support.simulated_store import SimStore

from quaestor_actors.core import cluster_keys as keys
from quaestor_actors.core import coordination
from quaestor_actors.core import coordination_state as facts
from quaestor_actors.core.coordination_state import Rules
from quaestor_actors.core.placement import Floating, Slot
from quaestor_actors.core.store import NO_LEASE, Condition, Deleted, HasLease, KeyValue, Listing, Put, WatchBatch

CLUSTER = "demo"


class Store(SimStore):
    """With transactions, and a memory of what was there at each revision since it was wiped."""

    is_away = False

    def __init__(self) -> None:
        super().__init__()
        self.past: dict[int, Mapping[str, KeyValue]] = {1: {}}

    def transact(self, change: facts.Change) -> bool | None:
        """Return whether the conditions held; None: the lease of a put is no more."""
        if not all(self._holds(condition) for condition in change.conditions):
            return False
        if {each.lease for each in change.operations if isinstance(each, Put)} - {NO_LEASE} - self.leases.keys():
            return None
        revision, happened = self.revision + 1, list[KeyValue | Deleted]()
        for each in change.operations:
            old = self.entries.pop(each.key, None)
            if isinstance(each, Put):
                entry = KeyValue(
                    key=each.key,
                    value=each.value,
                    create_revision=revision if old is None else old.create_revision,
                    mod_revision=revision,
                    lease=each.lease,
                )
                self.entries[each.key] = entry
                happened.append(entry)
            elif old is not None:
                happened.append(Deleted(key=each.key, mod_revision=revision))
        self._record(happened)
        return True

    def come_back(self) -> None:
        """Return with a new leader, which lets each lease last its whole time again."""
        self.is_away = False
        for lease in self.leases:
            self.keep_alive(lease)

    def wipe(self) -> None:
        super().wipe()
        self.past = {1: {}}

    def _holds(self, condition: Condition) -> bool:
        found = self.entries.get(condition.key)
        if isinstance(condition, HasLease):
            return found is not None and found.lease == condition.lease
        return condition.mod_revision == (0 if found is None else found.mod_revision)

    def _record(self, events: Iterable[KeyValue | Deleted]) -> None:
        super()._record(events)
        self.past[self.revision] = dict(self.entries)


class World:
    """Everything, and what is true."""

    def __init__(
        self,
        *floating: Floating,
        seed: int = 0,
        ttl_s: float = 10.0,
        rates: Sequence[float] = (1.0, 1.0, 1.0),
        store_rate: float = 1.0,
    ) -> None:
        self.now, self.random, self.numbers = 0.0, Random(seed), count()
        self.queue: list[tuple[float, int, Callable[[], None]]] = []
        self.store, self.store_rate, self.era = Store(), store_rate, 0
        self.excused_until = 0.0
        self.under_way_until = 0.0
        """Nothing is on its way to the store any more."""
        self.moves = 0
        """Of copies from one host to another."""
        self.runs: dict[Slot, tuple[str, int]] = {}
        names = tuple(f"a{number}" for number in range(1, len(rates) + 1))
        rules = Rules(cluster=CLUSTER, host="", hosts=names, floating=floating, ttl_s=ttl_s)
        self.rules = {name: replace(rules, host=name) for name in names}
        self.machines: dict[str, Machine] = {}
        for name, rate in zip(names, rates, strict=True):
            self.machines[name] = Machine(self, name, rate)

    def after(self, delay_s: float, do: Callable[[], None]) -> None:
        if delay_s < inf:
            heappush(self.queue, (self.now + delay_s, next(self.numbers), do))

    def run(self, duration_s: float) -> None:
        """Let time pass."""
        end = self.now + duration_s
        while True:
            leases = () if self.store.is_away else self.store.leases.values()
            over_at = min((ends_at / self.store_rate for _, ends_at in leases), default=inf)
            next_at = min(over_at, self.queue[0][0] if self.queue else inf)
            self.now = max(self.now, min(next_at, end))
            self.store.now = self.now * self.store_rate
            if next_at > end:
                return
            if over_at <= next_at:
                self.store.now = max(self.store.now, over_at * self.store_rate + 1e-9)
                self.store.expire()
                self.spread()
                self.check()
            else:
                heappop(self.queue)[2]()

    def fate(self, machine: Machine, limit_s: float) -> tuple[float, float]:
        """Return how long something is on its way to the store, and back."""
        uniform = self.random.uniform
        there_s, back_s = uniform(0.0005, 0.01), uniform(0.0005, 0.01)
        if not machine.is_noisy:
            return there_s, back_s
        there_s, back_s = self.random.choice(
            [
                *[(there_s, back_s)] * 3,
                (inf, inf),
                (there_s, inf),
                (uniform(0, 3 * limit_s), back_s),
                *[(there_s, uniform(0, limit_s))] * 2,
            ]
        )
        if there_s < inf:
            self.under_way_until = max(self.under_way_until, self.now + there_s)
        return there_s, back_s

    def scale(self, *floating: Floating) -> None:
        """Change the configuration."""
        self.rules = {name: replace(rules, floating=floating) for name, rules in self.rules.items()}

    def heal(self) -> None:
        """End all faults."""
        if self.store.is_away:
            self.store.come_back()
        for machine in self.machines.values():
            machine.is_cut = machine.is_noisy = False
            if not machine.is_up:
                machine.boot()
            elif machine.is_paused:
                machine.resume()

    def converge(self) -> None:
        """Let time pass until everything must be well, and then some."""
        self.run(max(RPC_S, self.under_way_until - self.now))
        ttl_s = next(iter(self.rules.values())).ttl_s
        self.run(ttl_s / self.store_rate + 1.0 + STOP_S + START_S)
        self.check_served()
        moves, effects = self.moves, {each: each.effects.total() for each in self.machines.values()}
        self.run(2.5)
        self.check_served()
        assert self.moves == moves
        assert all(each.effects.total() - before <= 3 for each, before in effects.items())

    # What the store does

    def grant(self, machine: Machine, ttl_s: float) -> facts.Event:
        lease = self.store.grant(ttl_s)
        machine.leases.add(lease)
        return facts.LeaseHeld(lease=lease, ttl_s=ttl_s)

    def keep_alive(self, lease: int) -> facts.Event:
        is_there = self.store.keep_alive(lease)
        return (
            facts.LeaseHeld(lease=lease, ttl_s=self.store.leases[lease][0])
            if is_there
            else facts.LeaseGone(lease=lease)
        )

    def revoke(self, machine: Machine, lease: int) -> None:
        executing = {keys.claim_key(CLUSTER, process.slot) for process in machine.executing()}
        assert not executing & self.store.under(lease), "a claim is released of what executes"
        self.store.revoke(lease)

    def listed(self, number: int) -> facts.Event:
        entries = tuple(self.store.entries[key] for key in sorted(self.store.entries) if _is_ours(key))
        return facts.Listed(number=number, listing=Listing(revision=self.store.revision, entries=entries))

    def watched(self, watch: facts.Watch) -> facts.Event:
        if watch.from_revision < self.store.oldest:
            return facts.FollowingFailed(number=watch.number, reason="compacted")
        return facts.Watched(number=watch.number, batch=WatchBatch(revision=self.store.revision))

    def spread(self) -> None:
        """Have watches tell what has happened."""
        for machine in self.machines.values():
            if (tail := machine.tail) is None or tail.position > self.store.revision:
                continue
            for batch in [each for each in self.store.history if each.revision >= tail.position]:
                if events := tuple(each for each in batch.events if _is_ours(each.key)):
                    machine.hear(WatchBatch(revision=batch.revision, events=events))
            tail.position = self.store.revision + 1

    def transact(self, machine: Machine, change: facts.Change, seen: int, rules: Rules) -> facts.Event:
        before, past = dict(self.store.entries), self.store.past.get(seen, {})
        succeeded = self.store.transact(change)
        if succeeded is None:
            return facts.ChangeFailed(number=change.number, reason="the lease is gone")
        if succeeded:
            self._check_change(machine, change, before, past, rules)
        return facts.Changed(number=change.number, succeeded=succeeded, revision=self.store.revision)

    def wipe(self) -> None:
        """Lose all data.

        Excused: for as long as a host that hears nothing takes itself for entitled, others may run the same copies.
        """
        self.store.wipe()
        self.era += 1
        self.runs = {}
        rules = next(iter(self.rules.values()))
        self.excused_until = self.now + rules.ttl_s / min(each.rate for each in self.machines.values())
        self.after(self.excused_until - self.now + 1e-6, self.check)
        self.break_watches()

    def break_watches(self) -> None:
        for machine in self.machines.values():
            machine.break_watch()

    # What must hold

    def started(self, machine: Machine, process: Process) -> None:
        if self.now >= max(self.excused_until, machine.excused_until):
            host, token = self.runs.get(process.slot, ("", 0))
            assert process.token > token or (host, token) == (machine.name, process.token), "a token is not newer"
            self.runs[process.slot] = (machine.name, process.token)
        self.check()

    def check(self) -> None:
        """Whatever executes is claimed by its host, so that nobody else can run it."""
        if self.now < self.excused_until:
            return
        for machine in self.machines.values():
            if self.now < machine.excused_until:
                continue
            for process in machine.executing():
                claim = self.store.entries.get(keys.claim_key(CLUSTER, process.slot))
                assert claim is not None, f"{machine.name} runs {process.slot} without a claim"
                assert (claim.create_revision, claim.lease in machine.leases) == (process.token, True)

    def served(self) -> dict[Slot, list[str]]:
        """Return where each copy serves."""
        found: dict[Slot, list[str]] = {}
        for machine in self.machines.values():
            for process in machine.executing():
                if process.ready_at <= self.now and not process.is_stopping:
                    found.setdefault(process.slot, []).append(machine.name)
        return found

    def present(self) -> list[Machine]:
        """Return the hosts that are up and stay."""
        machines = self.machines.values()
        return [each for each in machines if each.is_up and not each.is_paused and not each.is_leaving]

    def check_served(self) -> None:
        """Everything is as it should be."""
        present = {machine.name: machine for machine in self.present()}
        floating = next(iter(self.rules.values())).floating if present else ()
        served = self.served()
        assert served.keys() == {slot for agent in floating for slot in agent.slots}, "a copy is not served"
        assert all(len(hosts) == 1 and hosts[0] in present for hosts in served.values())
        assert sum(len(machine.executing()) for machine in self.machines.values()) == len(served)
        leases = {name: machine.state.term.lease for name, machine in present.items() if machine.state.term}
        here = {keys.host_key(CLUSTER, name): (name, lease) for name, lease in leases.items()}
        claims = {keys.claim_key(CLUSTER, slot): (hosts[0], leases[hosts[0]]) for slot, hosts in served.items()}
        places = {keys.slot_key(CLUSTER, slot): (hosts[0], NO_LEASE) for slot, hosts in served.items()}
        found = {key: (each.value, each.lease) for key, each in self.store.entries.items() if _is_ours(key)}
        coordinator, lease = found.pop(keys.coordinator_key(CLUSTER), ("", NO_LEASE))
        assert leases.get(coordinator, NO_LEASE) == lease, "nobody coordinates"
        if present:
            assert found == here | claims | places
        assert {coordination.coordinator_of(each.state, self.rules[name]) for name, each in present.items()} <= {
            coordinator
        }
        assert all(machine.state.trouble is None for machine in present.values())

    def _check_change(
        self,
        machine: Machine,
        change: facts.Change,
        before: Mapping[str, KeyValue],
        past: Mapping[str, KeyValue],
        rules: Rules,
    ) -> None:
        here = {process.slot for process in machine.executing()}
        for each in change.operations:
            if (claimed := keys.claimed_by(CLUSTER, each.key)) and not isinstance(each, Put):
                assert claimed not in here, "a claim is released of what executes"
            slot = keys.slot_of(CLUSTER, each.key)
            if slot is None:
                continue
            coordinator = before.get(keys.coordinator_key(CLUSTER))
            assert coordinator is not None, "a place is written without a coordinator"
            assert coordinator.lease in machine.leases, "a place is written by another than the coordinator"
            was = before.get(each.key)
            assert was == past.get(each.key), "a place is written over another that was not seen"
            if isinstance(each, Put):
                assert keys.host_key(CLUSTER, each.value) in past, "a copy is placed on a host that is away"
                self._check_spread(slot, each.value, past, rules)
                if was is not None:
                    self.moves += 1
                    assert keys.host_key(CLUSTER, was.value) not in past, "what is right is moved"
            else:
                assert all(slot not in agent.slots for agent in rules.floating), "a copy that is wanted has no place"

    def _check_spread(self, slot: Slot, host: str, past: Mapping[str, KeyValue], rules: Rules) -> None:
        places = [each.value for key, each in self.store.entries.items() if _agent_of(key) == slot.agent]
        there = [name for name in rules.hosts if keys.host_key(CLUSTER, name) in past]
        spread = {agent.agent: agent.spread for agent in rules.floating}
        if spread[slot.agent]:
            assert places.count(host) <= 1 + min(map(places.count, there)), "a host has two more than another one"


def _agent_of(key: str) -> str | None:
    slot = keys.slot_of(CLUSTER, key)
    return None if slot is None else slot.agent


def _is_ours(key: str) -> bool:
    return key.startswith(keys.prefix_of(CLUSTER))
