"""What a host writes into the store of its cluster, and on which conditions: the rules one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quaestor_actors.core import cluster_keys as keys
from quaestor_actors.core import coordination
from quaestor_actors.core.coordination import RETRY_S
from quaestor_actors.core.coordination_state import (
    Change,
    Changed,
    ClockAdvanced,
    Effect,
    Event,
    FollowingFailed,
    Grant,
    GrantLease,
    Kill,
    LeaseGone,
    LeaseHeld,
    Leaving,
    ListAll,
    Listed,
    Revoke,
    Rules,
    RunningChanged,
    Watched,
)
from quaestor_actors.core.placement import Floating, Slot
from quaestor_actors.core.store import (
    MAX_OPERATIONS,
    NO_LEASE,
    Delete,
    Deleted,
    HasLease,
    HasRevision,
    KeyValue,
    Listing,
    Put,
    WatchBatch,
)

CONDITIONS = 128
"""So many may a transaction of etcd have, as it has operations."""
LEASE, OTHER = 7, 8
SLOT = Slot("Worker", 1)
RULES = Rules(cluster="demo", host="a1", hosts=("a1", "a2"), floating=(Floating(agent="Worker", count=1),))


def entry(key: str, value: str, revision: int, lease: int = NO_LEASE) -> KeyValue:
    return KeyValue(key=key, value=value, create_revision=revision, mod_revision=revision, lease=lease)


HERE = entry(keys.host_key("demo", "a1"), "a1", 2, LEASE)
THERE = entry(keys.host_key("demo", "a2"), "a2", 2, OTHER)
COORDINATES = entry(keys.coordinator_key("demo"), "a1", 3, LEASE)
FOLLOWS = entry(keys.coordinator_key("demo"), "a2", 3, OTHER)
PLACE = entry(keys.slot_key("demo", SLOT), "a1", 4)
ELSEWHERE = entry(keys.slot_key("demo", SLOT), "a2", 6)
CLAIM = entry(keys.claim_key("demo", SLOT), "a1", 5, LEASE)
CLAIMED = entry(keys.claim_key("demo", SLOT), "a2", 5, OTHER)


class Host:
    """The machine, which has a lease and follows a store with these keys."""

    def __init__(self, *entries: KeyValue, rules: Rules = RULES) -> None:
        self.now, self.rules = 1000.0, rules
        self.state = coordination.create(now=self.now)
        self.on(ClockAdvanced())
        self.on(LeaseHeld(lease=LEASE, ttl_s=rules.ttl_s))
        listing = Listing(revision=9, entries=entries)
        self.first = self.on(Listed(number=self.state.follow_number, listing=listing))

    def on(self, event: Event, *, after_s: float = 0.0) -> list[Effect]:
        self.now += after_s
        self.state, effects = coordination.decide(self.state, event, self.now, self.rules)
        return effects

    def hear(self, *events: KeyValue | Deleted) -> list[Effect]:
        revision = max(event.mod_revision for event in events)
        batch = WatchBatch(revision=revision, events=events)
        return self.on(Watched(number=self.state.follow_number, batch=batch))

    def runs(self, *slots: Slot, heeded: int = 0) -> list[Effect]:
        """Say what runs; `heeded`: how many grants before the last one is the last one that was heeded."""
        return self.on(RunningChanged(running=frozenset(slots), grant=self.state.grant - heeded))


def changes(effects: list[Effect]) -> list[Change]:
    return [effect for effect in effects if isinstance(effect, Change)]


def grants(effects: list[Effect]) -> list[dict[Slot, int]]:
    return [dict(effect.slots) for effect in effects if isinstance(effect, Grant)]


# That it is there, and who coordinates


def test__host__says_that_it_is_there_unless_somebody_of_its_name_is() -> None:
    assert changes(Host().first) == [
        Change(
            number=1,
            operations=(Put(key=HERE.key, value="a1", lease=LEASE),),
            conditions=(HasRevision(key=HERE.key, mod_revision=0),),
        )
    ]


def test__host_of_its_name_under_another_lease__is_waited_for() -> None:
    host = Host(replace(HERE, lease=OTHER), FOLLOWS)
    assert not changes(host.first)
    assert changes(host.hear(Deleted(key=HERE.key, mod_revision=10)))


def test__host_that_is_there__coordinates_unless_somebody_does() -> None:
    (change,) = changes(Host(HERE).first)
    assert change.operations == (Put(key=COORDINATES.key, value="a1", lease=LEASE),)
    assert change.conditions == (HasRevision(key=COORDINATES.key, mod_revision=0),)
    assert not changes(Host(HERE, FOLLOWS).first)


def test__change__is_decided_on_after_the_echo_of_the_last() -> None:
    host = Host()
    assert not changes(host.on(Changed(number=1, succeeded=True, revision=10)))
    assert len(changes(host.hear(replace(HERE, mod_revision=10)))) == 1


def test__echo_before_the_answer__the_answer_is_waited_for() -> None:
    host = Host()
    assert not changes(host.hear(replace(HERE, mod_revision=10)))
    assert len(changes(host.on(Changed(number=1, succeeded=True, revision=10)))) == 1


def test__change_whose_conditions_do_not_hold__is_decided_on_again_soon() -> None:
    host = Host()
    assert not changes(host.on(Changed(number=1, succeeded=False, revision=12)))
    assert coordination.next_deadline(host.state, host.now, RULES) == host.now + RETRY_S
    assert len(changes(host.on(ClockAdvanced(), after_s=RETRY_S))) == 1


def test__host_whose_lease_is_nearly_over__changes_nothing() -> None:
    host = Host(HERE, FOLLOWS)
    host.on(ClockAdvanced(), after_s=RULES.ttl_s - RULES.margin_s)
    assert not changes(host.hear(Deleted(key=FOLLOWS.key, mod_revision=10)))


# Where copies are to run


def test__coordinator__places_copies_while_it_coordinates_and_nobody_else_has() -> None:
    (change,) = changes(Host(HERE, COORDINATES).first)
    assert change.operations == (Put(key=PLACE.key, value="a1"),)
    assert change.conditions == (
        HasLease(key=COORDINATES.key, lease=LEASE),
        HasRevision(key=PLACE.key, mod_revision=0),
    )


def test__copy_of_a_host_that_is_lost__is_placed_anew() -> None:
    host = Host(HERE, THERE, COORDINATES, ELSEWHERE, CLAIMED)
    assert not changes(host.first)
    (change,) = changes(host.hear(Deleted(key=THERE.key, mod_revision=10)))
    assert change.operations == (Put(key=PLACE.key, value="a1"),)
    assert HasRevision(key=PLACE.key, mod_revision=ELSEWHERE.mod_revision) in change.conditions


def test__new_coordinator__changes_nothing_that_is_right() -> None:
    assert not changes(Host(HERE, THERE, COORDINATES, ELSEWHERE, CLAIMED).first)


def test__copy_that_is_not_configured_any_more__has_no_place() -> None:
    surplus = entry(keys.slot_key("demo", Slot("Worker", 2)), "a2", 4)
    (change,) = changes(Host(HERE, THERE, COORDINATES, ELSEWHERE, surplus).first)
    assert change.operations == (Delete(key=surplus.key),)
    assert HasRevision(key=surplus.key, mod_revision=4) in change.conditions


def test__many_copies__are_placed_by_transactions_that_etcd_takes() -> None:
    rules = replace(RULES, floating=(Floating(agent="Worker", count=250),))
    host = Host(HERE, COORDINATES, rules=rules)
    (change,) = changes(host.first)
    assert len(change.operations) == MAX_OPERATIONS
    assert len(change.conditions) <= CONDITIONS


# What runs here


def test__copy_that_is_placed_here__is_claimed_if_it_still_is_and_nobody_has() -> None:
    (change,) = changes(Host(HERE, FOLLOWS, PLACE).first)
    assert change.operations == (Put(key=CLAIM.key, value="a1", lease=LEASE),)
    assert change.conditions == (
        HasRevision(key=PLACE.key, mod_revision=PLACE.mod_revision),
        HasRevision(key=CLAIM.key, mod_revision=0),
    )


def test__copy_that_runs_elsewhere__is_claimed_when_it_is_released_there() -> None:
    host = Host(HERE, FOLLOWS, PLACE, CLAIMED)
    assert not changes(host.first)
    assert len(changes(host.hear(Deleted(key=CLAIMED.key, mod_revision=10)))) == 1


def test__copy_that_is_claimed_and_placed_here__may_run_with_the_claims_revision_as_token() -> None:
    assert grants(Host(HERE, FOLLOWS, PLACE, CLAIM).first) == [{SLOT: 5}]
    assert not grants(Host(HERE, FOLLOWS, PLACE).first)
    assert not grants(Host(HERE, FOLLOWS, ELSEWHERE, CLAIM).first)


def test__copy_that_is_to_run_elsewhere__is_stopped_and_released_after_everybody_has_said_so() -> None:
    host = Host(HERE, FOLLOWS, PLACE, CLAIM)
    host.runs(SLOT)
    effects = host.hear(ELSEWHERE)
    assert grants(effects) == [{}]
    assert len(effects) == 1
    assert not changes(host.runs(heeded=1))
    assert not changes(host.runs(SLOT))
    (change,) = changes(host.runs())
    assert change.operations == (Delete(key=CLAIM.key),)
    assert change.conditions == (
        HasLease(key=CLAIM.key, lease=LEASE),
        HasRevision(key=ELSEWHERE.key, mod_revision=ELSEWHERE.mod_revision),
    )


def test__claim__is_not_released_before_anybody_has_said_what_runs() -> None:
    assert not changes(Host(HERE, FOLLOWS, ELSEWHERE, CLAIM).first)


def test__copy_that_is_to_run_here_again_before_it_was_released__goes_on_by_the_same_claim() -> None:
    host = Host(HERE, FOLLOWS, PLACE, CLAIM)
    host.runs(SLOT)
    host.hear(ELSEWHERE)
    effects = host.hear(replace(PLACE, mod_revision=11))
    assert grants(effects) == [{SLOT: 5}]
    assert not changes(host.runs())


def test__copy_without_a_place__is_stopped_and_released() -> None:
    host = Host(HERE, FOLLOWS, CLAIM)
    (change,) = changes(host.runs())
    assert change.operations == (Delete(key=CLAIM.key),)
    assert change.conditions[1] == HasRevision(key=PLACE.key, mod_revision=0)


def test__many_copies__are_released_by_transactions_that_etcd_takes() -> None:
    claims = [entry(keys.claim_key("demo", Slot("Worker", n)), "a1", 5, LEASE) for n in range(1, 200)]
    (change,) = changes(Host(HERE, FOLLOWS, *claims).runs())
    assert len(change.operations) > 1
    assert len(change.conditions) <= CONDITIONS


def test__claim_that_is_lost__copy_is_killed_and_claimed_again() -> None:
    host = Host(HERE, FOLLOWS, PLACE, CLAIM)
    host.runs(SLOT)
    grant, kill, change = host.hear(Deleted(key=CLAIM.key, mod_revision=10))
    assert isinstance(grant, Grant)
    assert grant.slots == {}
    assert isinstance(kill, Kill)
    assert kill.slots == {SLOT}
    assert isinstance(change, Change)
    assert change.operations == (Put(key=CLAIM.key, value="a1", lease=LEASE),)


# Leaving


def test__host_that_leaves__stops_its_copies_and_gives_up_its_place_at_once() -> None:
    host = Host(HERE, THERE, COORDINATES, PLACE, CLAIM)
    host.runs(SLOT)
    effects = host.on(Leaving())
    assert grants(effects) == [{}]
    (change,) = changes(effects)
    assert change.operations == (Delete(key=HERE.key), Delete(key=COORDINATES.key))
    assert set(change.conditions) == {HasLease(key=each.key, lease=LEASE) for each in (HERE, COORDINATES)}


def test__host_that_has_left__releases_its_copies_and_gives_its_lease_back_at_once() -> None:
    host = Host(HERE, FOLLOWS, PLACE, CLAIM)
    host.runs(SLOT)
    host.on(Leaving())
    host.on(Changed(number=1, succeeded=True, revision=10))
    assert host.hear(Deleted(key=HERE.key, mod_revision=10)) == []
    (released,) = host.runs()
    assert isinstance(released, Change)
    assert released.operations == (Delete(key=CLAIM.key),)
    host.on(Changed(number=2, succeeded=True, revision=11))
    assert host.hear(Deleted(key=CLAIM.key, mod_revision=11)) == [Revoke(lease=LEASE)]
    assert host.on(ClockAdvanced(), after_s=60) == []


def test__host_that_leaves__claims_nothing_and_does_not_coordinate() -> None:
    host = Host(HERE, FOLLOWS)
    host.on(Leaving())
    host.on(Changed(number=1, succeeded=True, revision=10))
    gone = [Deleted(key=each.key, mod_revision=10) for each in (HERE, FOLLOWS)]
    assert not changes(host.hear(*gone, replace(PLACE, mod_revision=10)))


@pytest.mark.parametrize("said", ["nothing", "older"])
def test__host_that_leaves__keeps_its_lease_until_everybody_has_said_that_nothing_runs(said: str) -> None:
    host = Host(FOLLOWS)
    host.on(Changed(number=1, succeeded=False, revision=9))
    effects = host.on(Leaving(), after_s=RETRY_S)
    if said == "older":
        effects += host.runs(heeded=1)
    assert not any(isinstance(effect, Revoke) for effect in effects)
    assert any(isinstance(effect, Revoke) for effect in host.runs())


def test__host_that_leaves_while_the_store_is_away__stops_its_copies() -> None:
    host = Host(HERE, FOLLOWS, PLACE, CLAIM)
    host.runs(SLOT)
    host.on(FollowingFailed(number=host.state.follow_number, reason="broken"))
    assert grants(host.on(Leaving())) == [{}]
    assert not any(isinstance(effect, Revoke) for effect in host.runs())


def test__host_that_leaves_and_loses_its_lease__asks_for_no_other() -> None:
    host = Host(HERE, FOLLOWS, PLACE, CLAIM)
    host.runs(SLOT)
    host.on(Leaving())
    host.on(ClockAdvanced(), after_s=RULES.refresh_s)
    effects = host.on(LeaseGone(lease=LEASE))
    assert [effect.slots for effect in effects if isinstance(effect, Kill)] == [{SLOT}]
    assert not any(isinstance(effect, GrantLease) for effect in effects)
    assert {type(effect) for effect in host.on(ClockAdvanced(), after_s=60)} <= {ListAll, Kill}
