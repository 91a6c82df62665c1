"""How the registrar follows the store, and what its followers come to see: its rules one by one."""

from __future__ import annotations

import pytest
from support.registrar_world import FOLLOW, LEASE, WRITE, Host, World, at, key_at

from quaestor_actors.core.location import ClientTls
from quaestor_actors.core.location_key import key_of
from quaestor_actors.core.registrar import FIRST_RETRY_S, LAST_RETRY_S
from quaestor_actors.core.registrar_state import (
    OwnComplete,
    Rules,
    Standing,
    Tell,
)
from quaestor_actors.core.registrar_view import OUTAGE_S, standing_of

RULES = Rules()


@pytest.fixture
def world() -> World:
    return World()


def fail_all(host: Host) -> None:
    for kind in sorted(host.pending):
        host.fail(kind)


def outage(world: World, host: Host, *, duration_s: float = 60.0) -> None:
    """Have the store away; at the end everything is tried again."""
    end = world.store.now + duration_s
    while world.store.now < end:
        fail_all(host)
        world.pass_time(0.1)
    fail_all(host)
    host.effects.clear()


# What followers see


def test__own_registrations__count_as_their_owners_tell_them(world: World) -> None:
    host = world.start(at(1, incarnation=7))
    assert host.told == {at(1).location: at(1, incarnation=7)}
    world.store.put(key_at(1), lease=world.store.grant())
    world.settle()
    world.store.delete(key_at(1))
    world.settle()
    world.store.wipe()
    outage(world, host)
    assert not host.all(Tell)
    assert host.told == {at(1).location: at(1, incarnation=7)}


def test__registrations_of_others_and_of_the_original__are_seen(world: World) -> None:
    host = world.start(at(1))
    world.store.put(key_at(2), lease=world.store.grant())
    world.store.put(key_at(3))
    world.settle()
    assert host.ports() == [1, 2, 3]
    world.store.delete(key_at(2), key_at(3))
    world.settle()
    assert host.ports() == [1]
    assert all(not tell.whole for tell in host.all(Tell))


def test__key_that_is_deleted_and_made_again__is_another_incarnation(world: World) -> None:
    host = world.start()
    world.store.put(key_at(1))
    world.settle()
    first = dict(host.told or {})
    world.store.put(key_at(1))
    world.settle()
    assert host.told == first
    world.store.delete(key_at(1))
    world.store.put(key_at(1))
    world.settle()
    assert host.ports() == [1]
    assert host.told != first


def test__what_the_original_registered_at_our_place__is_gone_as_soon_as_it_is_ours_and_has_ceased(world: World) -> None:
    world.store.put(key_at(1))
    host = world.start()
    host.add(at(1))
    host.remove(at(1))
    assert host.ports() == [1]
    host.answer(WRITE)
    assert host.ports() == []


def test__tls_of_others__goes_by_the_service(world: World) -> None:
    tls = ClientTls(ca_certificate_file="/ca.pem")
    host = Host(world.store, rules=Rules(tls={"Secure": tls}))
    world.hosts.append(host)
    secure, plain, other = at(1, service="Secure", use_tls=True), at(2, service="Secure"), at(3, use_tls=True)
    world.store.put(*(key_of(each.location) for each in (secure, plain, other)))
    host.on(OwnComplete())
    world.settle()
    assert host.told is not None
    found = {location.port: each.tls for location, each in host.told.items()}
    assert found == {1: tls, 2: ClientTls(), 3: ClientTls()}


# What is held


def test__what_vanishes_right_after_an_outage__is_held_and_stays_the_same_when_it_comes_back(world: World) -> None:
    host = world.start()
    world.store.put(key_at(1), key_at(2), lease=world.store.grant())
    world.settle()
    before = dict(host.told or {})
    outage(world, host)
    world.pass_time(LAST_RETRY_S, answering=True)
    world.store.delete(key_at(1), key_at(2))
    world.settle()
    world.pass_time(RULES.hold_s - LAST_RETRY_S, answering=True)
    assert host.told == before
    world.store.put(key_at(1))
    world.settle()
    assert host.told == before
    world.pass_time(LAST_RETRY_S, answering=True)
    assert host.told == {at(1).location: before[at(1).location]}


def test__registrar_that_is_replaced__tells_the_same_incarnations_as_its_predecessor(world: World) -> None:
    host = world.start()
    world.store.put(key_at(1), key_at(2), lease=world.store.grant())
    world.settle()
    before = dict(host.told or {})
    outage(world, host)
    world.store.delete(key_at(1), key_at(2))
    world.store.put(key_at(1), key_at(2), lease=world.store.grant())
    world.pass_time(LAST_RETRY_S, answering=True)
    assert host.told == before
    assert world.start(after=host).told == before
    world.pass_time(RULES.hold_s, answering=True)
    world.store.delete(key_at(1))
    world.store.put(key_at(1))
    world.settle()
    assert list(host.state.carried) == [key_at(2)]
    after = world.start(after=host).told
    assert after is not None
    assert [location for location in after if after[location] != before[location]] == [at(1).location]


def test__what_a_store_has_lost_with_all_its_data__is_held(world: World) -> None:
    host = world.start()
    world.store.put(key_at(1), key_at(2))
    world.store.put(key_at(2))
    world.settle()
    before = dict(host.told or {})
    world.store.wipe()
    fail_all(host)
    world.pass_time(2 * FIRST_RETRY_S, answering=True)
    assert host.told == before
    world.store.put(key_at(2))
    world.settle()
    assert host.told == before
    world.pass_time(RULES.hold_s, answering=True)
    assert host.told == {at(2).location: before[at(2).location]}


