"""The registrar's lease, and what it writes under it and deletes: its rules one by one."""

from __future__ import annotations

import pytest
from support.registrar_world import FOLLOW, LEASE, WRITE, Host, World, at, key_at
from support.simulated_store import NEVER_S

from quaestor_actors.core.registrar import FIRST_RETRY_S, LAST_RETRY_S, REFUSED_RETRY_S
from quaestor_actors.core.registrar_state import (
    GrantLease,
    KeepAlive,
    LeaseGone,
    LeaseHeld,
    ListAll,
    OwnComplete,
    Revoke,
    Rules,
    Standing,
    Write,
    WriteFailed,
)
from quaestor_actors.core.registrar_view import standing_of
from quaestor_actors.core.registrar_writes import REWRITE_S
from quaestor_actors.core.store import NO_LEASE

RULES = Rules()


@pytest.fixture
def world() -> World:
    return World()


# The lease


def test__at_the_start__lease_is_granted_and_store_listed_at_once(world: World) -> None:
    host = Host(world.store)
    assert host.effects == [GrantLease(ttl_s=RULES.ttl_s), ListAll(number=1)]


def test__lease__is_kept_alive_every_refresh(world: World) -> None:
    host = world.start()
    world.pass_time(10 * RULES.refresh_s, answering=True)
    assert host.effects == 10 * [KeepAlive(lease=host.state.lease)]


def test__lease_of_a_predecessor__is_gone_on_with(world: World) -> None:
    lease = world.store.grant(RULES.ttl_s)
    world.store.put(key_at(1), key_at(2), lease=lease)
    before = dict(world.store.entries)
    host = world.start(at(1), lease=lease)
    assert host.state.lease == lease
    assert world.store.entries == {key_at(1): before[key_at(1)]}


def test__lease_of_a_predecessor__that_has_ended__is_replaced(world: World) -> None:
    host = world.start(at(1), lease=99)
    assert host.state.lease != 99
    assert world.store.under(host.state.lease) == {key_at(1)}


def test__former_lease__is_revoked_after_everything_has_moved(world: World) -> None:
    former = world.store.grant(RULES.ttl_s)
    world.store.put(key_at(1), key_at(2), lease=former)
    made = world.store.entries[key_at(1)].create_revision
    host = Host(world.store, former=former)
    world.hosts.append(host)
    host.add(at(1))
    world.settle()
    assert world.store.under(host.state.lease) == {key_at(1)}
    assert world.store.under(former) == {key_at(2)}
    assert not host.all(Revoke)
    host.on(OwnComplete())
    assert not host.all(Revoke)
    world.settle()
    assert host.all(Revoke) == [Revoke(lease=former)]
    assert world.store.entries.keys() == {key_at(1)}
    assert world.store.entries[key_at(1)].create_revision == made


def test__lost_lease__is_replaced_and_all_is_listed_and_written_again(world: World) -> None:
    host = world.start(at(1), at(2))
    lost = host.state.lease
    world.store.revoke(lost)
    world.pass_time(RULES.refresh_s + FIRST_RETRY_S, answering=True)
    assert host.all(ListAll)
    assert host.state.lease != lost
    assert world.store.under(host.state.lease) == {key_at(1), key_at(2)}


@pytest.mark.parametrize("answer", ["held", "gone", "failed"])
def test__lease_found_gone_by_a_write_while_kept_alive__is_replaced_once(world: World, answer: str) -> None:
    host = world.start()
    lost = host.state.lease
    world.pass_time(RULES.refresh_s)
    assert host.all(KeepAlive)
    world.store.revoke(lost)
    host.add(at(1))
    host.answer(WRITE)
    assert not host.all(GrantLease)
    if answer == "failed":
        host.fail(LEASE)
        world.pass_time(FIRST_RETRY_S)
    else:
        del host.pending[LEASE]
        host.on(LeaseHeld(lease=lost, ttl_s=10.0) if answer == "held" else LeaseGone(lease=lost))
    assert len(host.all(GrantLease)) == 1
    world.pass_time(FIRST_RETRY_S, answering=True)
    assert len(host.all(GrantLease)) == 1
    assert world.store.under(host.state.lease) == {key_at(1)}


def test__write_that_finds_the_lease_gone__does_not_hurry_a_lease_that_failed_just_now(world: World) -> None:
    host = world.start()
    world.pass_time(RULES.refresh_s)
    host.add(at(1))
    host.fail(LEASE)
    world.store.revoke(host.state.lease)
    host.answer(WRITE)
    assert not host.all(GrantLease)
    world.pass_time(FIRST_RETRY_S)
    assert len(host.all(GrantLease)) == 1


