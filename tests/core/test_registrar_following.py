"""How the registrar follows the store: listed once, then watched, and listed again if a watch would not do."""

from __future__ import annotations

from itertools import pairwise

import pytest
from support.registrar_world import FOLLOW, LEASE, Host, World, at, key_at

from quaestor_actors.core.registrar import FIRST_RETRY_S, LAST_RETRY_S, REFUSED_RETRY_S
from quaestor_actors.core.registrar_state import (
    Event,
    FollowingFailed,
    ListAll,
    Listed,
    OwnComplete,
    Rules,
    Warn,
    Watch,
    Watched,
)
from quaestor_actors.core.store import Listing, WatchBatch

RULES = Rules()


@pytest.fixture
def world() -> World:
    return World()


def test__store__is_listed_and_then_watched_from_the_next_revision(world: World) -> None:
    world.store.put(key_at(1))
    world.store.put(key_at(2))
    host = Host(world.store)
    host.answer(FOLLOW)
    assert host.all(ListAll) == [ListAll(number=1)]
    assert host.all(Watch) == [Watch(number=2, from_revision=world.store.revision + 1)]


def test__broken_watch__is_resumed_after_the_last_change_that_was_told(world: World) -> None:
    host = world.start()
    world.store.put(key_at(1))
    host.answer(FOLLOW)
    last = world.store.revision
    world.store.put(key_at(2))
    host.fail(FOLLOW)
    assert not host.all(Watch)
    world.pass_time(FIRST_RETRY_S)
    assert [watch.from_revision for watch in host.all(Watch)] == [last + 1]
    world.settle()
    assert host.ports() == [1, 2]
    assert not host.all(ListAll)


def test__first_word_of_a_watch__does_not_move_the_place_to_resume_from(world: World) -> None:
    host = world.start()
    last = world.store.revision
    host.fail(FOLLOW)
    for port in range(1, 9):
        world.store.put(key_at(port))
    world.pass_time(FIRST_RETRY_S)
    host.answer(FOLLOW)
    host.fail(FOLLOW)
    world.pass_time(FIRST_RETRY_S)
    assert [watch.from_revision for watch in host.all(Watch)] == [last + 1, last + 1]


def test__watch_that_was_told_a_part__is_resumed_after_that(world: World) -> None:
    host = world.start()
    world.store.put(key_at(1))
    told = world.store.revision
    world.store.put(key_at(2))
    host.deliver(1)
    host.fail(FOLLOW)
    world.pass_time(FIRST_RETRY_S)
    assert [watch.from_revision for watch in host.all(Watch)] == [told + 1]


def test__compacted_store__is_listed_after_a_pause(world: World) -> None:
    host = world.start()
    world.store.put(key_at(1))
    world.store.put(key_at(2))
    world.store.delete(key_at(1))
    world.store.compact()
    host.answer(FOLLOW)
    assert not host.all(ListAll)
    world.pass_time(FIRST_RETRY_S, answering=True)
    assert len(host.all(ListAll)) == 1
    assert host.ports() == [2]
    assert host.state.trouble is None


def test__store_that_has_lost_its_data__is_listed_and_written_again(world: World) -> None:
    host = world.start(at(1))
    for _ in range(5):
        world.store.put(key_at(2))
    world.settle()
    world.store.wipe()
    for kind in sorted(host.pending):
        host.fail(kind)
    world.pass_time(2.0, answering=True)
    assert host.all(ListAll)
    assert world.store.under(host.state.lease) == {key_at(1)}
    assert host.state.revision == world.store.revision


def test__without_a_lease_to_lose__the_store_is_listed_after_an_outage(world: World) -> None:
    host = Host(world.store)
    world.hosts.append(host)
    host.on(OwnComplete())
    world.store.put(key_at(1))
    host.answer(FOLLOW)
    host.fail(LEASE)
    # It has lost its data, and has as many revisions as before.
    world.store.wipe()
    world.store.put(key_at(2))
    host.fail(FOLLOW)
    world.pass_time(RULES.hold_s + FIRST_RETRY_S, answering=True)
    assert host.ports() == [2]


def test__what_comes_of_an_abandoned_watch_or_list__is_dropped(world: World) -> None:
    host = world.start()
    number = host.state.follow_number
    host.on(FollowingFailed(number=number, reason="no answer"))
    before = host.state
    batch = WatchBatch(revision=99)
    host.on(Watched(number=number, batch=batch))
    host.on(Listed(number=number, listing=Listing(revision=99, entries=())))
    host.on(FollowingFailed(number=number, reason="no answer", compacted=True))
    assert host.state == before


def test__garbage__is_skipped_with_one_warning(world: World) -> None:
    world.store.put("services/x", "services//Worker/h/0/http", key_at(1))
    host = Host(world.store)
    world.hosts.append(host)
    host.on(OwnComplete())
    world.settle()
    world.store.put("services/y")
    world.store.delete("services/x")
    world.settle()
    assert host.ports() == [1]
    assert len(host.all(Warn)) == 1
    assert "services//Worker/h/0/http" in host.all(Warn)[0].text


def test__store_that_refuses__is_tried_again_late(world: World) -> None:
    host = Host(world.store)
    world.hosts.append(host)
    host.fail(FOLLOW, refused=True)
    world.pass_time(REFUSED_RETRY_S - FIRST_RETRY_S)
    assert len(host.all(ListAll)) == 1
    world.pass_time(FIRST_RETRY_S)
    assert len(host.all(ListAll)) == 2


def test__store_that_is_away__is_tried_again_at_growing_pauses(world: World) -> None:
    host = world.start()
    tries = []
    for _ in range(1200):
        if FOLLOW in host.pending:
            tries.append(world.store.now)
            host.fail(FOLLOW)
        world.pass_time(0.01)
    pauses = [after - before for before, after in pairwise(tries)]
    assert pauses[0] == pytest.approx(FIRST_RETRY_S, abs=0.02)
    assert pauses[-1] == pytest.approx(LAST_RETRY_S, abs=0.02)
    assert all(later >= earlier - 0.02 for earlier, later in pairwise(pauses))


@pytest.mark.parametrize("fault", ["compacted", "behind"])
def test__store_that_never_lets_itself_be_watched__is_not_listed_without_pauses(world: World, fault: str) -> None:
    host = world.start()
    world.store.put(key_at(1))
    world.settle()
    host.fail(FOLLOW)
    for _ in range(1000):
        pending = host.pending.pop(FOLLOW, None)
        if pending is not None and isinstance(pending.effect, ListAll):
            listing = Listing(revision=world.store.revision, entries=())
            host.on(Listed(number=pending.effect.number, listing=listing))
        elif pending is not None:
            number = pending.effect.number if isinstance(pending.effect, Watch) else 0
            answers: dict[str, Event] = {
                "compacted": FollowingFailed(number=number, reason="compacted", compacted=True),
                "behind": Watched(number=number, batch=WatchBatch(revision=1)),
            }
            host.on(answers[fault])
        world.pass_time(0.01)
    assert 10 <= len(host.all(ListAll)) <= 10.0 / FIRST_RETRY_S
