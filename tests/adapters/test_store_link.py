"""What the registrar wants of a store is done, and told: the store in memory, and an etcd that is not there."""

from __future__ import annotations

import logging
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from support.ports import free_port

from quaestor_actors.adapters.store_etcd import EtcdStore
from quaestor_actors.adapters.store_link import StoreLink
from quaestor_actors.adapters.store_memory import MemoryStore
from quaestor_actors.core import owner_record
from quaestor_actors.core.coordination_state import Change, Changed, ChangeFailed
from quaestor_actors.core.owner_record import Owner
from quaestor_actors.core.registrar_state import (
    Event,
    FollowingFailed,
    GrantLease,
    KeepAlive,
    LeaseFailed,
    LeaseGone,
    LeaseHeld,
    ListAll,
    Listed,
    Revoke,
    Watch,
    Watched,
    Write,
    WriteDone,
    WriteFailed,
)
from quaestor_actors.core.spec import StoreSpec
from quaestor_actors.core.store import Deleted, HasRevision, KeyValue, Put, Store

WAIT_S = 10.0
OWNER = Owner(cluster="hello", host="a1", pid=17)

E = TypeVar("E", bound=Event | Changed | ChangeFailed)


class Story:
    """A link, and what it told."""

    def __init__(self, *stores: Store, owner: Owner | None = OWNER) -> None:
        self.told: queue.Queue[Event | Changed | ChangeFailed | BaseException] = queue.Queue()
        self.link = StoreLink(stores, prefix="services/", owner=owner, on_event=self.told.put, on_crash=self.told.put)

    def hear(self, kind: type[E]) -> E:
        """Return the next that is told; it must be of this kind."""
        event = self.told.get(timeout=WAIT_S)
        assert isinstance(event, kind), event
        return event

    def grant(self) -> int:
        self.link.perform(GrantLease(ttl_s=10))
        return self.hear(LeaseHeld).lease

    def list(self, number: int = 1) -> dict[str, KeyValue]:
        self.link.perform(ListAll(number=number))
        return {entry.key: entry for entry in self.hear(Listed).listing.entries}

    def write(self, lease: int, *keys: str) -> WriteDone:
        self.link.perform(Write(lease=lease, puts=tuple((key, "Worker") for key in keys), removals=()))
        return self.hear(WriteDone)


@contextmanager
def running(*stores: Store, owner: Owner | None = OWNER) -> Iterator[Story]:
    story = Story(*stores, owner=owner)
    story.link.start()
    try:
        yield story
    finally:
        story.link.stop()


def dead_etcd() -> EtcdStore:
    spec = StoreSpec(endpoints=(("127.0.0.1", free_port()),))
    return EtcdStore(spec, environ={}, log=logging.getLogger("test"))


def test__lease__is_granted_with_its_owners_record__kept_alive__and_revoked() -> None:
    store = MemoryStore()
    with running(store) as story:
        lease = story.grant()
        record = story.link._loop.call(store.range(owner_record.PREFIX)).result().entries[0]
        assert (owner_record.lease_of(record.key), owner_record.decode(record.value)) == (lease, OWNER)
        assert record.lease == lease
        story.link.perform(KeepAlive(lease=lease))
        assert story.hear(LeaseHeld).lease == lease
        story.link.perform(Revoke(lease=lease))
        story.link.perform(KeepAlive(lease=lease))
        assert story.hear(LeaseGone).lease == lease


def test__write_and_list() -> None:
    with running(MemoryStore()) as story:
        lease = story.grant()
        done = story.write(lease, "services/a", "services/b")
        assert done == WriteDone(lease=lease, put=("services/a", "services/b"), revision=done.revision, removed=())
        found = story.list()
        assert {key: (each.value, each.lease, each.mod_revision) for key, each in found.items()} == {
            "services/a": ("Worker", lease, done.revision),
            "services/b": ("Worker", lease, done.revision),
        }


def test__removal__leaves_what_is_somebody_elses() -> None:
    store = MemoryStore()
    with running(store) as story:
        lease, other = story.grant(), story.grant()
        story.write(lease, "services/a", "services/b", "services/c")
        story.write(other, "services/b")
        removals = tuple((key, lease) for key in ("services/a", "services/b", "services/c", "services/gone"))
        story.link.perform(Write(lease=lease, puts=(), removals=removals))
        assert story.hear(WriteDone).removed == tuple(key for key, _ in removals)
        assert set(story.list()) == {"services/b"}