# What is written


def test__what_serves__is_written_under_the_lease(world: World) -> None:
    host = world.start()
    host.add(at(1))
    assert host.all(Write) == [Write(lease=host.state.lease, puts=((key_at(1), "Worker"),), removals=())]
    world.settle()
    assert world.store.under(host.state.lease) == {key_at(1)}


def test__what_ceases__is_deleted(world: World) -> None:
    host = world.start(at(1), at(2))
    host.remove(at(1))
    assert host.all(Write) == [Write(lease=host.state.lease, puts=(), removals=((key_at(1), host.state.lease),))]
    world.settle()
    assert world.store.entries.keys() == {key_at(2)}


def test__what_ceases_while_it_is_written__is_deleted_without_waiting_for_the_watch(world: World) -> None:
    host = world.start()
    host.add(at(1))
    host.remove(at(1))
    host.answer(WRITE)
    host.answer(WRITE)
    assert not world.store.entries


def test__before_all_owners_have_told__nothing_is_deleted(world: World) -> None:
    lease = world.store.grant(NEVER_S)
    world.store.put(key_at(1), key_at(2), lease=lease)
    host = Host(world.store, lease=lease)
    world.hosts.append(host)
    host.add(at(1), at(3))
    world.pass_time(5.0, answering=True)
    assert world.store.under(lease) == {key_at(1), key_at(2), key_at(3)}
    host.on(OwnComplete())
    world.settle()
    assert world.store.under(lease) == {key_at(1), key_at(3)}


def test__key_under_the_lease_of_another__is_left_alone_until_that_ends(world: World) -> None:
    other = world.store.grant()
    world.store.put(key_at(1), lease=other)
    host = world.start(at(1))
    world.pass_time(5.0, answering=True)
    host.remove(at(1))
    host.add(at(1))
    assert not host.all(Write)
    world.store.revoke(other)
    world.settle()
    assert world.store.under(host.state.lease) == {key_at(1)}


def test__key_of_the_original__is_put_under_our_lease_if_it_is_ours_and_left_alone_if_not(world: World) -> None:
    world.store.put(key_at(1))
    world.store.put(key_at(2))
    host = world.start(at(1))
    world.pass_time(5.0, answering=True)
    assert world.store.under(host.state.lease) == {key_at(1)}
    assert world.store.under(NO_LEASE) == {key_at(2)}


def test__key_that_a_stranger_deletes_all_the_time__is_written_once_a_second(world: World) -> None:
    host = world.start(at(1))
    for _ in range(100):
        world.store.delete(key_at(1))
        world.pass_time(REWRITE_S / 10, answering=True)
    assert 9 <= len(host.all(Write)) <= 11
    world.pass_time(REWRITE_S, answering=True)
    assert world.store.under(host.state.lease) == {key_at(1)}


def test__key_that_a_stranger_has_deleted__is_written_as_soon_as_that_may_be(world: World) -> None:
    host = Host(world.store, rules=Rules(refresh_s=3600.0))
    world.hosts.append(host)
    world.settle()
    world.pass_time(0.3)
    host.add(at(1))
    world.settle()
    world.store.delete(key_at(1))
    world.settle()
    assert host.wake_at == 0.3 + REWRITE_S
    world.pass_time(REWRITE_S, answering=True)
    assert world.store.under(host.state.lease) == {key_at(1)}


def test__service_that_ceases_and_serves_again_at_once__is_written_at_once(world: World) -> None:
    host = world.start(at(1))
    host.remove(at(1))
    world.settle()
    host.add(at(1, incarnation=2))
    world.settle()
    assert world.store.under(host.state.lease) == {key_at(1)}


def test__many_keys__are_written_and_deleted_a_hundred_at_a_time(world: World) -> None:
    host = world.start()
    many = [at(port) for port in range(1, 251)]
    host.add(*many)
    world.settle()
    assert [len(write.puts) for write in host.all(Write)] == [100, 100, 50]
    assert len(world.store.entries) == 250
    host.remove(*many)
    world.settle()
    assert [len(write.removals) for write in host.all(Write)[3:]] == [100, 100, 50]
    assert not world.store.entries


def test__while_the_lease_is_in_doubt__nothing_is_written(world: World) -> None:
    host = world.start()
    world.pass_time(RULES.refresh_s)
    host.fail(LEASE)
    host.add(at(1))
    assert not host.all(Write)
    world.pass_time(FIRST_RETRY_S, answering=True)
    assert world.store.under(host.state.lease) == {key_at(1)}


# What becomes of writes


