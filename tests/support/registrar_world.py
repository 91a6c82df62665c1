"""A store without a network, and registrars whose operations on it tests complete, fail, delay or let come too late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import assert_never

from quaestor_actors.core import registrar
from quaestor_actors.core.location import Location, Registration
from quaestor_actors.core.location_key import key_of
from quaestor_actors.core.registrar_state import (
    ClockAdvanced,
    Effect,
    Event,
    FollowingFailed,
    GrantLease,
    KeepAlive,
    LeaseFailed,
    LeaseGone,
    LeaseHeld,
    ListAll,
    Listed,
    OwnChanged,
    OwnComplete,
    Revoke,
    Rules,
    Tell,
    Warn,
    Watch,
    Watched,
    Write,
    WriteDone,
    WriteFailed,
)
from quaestor_actors.core.registrar_view import told
from quaestor_actors.core.registrar_writes import REWRITE_S
from quaestor_actors.core.store import NO_LEASE, Deleted, KeyValue, Listing, WatchBatch

LEASE, FOLLOW, WRITE = "lease", "follow", "write"


def at(port: int, *, incarnation: int = 1, host: str = "10.0.0.7", use_tls: bool = False) -> Registration:
    location = Location(service_name="Worker", host_name=host, port=port, use_tls=use_tls)
    return Registration(location=location, incarnation=incarnation)


def key_at(port: int) -> str:
    return key_of(at(port).location)


class SimStore:
    """Revisions, leases and history as etcd has them. What it did may be lost (`wipe`) or forgotten (`compact`)."""

    def __init__(self) -> None:
        self.now = 0.0
        self.revision = 1
        self.entries: dict[str, KeyValue] = {}
        self.leases: dict[int, tuple[float, float]] = {}
        """How long they last, and until when."""
        self.history: list[WatchBatch] = []
        self.oldest = 1
        self.revoked: set[int] = set()
        self._numbers = count(1001)

    def grant(self, ttl_s: float) -> int:
        lease = next(self._numbers)
        self.leases[lease] = (ttl_s, self.now + ttl_s)
        return lease

    def keep_alive(self, lease: int) -> bool:
        if lease not in self.leases:
            return False
        ttl_s, _ = self.leases[lease]
        self.leases[lease] = (ttl_s, self.now + ttl_s)
        return True

    def revoke(self, lease: int) -> None:
        self.revoked.add(lease)
        if self.leases.pop(lease, None):
            self.delete(*(key for key, entry in self.entries.items() if entry.lease == lease))

    def put(self, *keys: str, lease: int = NO_LEASE) -> bool:
        """Write keys at one revision; False: the lease is no more."""
        if lease != NO_LEASE and lease not in self.leases:
            return False
        revision = self.revision + 1
        for key in keys:
            made = self.entries[key].create_revision if key in self.entries else revision
            self.entries[key] = KeyValue(
                key=key, value="Worker", create_revision=made, mod_revision=revision, lease=lease
            )
        self._record([self.entries[key] for key in keys])
        return True

    def delete(self, *keys: str) -> None:
        gone = [key for key in keys if self.entries.pop(key, None)]
        self._record([Deleted(key=key, mod_revision=self.revision + 1) for key in gone])

    def wipe(self) -> None:
        """Lose everything; lease numbers alone are not used again."""
        self.revision = 1
        self.entries, self.leases, self.history, self.oldest = {}, {}, [], 1

    def compact(self) -> None:
        self.oldest = self.revision
        self.history = [batch for batch in self.history if batch.revision >= self.oldest]

    def end_of_leases(self) -> float | None:
        return min((ends_at for _, ends_at in self.leases.values()), default=None)

    def expire(self) -> None:
        for lease in [lease for lease, (_, ends_at) in self.leases.items() if ends_at <= self.now]:
            del self.leases[lease]
            self.delete(*(key for key, entry in self.entries.items() if entry.lease == lease))

    def under(self, lease: int) -> set[str]:
        return {key for key, entry in self.entries.items() if entry.lease == lease}

    def _record(self, events: Iterable[KeyValue | Deleted]) -> None:
        if happened := tuple(events):
            self.revision += 1
            self.history.append(WatchBatch(revision=self.revision, events=happened))


@dataclass(slots=True)
class Pending:
    """An operation under way: first it takes effect, then it is answered."""

    effect: GrantLease | KeepAlive | ListAll | Watch | Write
    answer: Event | None = None
    position: int | None = None
    """Of an established watch: the revision that it tells next."""

    @property
    def kind(self) -> str:
        match self.effect:
            case GrantLease() | KeepAlive():
                return LEASE
            case ListAll() | Watch():
                return FOLLOW
            case Write():
                return WRITE
            case _:
                assert_never(self.effect)


@dataclass
class Host:
    """A registrar, what it has under way, and a follower that knows only what it was told."""

    store: SimStore
    rules: Rules = field(default_factory=Rules)
    fallback: tuple[Registration, ...] = ()
    lease: int = NO_LEASE
    former: int = NO_LEASE

    def __post_init__(self) -> None:
        now = self.store.now
        self.state = registrar.create(now=now, fallback=self.fallback, lease=self.lease, former=self.former)
        self.own: dict[Location, Registration] = {}
        self.pending: dict[str, Pending] = {}
        self.stale: list[Pending] = []
        """Lists and watches that others have taken the place of; what they told may still be on its way."""
        self.told: dict[Location, Registration] | None = None
        self.leases = {self.lease, self.former} - {NO_LEASE}
        self.wake_at: float | None = None
        self.not_before: dict[str, float] = {}
        """After failures: when something of this kind may be tried again."""
        self.put_at: dict[tuple[str, int], float] = {}
        self.effects: list[Effect] = []
        self.warnings: list[str] = []
        self.writes: Counter[str] = Counter()
        self.excuses: Counter[str] = Counter()
        """Reasons to write a key; those for any key are counted under ""."""
        self.on(ClockAdvanced())

    # What happens

    def on(self, event: Event) -> list[Effect]:
        now = self.store.now
        self.state, effects = registrar.decide(self.state, event, now, self.rules)
        self.effects += effects
        for effect in effects:
            self._take(effect)
        self.wake_at = registrar.next_deadline(self.state, now, self.rules)
        assert self.wake_at is None or self.wake_at > now
        self.check(now)
        return effects

    def add(self, *added: Registration) -> list[Effect]:
        self.own |= {each.location: each for each in added}
        self.excuses.update(key_of(each.location) for each in added)
        return self.on(OwnChanged(added=added))

    def remove(self, *removed: Registration) -> list[Effect]:
        for each in removed:
            self.own.pop(each.location, None)
            self.excuses[key_of(each.location)] += 1
        return self.on(OwnChanged(removed=tuple(each.location for each in removed)))

    def complete(self) -> list[Effect]:
        return self.on(OwnComplete())

    def _take(self, effect: Effect) -> None:
        match effect:
            case GrantLease() | KeepAlive() | ListAll() | Watch() | Write():
                self._begin(Pending(effect))
            case Revoke():
                assert effect.lease in self.leases - {self.state.lease}
                self.store.revoke(effect.lease)
            case Tell():
                assert self.told is not None or effect.whole
                before = {} if self.told is None or effect.whole else self.told
                left = {place: each for place, each in before.items() if place not in effect.removed}
                self.told = left | {each.location: each for each in effect.added}
            case Warn():
                self.warnings.append(effect.text)
            case _:
                assert_never(effect)

    def _begin(self, pending: Pending) -> None:
        assert self.store.now >= self.not_before.get(pending.kind, 0.0), "tried again at once"
        before = self.pending.pop(pending.kind, None)
        if isinstance(pending.effect, Write):
            self._check_write(pending.effect)
        if before is not None:
            assert isinstance(before.effect, ListAll | Watch), "two operations at a time"
            assert isinstance(pending.effect, ListAll | Watch)
            assert pending.effect.number > before.effect.number
            self.stale.append(before)
        self.pending[pending.kind] = pending

    def _check_write(self, write: Write) -> None:
        own = {key_of(location) for location in self.own}
        puts, removals = {key for key, _ in write.puts}, {key for key, _ in write.removals}
        assert write.lease == self.state.lease
        assert puts <= own
        assert not removals & own
        assert self.state.is_complete or not removals
        assert {lease for _, lease in write.removals} <= self.leases
        assert len(puts) <= 100
        assert len(removals) <= 100
        assert puts | removals
        for key in puts:
            last = self.put_at.get((key, write.lease))
            assert last is None or self.store.now >= last + REWRITE_S - 1e-9
        self.writes.update(puts | removals)

    # What becomes of what is under way

    def perform(self, kind: str, *, parts: int = 2) -> None:
        """Let an operation take effect, or some parts of it; it is answered later."""
        pending = self.pending[kind]
        if pending.answer is None and pending.position is None:
            pending.answer = performed(pending, self.store, parts=parts)

    def answer(self, kind: str) -> list[Effect]:
        """Let an operation take effect if it has not, and answer it. Of a watch: tell what is there to tell."""
        self.perform(kind)
        pending = self.pending[kind]
        if pending.position is not None and pending.answer is None:
            return self.deliver()
        event, pending.answer = pending.answer, None
        assert event is not None
        if pending.position is None:
            del self.pending[kind]
        self._note(event)
        return self.on(event)

    def has_answer(self, kind: str) -> bool:
        """Whether there is, or can be, something to tell."""
        pending = self.pending[kind]
        return pending.answer is not None or pending.position is None or pending.position <= self.store.revision

    def deliver(self, revisions: int = 1000) -> list[Effect]:
        """Have the watch tell what has happened at so many revisions, at once."""
        batch = self._next_batch(self.pending[FOLLOW], revisions)
        if batch is None:
            return []
        self._note(batch)
        return self.on(batch)

    def _next_batch(self, pending: Pending, revisions: int) -> Watched | None:
        assert isinstance(pending.effect, Watch)
        assert pending.position is not None
        position = pending.position
        due = [batch for batch in self.store.history if batch.revision >= position][:revisions]
        if not due:
            return None
        pending.position = due[-1].revision + 1
        events = tuple(event for batch in due for event in batch.events)
        return Watched(number=pending.effect.number, batch=WatchBatch(revision=due[-1].revision, events=events))

    def fail(self, kind: str, *, refused: bool = False) -> list[Effect]:
        """Fail an operation, or break a watch; whether it has taken effect is not known to the registrar."""
        pending = self.pending.pop(kind)
        event = _failure(pending, refused=refused)
        self._note(event)
        return self.on(event)

    def deliver_late(self) -> None:
        """Let what an abandoned list or watch had told come in now."""
        stale = self.stale.pop()
        event = stale.answer
        if event is None and stale.position is not None:
            event = self._next_batch(stale, 1)
        if event is not None:
            self.on(event)

    def _note(self, event: Event) -> None:
        now = self.store.now
        match event:
            case LeaseHeld() if event.lease not in self.leases:
                self.leases.add(event.lease)
                self.excuses[""] += 1
            case Listed():
                self.excuses[""] += 1
            case Watched():
                self.excuses.update(each.key for each in event.batch.events)
            case WriteDone():
                self.put_at |= {(key, event.lease): now for key in event.put}
                for key in event.removed:
                    self.put_at.pop((key, event.lease), None)
            case WriteFailed():
                self.excuses[""] += 1
                self.not_before[WRITE] = now + _pause(refused=event.refused)
            case LeaseFailed():
                self.not_before[LEASE] = now + _pause(refused=event.refused)
            case FollowingFailed():
                self.not_before[FOLLOW] = now + _pause(refused=event.refused)
            case _:
                pass

    # What must hold at any time

    def check(self, now: float) -> None:
        state = self.state
        assert self.told == state.view
        assert {key_of(location): each for location, each in self.own.items()} == state.own
        if state.is_complete and (state.is_informed or now >= state.begun_at + self.rules.first_view_wait_s):
            assert state.view is not None
        if state.view is not None:
            assert state.is_complete
            assert state.view.items() >= self.own.items()
            assert told(replace(state, view=None), None, self.rules)[0].view == state.view
        assert self.wake_at is not None or any(each.position is None for each in self.pending.values())
        for key, number in self.writes.items():
            assert number <= self.excuses[key] + self.excuses[""]


def _pause(*, refused: bool) -> float:
    return registrar.REFUSED_RETRY_S if refused else registrar.FIRST_RETRY_S


def _failure(pending: Pending, *, refused: bool) -> Event:
    match pending.effect:
        case GrantLease() | KeepAlive():
            return LeaseFailed(reason="no answer", refused=refused)
        case ListAll(number=number) | Watch(number=number):
            return FollowingFailed(number=number, reason="no answer", refused=refused)
        case Write(puts=puts, removals=removals):
            keys = tuple(key for key, _ in puts + removals)
            return WriteFailed(keys=keys, reason="no answer", refused=refused)
        case _:
            assert_never(pending.effect)


def performed(pending: Pending, store: SimStore, *, parts: int = 2) -> Event:
    """Do an operation, or (of a write) some of its parts, and return the answer to come."""
    match pending.effect:
        case GrantLease(ttl_s=ttl_s):
            return LeaseHeld(lease=store.grant(ttl_s))
        case KeepAlive(lease=lease):
            return LeaseHeld(lease=lease) if store.keep_alive(lease) else LeaseGone(lease=lease)
        case ListAll(number=number):
            entries = tuple(store.entries[key] for key in sorted(store.entries))
            return Listed(number=number, listing=Listing(revision=store.revision, entries=entries))
        case Watch(number=number, from_revision=revision):
            if revision < store.oldest:
                return FollowingFailed(number=number, reason="compacted", compacted=True)
            pending.position = revision
            return Watched(number=number, batch=WatchBatch(revision=store.revision))
        case Write():
            return _written(pending.effect, store, parts)
        case _:
            assert_never(pending.effect)


def _written(write: Write, store: SimStore, parts: int) -> Event:
    put, removed = tuple(key for key, _ in write.puts), tuple(key for key, _ in write.removals)
    failed = WriteFailed(keys=put + removed, reason="no answer")
    if parts == 0:
        return failed
    there = [key for key, lease in write.removals if key in store.entries and store.entries[key].lease == lease]
    store.delete(*there)
    if parts == 1:
        return failed
    if put and not store.put(*put, lease=write.lease):
        return WriteFailed(keys=put + removed, reason="the lease is gone", gone=write.lease)
    return WriteDone(lease=write.lease, put=put, revision=store.revision if put else 0, removed=removed)


class World:
    """A store, registrars on it, others who write into it, and a clock."""

    def __init__(self) -> None:
        self.store = SimStore()
        self.hosts: list[Host] = []

    def pass_time(self, duration_s: float, *, answering: bool = False) -> None:
        """Let time pass, without anybody missing a wake-up; `answering`: the store is sound and answers at once."""
        end = self.store.now + duration_s
        while True:
            if answering:
                self.settle()
            wakes = (self.store.end_of_leases(), *(host.wake_at for host in self.hosts))
            due = [wake for wake in wakes if wake is not None and wake <= end]
            self.store.now = max(self.store.now, min(due, default=end))
            self.store.expire()
            for host in self.hosts:
                if host.wake_at is not None and host.wake_at <= self.store.now:
                    host.on(ClockAdvanced())
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