def test__write_under_a_lease_that_is_gone__says_so() -> None:
    with running(MemoryStore()) as story:
        story.link.perform(Write(lease=4711, puts=(("services/a", "x"),), removals=()))
        failed = story.hear(WriteFailed)
        assert (failed.keys, failed.gone) == (("services/a",), 4711)


def test__change__is_made_if_its_conditions_hold() -> None:
    with running(MemoryStore(), owner=None) as story:
        lease = story.grant()
        change = Change(
            number=1,
            operations=(Put(key="services/a", value="x", lease=lease),),
            conditions=(HasRevision(key="services/a", mod_revision=0),),
        )
        story.link.perform(change)
        made = story.hear(Changed)
        assert (made.number, made.succeeded) == (1, True)
        assert story.list()["services/a"].mod_revision == made.revision
        story.link.perform(change)
        assert not story.hear(Changed).succeeded


def test__change_with_a_put_under_a_lease_that_is_gone__has_failed() -> None:
    with running(MemoryStore(), owner=None) as story:
        story.link.perform(Change(number=7, operations=(Put(key="services/a", value="x", lease=4711),), conditions=()))
        assert story.hear(ChangeFailed).number == 7
        assert not story.list()


def test__lease_of_nobody_in_particular__has_no_owners_record() -> None:
    store = MemoryStore()
    with running(store, owner=None) as story:
        story.grant()
        assert story.link._loop.call(store.range(owner_record.PREFIX)).result().entries == ()


def test__watch__tells_what_changes__until_another_one_takes_its_place() -> None:
    with running(MemoryStore()) as story:
        lease = story.grant()
        story.link.perform(Watch(number=1, from_revision=1))
        assert story.hear(Watched).batch.events == ()
        story.link.perform(Write(lease=lease, puts=(("services/a", "x"),), removals=()))
        # The two come in any order.
        heard = [story.told.get(timeout=WAIT_S) for _ in range(2)]
        watched = next(each for each in heard if isinstance(each, Watched))
        assert [event.key for event in watched.batch.events] == ["services/a"]
        story.link.perform(Watch(number=2, from_revision=watched.batch.revision + 1))
        assert story.hear(Watched).number == 2
        story.link.perform(Revoke(lease=lease))
        last = story.hear(Watched)
        assert (last.number, [type(event) for event in last.batch.events]) == (2, [Deleted])


def test__watch_from_a_compacted_revision__says_so() -> None:
    store = MemoryStore()
    with running(store) as story:
        done = [story.write(story.grant(), "services/a") for _ in range(3)][-1]

        async def compact() -> None:
            store.compact(done.revision)

        story.link._loop.call(compact()).result()
        story.link.perform(Watch(number=3, from_revision=1))
        failed = story.hear(FollowingFailed)
        assert (failed.number, failed.compacted) == (3, True)


def test__store_that_never_answered__gives_way_to_the_next_one() -> None:
    with running(dead_etcd(), MemoryStore()) as story:
        story.link.perform(ListAll(number=1))
        failed = story.hear(FollowingFailed)
        assert (failed.number, failed.compacted, failed.refused) == (1, False, False)
        assert "no connection to 127.0.0.1:" in failed.reason
        story.grant()
        story.list(number=2)


def test__every_operation_that_fails__says_why() -> None:
    with running(dead_etcd()) as story:
        story.link.perform(GrantLease(ttl_s=10))
        assert "no connection" in story.hear(LeaseFailed).reason
        story.link.perform(KeepAlive(lease=1))
        assert "no connection" in story.hear(LeaseFailed).reason
        story.link.perform(Watch(number=1, from_revision=1))
        assert "no connection" in story.hear(FollowingFailed).reason
        story.link.perform(Write(lease=1, puts=(("services/a", "x"),), removals=()))
        assert "no connection" in story.hear(WriteFailed).reason
        story.link.perform(Change(number=1, operations=(Put(key="services/a", value="x"),), conditions=()))
        assert "no connection" in story.hear(ChangeFailed).reason