def test__what_vanishes_after_our_lease_was_lost__is_held(world: World) -> None:
    host = world.start()
    world.store.put(key_at(1), lease=world.store.grant())
    world.settle()
    world.store.revoke(host.state.lease)
    world.pass_time(RULES.refresh_s, answering=True)
    world.store.delete(key_at(1))
    world.settle()
    assert host.ports() == [1]
    world.pass_time(RULES.hold_s, answering=True)
    assert host.ports() == []


def test__what_vanishes_at_another_time__goes_at_once(world: World) -> None:
    host = world.start()
    world.store.put(key_at(1))
    world.settle()
    outage(world, host, duration_s=OUTAGE_S / 2)
    world.pass_time(LAST_RETRY_S, answering=True)
    world.store.delete(key_at(1))
    world.settle()
    assert host.ports() == []
    outage(world, host)
    world.pass_time(RULES.hold_s + LAST_RETRY_S, answering=True)
    world.store.put(key_at(2))
    world.store.delete(key_at(2))
    world.settle()
    assert host.ports() == []


def test__what_came_back_while_it_was_held__goes_at_once_when_it_vanishes_later(world: World) -> None:
    host = world.start()
    world.store.put(key_at(1))
    world.settle()
    outage(world, host)
    world.pass_time(RULES.hold_s, answering=True)
    world.store.delete(key_at(1))
    world.settle()
    assert host.ports() == [1]
    world.store.put(key_at(1))
    world.pass_time(LAST_RETRY_S, answering=True)
    world.store.delete(key_at(1))
    world.settle()
    assert host.ports() == []


def test__what_is_held_when_the_store_goes_away_again__is_held_after_that_as_well(world: World) -> None:
    host = world.start()
    world.store.put(key_at(1))
    world.settle()
    outage(world, host)
    world.store.delete(key_at(1))
    world.pass_time(LAST_RETRY_S, answering=True)
    outage(world, host)
    assert host.ports() == [1]
    world.pass_time(RULES.hold_s, answering=True)
    assert host.ports() == [1]
    world.pass_time(LAST_RETRY_S, answering=True)
    assert host.ports() == []


def test__what_is_held_and_then_serves_here__is_gone_when_it_ceases(world: World) -> None:
    host = world.start()
    world.store.put(key_at(1))
    world.settle()
    outage(world, host)
    world.store.delete(key_at(1))
    world.pass_time(LAST_RETRY_S, answering=True)
    assert host.ports() == [1]
    host.add(at(1))
    world.settle()
    host.remove(at(1))
    assert host.ports() == []


# The first view


def test__first_view__waits_for_all_owners(world: World) -> None:
    host = Host(world.store, fallback=(at(9),))
    world.hosts.append(host)
    host.add(at(1))
    world.pass_time(2 * RULES.first_view_wait_s, answering=True)
    assert host.ports() is None
    host.on(OwnComplete())
    assert host.ports() == [1]


def test__first_view__waits_for_the_store_and_then_is_the_fallback_until_it_is_heard(world: World) -> None:
    world.store.put(key_at(2))
    host = Host(world.store, fallback=(at(8), at(9)))
    world.hosts.append(host)
    host.add(at(1))
    host.on(OwnComplete())
    assert standing_of(host.state, world.store.now) is Standing.CONNECTING
    world.pass_time(RULES.first_view_wait_s - FIRST_RETRY_S)
    assert host.ports() is None
    world.pass_time(FIRST_RETRY_S)
    assert host.ports() == [1, 8, 9]
    assert standing_of(host.state, world.store.now) is Standing.FALLBACK
    host.add(at(9, incarnation=5))
    host.remove(at(9))
    assert host.ports() == [1, 8, 9]
    world.settle()
    assert host.ports() == [1, 2]
    assert standing_of(host.state, world.store.now) is Standing.FOLLOWING


def test__fallback__never_comes_back(world: World) -> None:
    host = Host(world.store, fallback=(at(9),))
    world.hosts.append(host)
    host.on(OwnComplete())
    world.settle()
    assert host.ports() == []
    outage(world, host)
    assert host.ports() == []


# How it stands


def test__store_that_is_away__is_told_to_people_only_if_that_lasts(world: World) -> None:
    host = world.start()
    world.pass_time(RULES.refresh_s)
    host.fail(FOLLOW)
    assert standing_of(host.state, world.store.now) is Standing.FOLLOWING
    world.pass_time(OUTAGE_S - FIRST_RETRY_S)
    assert standing_of(host.state, world.store.now) is Standing.FOLLOWING
    assert host.wake_at == RULES.refresh_s + OUTAGE_S
    world.pass_time(FIRST_RETRY_S)
    assert standing_of(host.state, world.store.now) is Standing.DEGRADED
    world.settle()
    assert standing_of(host.state, world.store.now) is Standing.FOLLOWING
    assert host.state.trouble is None


@pytest.mark.parametrize("kind", [LEASE, FOLLOW])
def test__store_that_does_a_part_of_its_work__is_degraded(world: World, kind: str) -> None:
    host = world.start()
    for _ in range(100):
        world.pass_time(0.1)
        for each in sorted(host.pending):
            if each == kind:
                host.fail(each)
            else:
                host.answer(each)
    assert standing_of(host.state, world.store.now) is Standing.DEGRADED
