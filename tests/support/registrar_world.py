"""A store without a network, and registrars whose operations on it tests complete, fail, delay or let come too late."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TypeVar, assert_never

from support.simulated_store import NEVER_S, SimStore

from quaestor_actors.core import registrar
from quaestor_actors.core import registrar_state as facts
from quaestor_actors.core.location import Location, Registration
from quaestor_actors.core.location_key import key_of
from quaestor_actors.core.registrar import FIRST_RETRY_S, REFUSED_RETRY_S
from quaestor_actors.core.registrar_state import Event, GrantLease, KeepAlive, ListAll, Rules, Watch, Write
from quaestor_actors.core.registrar_view import told
from quaestor_actors.core.registrar_writes import REWRITE_S
from quaestor_actors.core.store import MAX_OPERATIONS, NO_LEASE, Listing, WatchBatch

LEASE, FOLLOW, WRITE = "lease", "follow", "write"
KINDS = {GrantLease: LEASE, KeepAlive: LEASE, ListAll: FOLLOW, Watch: FOLLOW, Write: WRITE}

E = TypeVar("E", bound=facts.Effect)


def at(port: int, *, incarnation: int = 1, service: str = "Worker", use_tls: bool = False) -> Registration:
    location = Location(service_name=service, host_name="10.0.0.7", port=port, use_tls=use_tls)
    return Registration(location=location, incarnation=incarnation)


def key_at(port: int) -> str:
    return key_of(at(port).location)


@dataclass(slots=True)
class Pending:
    """An operation under way: first it takes effect, then it is answered."""

    effect: GrantLease | KeepAlive | ListAll | Watch | Write
    answer: Event | None = None
    position: int | None = None
    """Of an established watch: the revision that it tells next."""


@dataclass
class Host:
    """A registrar, what it has under way, and a follower that knows only what it was told."""

    store: SimStore
    rules: Rules = field(default_factory=Rules)
    fallback: tuple[Registration, ...] = ()
    lease: int = NO_LEASE
    former: int = NO_LEASE
    after: Host | None = None
    """Its predecessor."""

    def __post_init__(self) -> None:
        now = self.store.now
        carried = self.after.state.carried if self.after else {}
        leases = {"lease": self.lease, "former": self.former}
        self.state = registrar.create(now=now, fallback=self.fallback, carried=carried, **leases)
        self.own: dict[Location, Registration] = {}
        self.pending: dict[str, Pending] = {}
        self.stale: list[Pending] = []
        """Lists and watches that others have taken the place of; what they told may still be on its way."""
        self.told: dict[Location, Registration] | None = None
        self.leases = {self.lease, self.former} - {NO_LEASE}
        self.wake_at: float | None = None
        self.effects: list[facts.Effect] = []
        self.not_before: dict[str, float] = {}
        """After failures: when something of this kind may be tried again."""
        self.put_at: dict[tuple[str, int], float] = {}
        self.writes: Counter[str] = Counter()
        self.excuses: Counter[str] = Counter()
        """Reasons to write a key; those for any key are counted under ""."""
        self.on(facts.ClockAdvanced())

    def on(self, event: Event) -> list[facts.Effect]:
        now = self.store.now
        self.state, effects = registrar.decide(self.state, event, now, self.rules)
        self.effects += effects
        for effect in effects:
            self._take(effect)
        self.wake_at = registrar.next_deadline(self.state, now, self.rules)
        self._check(now)
        return effects

    def add(self, *added: Registration) -> list[facts.Effect]:
        self.own |= {each.location: each for each in added}
        self.excuses.update(key_of(each.location) for each in added)
        return self.on(facts.OwnChanged(added=added))

    def remove(self, *removed: Registration) -> list[facts.Effect]:
        for each in removed:
            self.own.pop(each.location, None)
        self.excuses.update(key_of(each.location) for each in removed)
        return self.on(facts.OwnChanged(removed=tuple(each.location for each in removed)))

    def all(self, kind: type[E]) -> list[E]:
        """Return the effects of one kind so far."""
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def ports(self) -> list[int] | None:
        """Return where followers were told that something serves; None: nothing was told yet."""
        return None if self.told is None else sorted(location.port for location in self.told)

    def _take(self, effect: facts.Effect) -> None:
        match effect:
            case GrantLease() | KeepAlive() | ListAll() | Watch() | Write():
                self._begin(Pending(effect))
            case facts.Revoke():
                assert effect.lease in self.leases - {self.state.lease}
                self.store.revoke(effect.lease)
            case facts.Tell():
                assert self.told is not None or effect.whole
                before = {} if self.told is None or effect.whole else self.told
                left = {place: each for place, each in before.items() if place not in effect.removed}
                self.told = left | {each.location: each for each in effect.added}
            case facts.Warn():
                assert effect.text
            case _:
                assert_never(effect)

    def _begin(self, pending: Pending) -> None:
        kind = KINDS[type(pending.effect)]
        assert self.store.now >= self.not_before.get(kind, 0.0), "tried again at once"
        before = self.pending.pop(kind, None)
        if isinstance(pending.effect, Write):
            self._check_write(pending.effect)
        if before is not None:
            assert isinstance(before.effect, ListAll | Watch), "two operations at a time"
            assert isinstance(pending.effect, ListAll | Watch)
            assert pending.effect.number > before.effect.number
            self.stale.append(before)
        self.pending[kind] = pending

    def _check_write(self, write: Write) -> None:
        own = {key_of(location) for location in self.own}
        puts, removals = {key for key, _ in write.puts}, {key for key, _ in write.removals}
        assert write.lease == self.state.lease
        assert (puts | removals) & own == puts
        assert self.state.is_complete or not removals
        assert {lease for _, lease in write.removals} <= self.leases
        assert MAX_OPERATIONS >= max(len(puts), len(removals)) > 0
        for key in puts:
            last = self.put_at.get((key, write.lease))
            assert last is None or self.store.now >= last + REWRITE_S
        self.writes.update(puts | removals)

    def perform(self, kind: str, *, parts: int = 2) -> None:
        """Let an operation take effect, or (of a write) so many parts of it; it is answered later."""
        pending = self.pending[kind]
        if pending.answer is None and pending.position is None:
            pending.answer = performed(pending, self.store, parts=parts)

    def answer(self, kind: str) -> list[facts.Effect]:
        """Let an operation take effect if it has not, and answer it. Of a watch: tell what is there to tell."""
        self.perform(kind)
        pending = self.pending[kind]
        if pending.answer is None:
            return self.deliver()
        event, pending.answer = pending.answer, None
        if pending.position is None:
            del self.pending[kind]
        self._note(kind, event)
        return self.on(event)

    def has_answer(self, kind: str) -> bool:
        """Whether there is, or can be, something to tell."""
        pending = self.pending[kind]
        return pending.answer is not None or pending.position is None or pending.position <= self.store.revision

    def deliver(self, revisions: int = 1000) -> list[facts.Effect]:
        """Have the watch tell what has happened at so many revisions, at once."""
        if not (event := next_told(self.pending[FOLLOW], self.store, revisions)):
            return []
        if isinstance(event, facts.FollowingFailed):
            del self.pending[FOLLOW]
        self._note(FOLLOW, event)
        return self.on(event)

    def fail(self, kind: str, *, refused: bool = False) -> list[facts.Effect]:
        """Fail an operation, or break a watch; whether it has taken effect is not known to the registrar."""
        event = _failure(self.pending.pop(kind), refused=refused)
        self._note(kind, event)
        return self.on(event)

    def deliver_late(self) -> None:
        """Let what an abandoned list or watch had told come in now."""
        stale = self.stale.pop()
        if event := stale.answer or (next_told(stale, self.store, 1) if stale.position is not None else None):
            self.on(event)

    def _note(self, kind: str, event: Event) -> None:
        now = self.store.now
        match event:
            case facts.LeaseHeld() if event.lease not in self.leases:
                self.leases.add(event.lease)
                self.excuses[""] += 1
            case facts.Listed():
                self.excuses[""] += 1
            case facts.Watched():
                self.excuses.update(each.key for each in event.batch.events)
            case facts.WriteDone():
                self.put_at |= {(key, event.lease): now for key in event.put}
                for key in event.removed:
                    self.put_at.pop((key, event.lease), None)
            case facts.LeaseFailed() | facts.WriteFailed():
                self.excuses[""] += kind == WRITE
                self.not_before[kind] = now + (REFUSED_RETRY_S if event.refused else FIRST_RETRY_S)
            case facts.FollowingFailed() if event.number == self.state.follow_number:
                self.not_before[kind] = now + (REFUSED_RETRY_S if event.refused else FIRST_RETRY_S)
            case _:
                pass

    def _check(self, now: float) -> None:
        """Check what must hold at any time."""
        state = self.state
        assert self.told == state.view
        assert {key_of(location): each for location, each in self.own.items()} == state.own
        assert not state.held.keys() & self.own.keys()
        if state.is_complete and (state.is_informed or now >= state.begun_at + self.rules.first_view_wait_s):
            assert state.view is not None
        if state.view is not None:
            assert state.is_complete
            assert state.view.items() >= self.own.items()
            assert told(replace(state, view=None), None, self.rules)[0].view == state.view
        assert self.wake_at is None or self.wake_at > now
        assert self.wake_at is not None or any(each.position is None for each in self.pending.values())
        for key, number in self.writes.items():
            assert number <= self.excuses[key] + self.excuses[""]


@dataclass(slots=True)
class World:
    """A store, registrars on it, and a clock."""

    store: SimStore = field(default_factory=SimStore)
    hosts: list[Host] = field(default_factory=list)

    def start(self, *own: Registration, lease: int = NO_LEASE, after: Host | None = None) -> Host:
        """Return a registrar that has registered everything and follows the store; that it did so is forgotten."""
        host = Host(self.store, lease=lease, after=after)
        self.hosts.append(host)
        host.add(*own)
        host.on(facts.OwnComplete())
        self.settle()
        host.effects.clear()
        return host

    def pass_time(self, duration_s: float, *, answering: bool = False) -> None:
        """Let time pass, without anybody missing a wake-up; `answering`: the store is sound and answers at once."""
        end = self.store.now + duration_s
        while True:
            if answering:
                self.settle()
            wakes = [host.wake_at for host in self.hosts if host.wake_at is not None]
            due = [wake for wake in (*wakes, *(ends for _, ends in self.store.leases.values())) if wake <= end]
            self.store.now = max(self.store.now, min(due, default=end))
            self.store.expire()
            for host in self.hosts:
                if host.wake_at is not None and host.wake_at <= self.store.now:
                    host.on(facts.ClockAdvanced())
            if not due:
                return

    def settle(self) -> None:
        """Have all that is under way take effect and be answered, and what follows from that as well."""
        for _ in range(100):
            busy = [(host, kind) for host in self.hosts for kind in host.pending if host.has_answer(kind)]
            if not busy:
                return
            for host, kind in busy:
                if kind in host.pending:
                    host.answer(kind)
        raise AssertionError("it does not come to rest")


def _failure(pending: Pending, *, refused: bool) -> Event:
    match pending.effect:
        case GrantLease() | KeepAlive():
            return facts.LeaseFailed(reason="no answer", refused=refused)
        case ListAll(number=number) | Watch(number=number):
            return facts.FollowingFailed(number=number, reason="no answer", refused=refused)
        case Write(puts=puts, removals=removals):
            keys = tuple(key for key, _ in puts + removals)
            return facts.WriteFailed(keys=keys, reason="no answer", refused=refused)
        case _:
            assert_never(pending.effect)


def performed(pending: Pending, store: SimStore, *, parts: int = 2) -> Event:
    """Do an operation, or (of a write) so many parts of it, and return the answer to come."""
    match pending.effect:
        case GrantLease(ttl_s=ttl_s):
            return facts.LeaseHeld(lease=store.grant(ttl_s), ttl_s=ttl_s)
        case KeepAlive(lease=lease):
            return (
                facts.LeaseHeld(lease=lease, ttl_s=NEVER_S) if store.keep_alive(lease) else facts.LeaseGone(lease=lease)
            )
        case ListAll(number=number):
            entries = tuple(store.entries[key] for key in sorted(store.entries))
            return facts.Listed(number=number, listing=Listing(revision=store.revision, entries=entries))
        case Watch(number=number, from_revision=revision):
            if revision < store.oldest:
                return facts.FollowingFailed(number=number, reason="compacted", compacted=True)
            pending.position = revision
            return facts.Watched(number=number, batch=WatchBatch(revision=store.revision))
        case Write():
            return _written(pending.effect, store, parts)
        case _:
            assert_never(pending.effect)


def _written(write: Write, store: SimStore, parts: int) -> Event:
    put, removed = tuple(key for key, _ in write.puts), tuple(key for key, _ in write.removals)
    store.delete(*(key for key, lease in write.removals if key in store.under(lease)))
    if parts == 1:
        return facts.WriteFailed(keys=put + removed, reason="no answer")
    if put and not store.put(*put, lease=write.lease):
        return facts.WriteFailed(keys=put + removed, reason="the lease is gone", gone=write.lease)
    return facts.WriteDone(lease=write.lease, put=put, revision=store.revision if put else 0, removed=removed)


def next_told(watch: Pending, store: SimStore, revisions: int) -> facts.Watched | facts.FollowingFailed | None:
    """Return what an established watch tells next, of so many revisions."""
    position = watch.position
    assert isinstance(watch.effect, Watch)
    assert position is not None
    if position < store.oldest:
        return facts.FollowingFailed(number=watch.effect.number, reason="compacted", compacted=True)
    due = [batch for batch in store.history if batch.revision >= position][:revisions]
    if not due:
        return None
    watch.position = due[-1].revision + 1
    events = tuple(event for batch in due for event in batch.events)
    return facts.Watched(number=watch.effect.number, batch=WatchBatch(revision=due[-1].revision, events=events))