def test__failed_write__is_tried_again_soon(world: World) -> None:
    host = world.start()
    host.add(at(1))
    host.fail(WRITE)
    world.pass_time(FIRST_RETRY_S, answering=True)
    assert world.store.under(host.state.lease) == {key_at(1)}
    world.pass_time(RULES.refresh_s, answering=True)
    assert host.state.trouble is None


def test__refused_write__is_tried_again_late(world: World) -> None:
    host = world.start()
    host.add(at(1))
    host.fail(WRITE, refused=True)
    world.pass_time(REFUSED_RETRY_S - FIRST_RETRY_S, answering=True)
    assert len(host.all(Write)) == 1
    world.pass_time(FIRST_RETRY_S, answering=True)
    assert world.store.under(host.state.lease) == {key_at(1)}


def test__write_that_failed_but_took_effect__is_not_repeated(world: World) -> None:
    host = world.start()
    host.add(at(1))
    host.perform(WRITE)
    host.fail(WRITE)
    host.answer(FOLLOW)
    world.pass_time(5.0, answering=True)
    assert len(host.all(Write)) == 1


def test__deletion_that_is_heard_of_before_the_answer_to_our_write__is_not_overlooked(world: World) -> None:
    host = world.start()
    host.add(at(1))
    host.perform(WRITE)
    world.store.delete(key_at(1))
    host.answer(FOLLOW)
    host.answer(WRITE)
    world.pass_time(REWRITE_S, answering=True)
    assert world.store.under(host.state.lease) == {key_at(1)}


def test__echo_that_is_older_than_our_own_write__is_ignored(world: World) -> None:
    world.store.put(key_at(1))
    host = world.start()
    world.store.delete(key_at(1))
    host.add(at(1))
    host.answer(WRITE)
    host.deliver(1)
    world.pass_time(2 * REWRITE_S)
    assert len(host.all(Write)) == 1
    host.remove(at(1))
    assert len(host.all(Write)) == 2


def test__write_under_a_lease_that_was_lost_meanwhile__is_repeated_under_the_next(world: World) -> None:
    host = world.start()
    host.add(at(1))
    host.perform(WRITE)
    lost = host.state.lease
    world.store.revoke(lost)
    del host.pending[FOLLOW]
    world.pass_time(RULES.refresh_s)
    host.answer(LEASE)
    host.answer(LEASE)
    host.answer(FOLLOW)
    host.answer(WRITE)
    world.settle()
    assert host.state.lease != lost
    assert world.store.under(host.state.lease) == {key_at(1)}


def test__key_that_a_late_write_brings_back_while_it_is_deleted__is_deleted_again(world: World) -> None:
    host = world.start(at(1))
    host.remove(at(1))
    host.perform(WRITE)
    # A write that was given up long ago takes effect now.
    world.store.put(key_at(1), lease=host.state.lease)
    host.answer(FOLLOW)
    host.answer(WRITE)
    world.settle()
    assert not world.store.entries


def test__deletion__does_not_touch_what_has_gone_to_another(world: World) -> None:
    host = world.start(at(1))
    host.remove(at(1))
    other = world.store.grant()
    world.store.put(key_at(1), lease=other)
    world.settle()
    assert world.store.under(other) == {key_at(1)}
    assert host.ports() == [1]


def test__writes_that_fail_for_long__are_tried_again_at_growing_pauses_and_told_to_people(world: World) -> None:
    host = world.start()
    host.add(at(1))
    for _ in range(600):
        if WRITE in host.pending:
            host.fail(WRITE)
        world.pass_time(0.1)
        for kind in sorted({LEASE, FOLLOW} & host.pending.keys()):
            host.answer(kind)
    assert len(host.all(Write)) <= 60 / LAST_RETRY_S + 10
    assert standing_of(host.state, world.store.now) is Standing.DEGRADED
    world.pass_time(LAST_RETRY_S + RULES.refresh_s, answering=True)
    assert standing_of(host.state, world.store.now) is Standing.FOLLOWING
    assert world.store.under(host.state.lease) == {key_at(1)}


def test__lease_that_every_write_finds_gone__is_not_asked_for_without_pauses(world: World) -> None:
    host = world.start()
    host.add(at(1))
    for _ in range(600):
        if (pending := host.pending.pop(WRITE, None)) is not None:
            assert isinstance(pending.effect, Write)
            host.on(WriteFailed(keys=(key_at(1),), reason="gone", gone=pending.effect.lease))
        world.pass_time(0.1)
        for kind in sorted({LEASE, FOLLOW} & host.pending.keys()):
            host.answer(kind)
    assert len(host.all(Write)) <= 60 / LAST_RETRY_S + 10
    assert len(host.all(GrantLease)) <= len(host.all(Write))
