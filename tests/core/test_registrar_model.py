"""The registrar under any interleaving of what its owners, the store, other writers and the clock may do.

What must hold at any time is checked by the support's `Host` at each of its steps.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from support.profiles import examples
from support.registrar_world import FOLLOW, WRITE, Host, Pending, World, at, key_at, performed
from support.simulated_store import NEVER_S

from quaestor_actors.core.location import Location
from quaestor_actors.core.location_key import key_of, location_of
from quaestor_actors.core.registrar import REFUSED_RETRY_S
from quaestor_actors.core.registrar_state import OwnComplete, Rules, Standing
from quaestor_actors.core.registrar_view import standing_of
from quaestor_actors.core.store import NO_LEASE

TTL_S = Rules().ttl_s
HOLD_S = Rules().hold_s
RECOVERY_S = 2.0
"""After it, what serves here is registered again, and the lease and the watch are there."""
EFFECTS_OF_RECOVERY = 40
"""Of one registrar, far less than without any pauses."""
EFFECTS_PER_S = 2
"""Of one registrar at rest: a lease that is kept alive."""

hosts = st.integers(0, 1)
ports = st.integers(1, 4)
mostly = st.sampled_from([True, True, True, False])
turns = st.integers(0, 2)
"""Which of the operations under way."""


class Interleavings(RuleBasedStateMachine):
    """One or two registrars of ours on a store that fails in every way, with all sorts of other writers."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.store = self.world.store
        self.late: list[Pending] = []
        """Operations that were given up, and may still take effect."""
        self.refused_until = 0.0

    @initialize(number=st.sampled_from([1, 1, 2]), complete=st.booleans(), answering=mostly)
    def begin(self, number: int, complete: bool, answering: bool) -> None:  # noqa: FBT001 - by name
        self.world.hosts = [Host(self.store) for _ in range(number)]
        for host in self.world.hosts * complete:
            host.on(OwnComplete())
        self.world.pass_time(0.0, answering=answering)

    def host(self, number: int) -> Host:
        return self.world.hosts[number % len(self.world.hosts)]

    def kind(self, number: int, turn: int) -> str | None:
        under_way = sorted(self.host(number).pending, reverse=True)
        return under_way[turn % len(under_way)] if under_way else None

    # Owners

    @rule(number=hosts, port=ports, incarnation=st.integers(1, 2))
    def serve(self, number: int, port: int, incarnation: int) -> None:
        self.host(number).add(at(port, incarnation=incarnation))

    @rule(number=hosts, port=ports)
    def cease(self, number: int, port: int) -> None:
        self.host(number).remove(at(port))

    @rule(number=hosts)
    def complete(self, number: int) -> None:
        self.host(number).on(OwnComplete())

    @rule(number=hosts, goes_on=st.booleans(), announced=st.booleans())
    def die_and_be_succeeded(self, number: int, goes_on: bool, announced: bool) -> None:  # noqa: FBT001 - by name
        before = self.host(number)
        self.late += (each for kind, each in before.pending.items() if kind != FOLLOW and each.answer is None)
        lease = before.state.lease
        lease, former = (lease, NO_LEASE) if goes_on else (NO_LEASE, lease)
        after = Host(self.store, fallback=(at(1), at(9)), lease=lease, former=former)
        self.world.hosts[number % len(self.world.hosts)] = after
        if announced:
            after.add(*before.own.values())
            after.on(OwnComplete())

    # What is under way

    @rule(number=hosts, turn=turns, parts=st.integers(1, 2))
    def take_effect(self, number: int, turn: int, parts: int) -> None:
        if kind := self.kind(number, turn):
            self.host(number).perform(kind, parts=parts)

    @rule(number=hosts, turn=turns)
    def answer(self, number: int, turn: int) -> None:
        if kind := self.kind(number, turn):
            self.host(number).answer(kind)

    @rule(number=hosts)
    def answer_all(self, number: int) -> None:
        host = self.host(number)
        for kind in sorted(host.pending):
            host.answer(kind)

    @rule(number=hosts, turn=turns, refused=st.sampled_from([False, False, False, True]), later=st.booleans())
    def fail(self, number: int, turn: int, refused: bool, later: bool) -> None:  # noqa: FBT001 - by name
        host, kind = self.host(number), self.kind(number, turn)
        if kind is None:
            return
        if later and kind != FOLLOW and host.pending[kind].answer is None:
            self.late.append(host.pending[kind])
        host.fail(kind, refused=refused)
        if refused:
            self.refused_until = self.store.now + REFUSED_RETRY_S

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def take_effect_late(self, data: st.DataObject) -> None:
        performed(self.late.pop(data.draw(st.integers(0, len(self.late) - 1))), self.store)

    @rule(number=hosts, revisions=st.integers(1, 3))
    def tell_a_part(self, number: int, revisions: int) -> None:
        watch = self.host(number).pending.get(FOLLOW)
        if watch is not None and watch.position is not None and watch.answer is None:
            self.host(number).deliver(revisions)

    @rule(number=hosts, port=ports)
    def write_is_overtaken(self, number: int, port: int) -> None:
        """What comes after a write is heard of before its answer."""
        host = self.host(number)
        if WRITE not in host.pending:
            return
        host.perform(WRITE)
        if self.late:
            performed(self.late.pop(), self.store)
        else:
            self.store.delete(key_at(port))
        self.tell_a_part(number=number, revisions=3)
        host.answer(WRITE)

    @rule(number=hosts, port=ports)
    def watch_flaps(self, number: int, port: int) -> None:
        """It ends, and ends again when it has just begun."""
        host = self.host(number)
        for _ in range(2):
            if FOLLOW in host.pending:
                host.fail(FOLLOW)
            self.store.put(key_at(port))
            self.world.pass_time(0.5)
            if FOLLOW in host.pending:
                host.answer(FOLLOW)

    @rule(number=hosts)
    def tell_late(self, number: int) -> None:
        if self.host(number).stale:
            self.host(number).deliver_late()

    # The store, and others who use it

    @rule(port=ports, dies=st.booleans())
    def other_registers(self, port: int, dies: bool) -> None:  # noqa: FBT001 - by name
        self.store.put(key_at(port), lease=self.store.grant(TTL_S if dies else NEVER_S))

    @rule(port=ports)
    def other_ceases(self, port: int) -> None:
        entry = self.store.entries.get(key_at(port))
        if entry is not None and not any(entry.lease in host.leases for host in self.world.hosts):
            self.store.revoke(entry.lease)

    @rule(port=ports)
    def original_registers(self, port: int) -> None:
        self.store.put(key_at(port))

    @rule(port=ports)
    def stranger_deletes(self, port: int) -> None:
        self.store.delete(key_at(port))

    @rule(garbage=st.sampled_from(["services/", "services/x", "services//Worker/h/0/http"]), compacts=st.booleans())
    def store_ages(self, garbage: str, compacts: bool) -> None:  # noqa: FBT001 - by name
        self.store.put(garbage)
        if compacts:
            self.store.compact()

    def lose_everything(self, number: int) -> None:
        self.store.wipe()
        # Others may be back first, and make it look as old as before.
        for port in range(1, number + 1):
            self.store.put(key_at(port))
        for host in self.world.hosts:
            for kind in sorted(host.pending):
                host.fail(kind)

    def lose_lease(self, number: int) -> None:
        self.store.revoke(self.host(number).state.lease)

    def pause(self, duration_s: float) -> None:
        self.store.now += duration_s
        self.store.expire()

    # One rule: with more of them nothing would be left to go wrong in between.
    @rule(
        number=hosts,
        disaster=st.sampled_from(["lease", "data", "pause"]),
        pause_s=st.sampled_from([0.3, 12.0, 7200.0]),
        refilled=st.integers(0, 6),
    )
    def disaster(self, number: int, disaster: str, pause_s: float, refilled: int) -> None:
        match disaster:
            case "lease":
                self.lose_lease(number)
            case "data":
                self.lose_everything(refilled)
            case _:
                self.pause(pause_s)

    # Time

    @rule(duration_s=st.sampled_from([0.01, 0.06, 0.3, 1.0, 4.0]), answering=mostly)
    def pass_time(self, duration_s: float, answering: bool) -> None:  # noqa: FBT001 - by name
        self.world.pass_time(duration_s, answering=answering)

    # What must come of it

    @rule()
    def converge(self) -> None:
        self.come_to_rest()
        before = [len(host.effects) for host in self.world.hosts]
        self.world.pass_time(RECOVERY_S + max(0.0, self.refused_until - self.store.now), answering=True)
        for host, number in zip(self.world.hosts, before, strict=True):
            assert len(host.effects) - number <= EFFECTS_OF_RECOVERY
            self.is_registered(host)
            assert set(host.told or ()) >= self.locations()
        self.world.pass_time(TTL_S + HOLD_S, answering=True)
        before = [len(host.effects) for host in self.world.hosts]
        self.world.pass_time(1.0, answering=True)
        for host, number in zip(self.world.hosts, before, strict=True):
            assert len(host.effects) - number <= EFFECTS_PER_S
            self.is_registered(host)
            assert set(host.told or ()) == self.locations()
            assert not host.state.held
            assert not host.state.dirty
            assert host.state.former == NO_LEASE
            assert host.former == NO_LEASE or host.former in self.store.ended or not self.store.under(host.former)

    def teardown(self) -> None:
        if self.world.hosts:
            self.converge()

    def come_to_rest(self) -> None:
        for host in self.world.hosts:
            host.on(OwnComplete())
            while host.stale:
                host.deliver_late()
        while self.late:
            performed(self.late.pop(), self.store)
        self.world.settle()

    def locations(self) -> set[Location | None]:
        return {location_of(key) for key in self.store.entries} - {None}

    def is_registered(self, host: Host) -> None:
        """What serves here is in the store, under a lease; nothing else is in it under any lease of this host."""
        assert host.state.trouble is None
        assert standing_of(host.state, self.store.now) is Standing.FOLLOWING
        assert not host.state.writing
        assert host.state.lease in self.store.leases
        own = {key_of(location) for location in host.own}
        ours = {key for lease in host.leases for key in self.store.under(lease)}
        assert ours == self.store.under(host.state.lease)
        assert ours <= own <= self.store.entries.keys()
        assert not own & self.store.under(NO_LEASE)


Interleavings.TestCase.settings = settings(max_examples=examples(300), stateful_step_count=30)
test_any_interleaving = Interleavings.TestCase
