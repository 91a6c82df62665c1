"""A host's lease, what it may run by it, and how far it follows the store: the rules one by one."""

from __future__ import annotations

import pytest

from quaestor_actors.core import cluster_keys as keys
from quaestor_actors.core import coordination
from quaestor_actors.core.coordination import RETRY_S
from quaestor_actors.core.coordination_state import (
    Change,
    Changed,
    ChangeFailed,
    ClockAdvanced,
    Effect,
    Event,
    FollowingFailed,
    Grant,
    GrantLease,
    KeepAlive,
    Kill,
    LeaseFailed,
    LeaseGone,
    LeaseHeld,
    ListAll,
    Listed,
    Rules,
    RunningChanged,
    Term,
    Watch,
    Watched,
)
from quaestor_actors.core.placement import Floating, Slot
from quaestor_actors.core.store import NO_LEASE, Deleted, KeyValue, Listing, WatchBatch

RULES = Rules(cluster="demo", host="a1", hosts=("a1", "a2"), floating=(Floating(agent="Worker", count=1),))
SLOT = Slot("Worker", 1)
LEASE, OTHER = 7, 8
START = 1000.0
HELD = LeaseHeld(lease=LEASE, ttl_s=RULES.ttl_s)
FAILED = LeaseFailed(reason="no answer")
TERM = Term(lease=LEASE, ends_at=START + 5)


def entry(key: str, value: str, revision: int, lease: int = NO_LEASE) -> KeyValue:
    return KeyValue(key=key, value=value, create_revision=revision, mod_revision=revision, lease=lease)


HOST = entry(keys.host_key("demo", "a1"), "a1", 2, LEASE)
COORDINATOR = entry(keys.coordinator_key("demo"), "a2", 3, OTHER)
PLACE = entry(keys.slot_key("demo", SLOT), "a1", 4)
ELSEWHERE = entry(keys.slot_key("demo", SLOT), "a2", 6)
CLAIM = entry(keys.claim_key("demo", SLOT), "a1", 5, LEASE)
ALL = (HOST, COORDINATOR, PLACE, CLAIM)


class Host:
    """The machine with a clock."""

    def __init__(self, *, term: Term | None = None, granted: dict[Slot, int] | None = None) -> None:
        self.now = START
        self.state = coordination.create(now=START, term=term, granted=granted)

    def on(self, event: Event, *, after_s: float = 0.0) -> list[Effect]:
        self.now += after_s
        self.state, effects = coordination.decide(self.state, event, self.now, RULES)
        return effects

    def wait(self, duration_s: float) -> list[Effect]:
        return self.on(ClockAdvanced(), after_s=duration_s)

    def read(self, *entries: KeyValue, revision: int = 9) -> list[Effect]:
        listing = Listing(revision=revision, entries=entries)
        return self.on(Listed(number=self.state.follow_number, listing=listing))

    def hear(self, *events: KeyValue | Deleted, revision: int = 10) -> list[Effect]:
        return self.on(Watched(number=self.state.follow_number, batch=WatchBatch(revision=revision, events=events)))

    def deadline(self) -> float | None:
        return coordination.next_deadline(self.state, self.now, RULES)

    def is_entitled(self) -> bool:
        return coordination.is_entitled(self.state, self.now, RULES)


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def running() -> Host:
    """A host that runs the copy."""
    host = Host()
    host.wait(0)
    host.on(HELD)
    host.read(*ALL)
    host.hear(revision=9)
    host.on(RunningChanged(running=frozenset({SLOT}), grant=host.state.grant))
    return host


# The lease


def test__at_the_start__nothing_may_run_lease_is_asked_for_and_keys_are_listed(host: Host) -> None:
    granted, *rest = host.wait(0)
    assert isinstance(granted, Grant)
    assert granted.slots == {}
    assert rest == [GrantLease(ttl_s=10.0), ListAll(number=1)]


def test__lease__is_kept_alive_every_refresh(running: Host) -> None:
    assert running.deadline() == START + RULES.refresh_s
    for _ in range(3):
        assert running.wait(RULES.refresh_s) == [KeepAlive(lease=LEASE)]
        assert running.on(HELD) == []


def test__lease_that_could_not_be_kept_alive__is_tried_again_soon(running: Host) -> None:
    running.wait(RULES.refresh_s)
    assert running.on(FAILED) == []
    assert running.deadline() == running.now + RETRY_S
    assert running.wait(RETRY_S) == [KeepAlive(lease=LEASE)]
    assert running.state.trouble == "no answer"
    running.on(HELD)
    assert running.state.trouble is None


def test__lease__counts_from_before_the_store_was_asked(host: Host) -> None:
    host.wait(0)
    host.on(HELD, after_s=1.5)
    assert host.state.term == Term(lease=LEASE, ends_at=START + RULES.ttl_s)


@pytest.mark.parametrize(("ttl_s", "counted_s"), [(30.0, 10.0), (4.0, 4.0)])
def test__lease_of_another_configuration__counts_for_the_shorter_time(
    host: Host, ttl_s: float, counted_s: float
) -> None:
    host.wait(0)
    host.on(LeaseHeld(lease=LEASE, ttl_s=ttl_s))
    assert host.state.term == Term(lease=LEASE, ends_at=START + counted_s)


@pytest.mark.parametrize(("ttl_s", "margin_s"), [(2.0, 0.5), (5.0, 0.5), (10.0, 1.0), (60.0, 6.0)])
def test__margin__is_a_tenth_and_half_a_second_at_least(ttl_s: float, margin_s: float) -> None:
    assert Rules(cluster="demo", host="a1", hosts=("a1",), ttl_s=ttl_s).margin_s == pytest.approx(margin_s)


def test__host_that_hears_nothing__kills_what_floats_on_it_the_margin_before_its_lease_ends(running: Host) -> None:
    running.wait(RULES.refresh_s)
    last = START + RULES.ttl_s - RULES.margin_s
    assert running.deadline() == last
    assert running.wait(last - running.now - 0.001) == []
    assert running.is_entitled()
    grant, kill = running.wait(0.001)
    assert not running.is_entitled()
    # The grant comes first, so that nobody starts again what is killed.
    assert isinstance(grant, Grant)
    assert grant.slots == {}
    assert isinstance(kill, Kill)
    assert kill.slots == {SLOT}


def test__copy_that_is_being_stopped__is_killed_as_well_when_the_lease_ends(running: Host) -> None:
    assert [type(effect) for effect in running.hear(ELSEWHERE)] == [Grant]
    running.wait(RULES.refresh_s)
    assert running.deadline() == START + RULES.ttl_s - RULES.margin_s
    effects = running.wait(RULES.ttl_s)
    assert [effect.slots for effect in effects if isinstance(effect, Kill)] == [{SLOT}]


def test__copy_that_was_started_once_more_before_the_kill_was_heard_of__is_killed_again(running: Host) -> None:
    running.wait(RULES.ttl_s)
    running.on(RunningChanged(running=frozenset(), grant=running.state.grant - 1))
    effects = running.on(RunningChanged(running=frozenset({SLOT}), grant=running.state.grant - 1))
    assert [effect.slots for effect in effects if isinstance(effect, Kill)] == [{SLOT}]


def test__lease_that_is_kept_alive_after_all__may_run_its_copies_again(running: Host) -> None:
    running.wait(RULES.ttl_s)
    before = running.state.grant
    running.on(FAILED)
    assert running.wait(RETRY_S) == [
        Kill(slots=frozenset({SLOT}), reason="the host's lease could not be kept alive: others may run it"),
        KeepAlive(lease=LEASE),
    ]
    assert running.on(HELD) == [Grant(number=before + 1, slots={SLOT: CLAIM.create_revision})]


def test__answer_that_comes_after_the_lease_may_have_ended__entitles_to_nothing(running: Host) -> None:
    running.wait(RULES.refresh_s)
    effects = running.on(HELD, after_s=RULES.ttl_s)
    assert any(isinstance(effect, Kill) for effect in effects)
    assert not running.is_entitled()


def test__lease_that_is_gone__copies_are_killed_another_is_asked_for_and_all_is_listed(running: Host) -> None:
    running.wait(RULES.refresh_s)
    grant, kill, *rest = running.on(LeaseGone(lease=LEASE))
    assert isinstance(grant, Grant)
    assert isinstance(kill, Kill)
    assert rest == [GrantLease(ttl_s=10.0), ListAll(number=running.state.follow_number)]


# Successors of an actor that died


def test__successor__goes_on_with_the_lease_and_what_it_entitles_to() -> None:
    host = Host(term=TERM, granted={SLOT: CLAIM.create_revision})
    assert host.is_entitled()
    grant, *rest = host.wait(0)
    assert isinstance(grant, Grant)
    assert grant.slots == {SLOT: CLAIM.create_revision}
    assert rest == [KeepAlive(lease=LEASE), ListAll(number=1)]
    assert host.on(RunningChanged(running=frozenset({SLOT}), grant=grant.number)) == []
    assert host.read(*ALL) == [Watch(number=2, from_revision=10)]


def test__successor_after_the_end_of_the_lease__kills_what_was_granted() -> None:
    host = Host(term=Term(lease=LEASE, ends_at=START - 1), granted={SLOT: 5})
    effects = host.wait(0)
    assert [effect.slots for effect in effects if isinstance(effect, Kill)] == [{SLOT}]
    assert KeepAlive(lease=LEASE) in effects


def test__successor_that_knows_nothing__kills_what_it_hears_of() -> None:
    host = Host()
    host.wait(0)
    effects = host.on(RunningChanged(running=frozenset({SLOT}), grant=0))
    assert [effect.slots for effect in effects if isinstance(effect, Kill)] == [{SLOT}]


def test__successor_that_knows_nothing__kills_what_runs_by_its_predecessors_lease() -> None:
    host = Host()
    host.wait(0)
    host.on(LeaseHeld(lease=OTHER, ttl_s=10.0))
    host.read(*ALL)
    effects = host.on(RunningChanged(running=frozenset({SLOT}), grant=0))
    assert [effect.slots for effect in effects if isinstance(effect, Kill)] == [{SLOT}]


def test__grants__have_greater_numbers_than_all_of_a_predecessor(running: Host) -> None:
    host = Host(term=TERM)
    host.now += 0.1
    successor = coordination.create(now=host.now, term=TERM)
    assert successor.grant > running.state.grant


def test__predecessors_grant_was_heeded__does_not_count_for_a_successors(running: Host) -> None:
    heeded = running.state.grant
    host = Host(term=TERM, granted={})
    host.now = START + 1.0
    host.state = coordination.create(now=host.now, term=TERM)
    host.wait(0)
    host.on(RunningChanged(running=frozenset(), grant=heeded))
    effects = [*host.read(HOST, COORDINATOR, ELSEWHERE, CLAIM), *host.hear(revision=9)]
    assert not any(isinstance(effect, Change) for effect in effects)


def test__successor_that_knows_nothing__does_not_wait_for_a_list_to_kill_what_it_hears_of() -> None:
    host = Host()
    host.wait(0)
    host.on(LeaseHeld(lease=OTHER, ttl_s=10.0))
    effects = host.on(RunningChanged(running=frozenset({SLOT}), grant=0))
    assert [effect.slots for effect in effects if isinstance(effect, Kill)] == [{SLOT}]


def test__copy_that_was_started_once_more_after_the_lease_was_lost__is_killed_before_anything_is_listed(
    running: Host,
) -> None:
    running.wait(RULES.refresh_s)
    running.on(LeaseGone(lease=LEASE))
    running.on(RunningChanged(running=frozenset(), grant=running.state.grant - 1))
    running.on(LeaseHeld(lease=OTHER, ttl_s=10.0))
    effects = running.on(RunningChanged(running=frozenset({SLOT}), grant=running.state.grant - 1))
    assert [effect.slots for effect in effects if isinstance(effect, Kill)] == [{SLOT}]


def test__copy_that_is_being_stopped_when_the_watch_breaks__is_left_to_stop(running: Host) -> None:
    running.hear(ELSEWHERE)
    assert running.on(FollowingFailed(number=running.state.follow_number, reason="broken")) == []


# Following the store


def test__keys__are_listed_and_then_watched_from_there(host: Host) -> None:
    host.wait(0)
    assert host.read(HOST, revision=20) == [Watch(number=2, from_revision=21)]
    host.hear(COORDINATOR, revision=21)
    assert coordination.coordinator_of(host.state, RULES) == "a2"
    host.hear(Deleted(key=COORDINATOR.key, mod_revision=22), revision=22)
    assert coordination.coordinator_of(host.state, RULES) is None


def test__what_an_older_list_or_watch_says__is_dropped(running: Host) -> None:
    before = running.state
    old = running.state.follow_number - 1
    gone = Deleted(key=CLAIM.key, mod_revision=10)
    for event in (
        Listed(number=old, listing=Listing(revision=10, entries=())),
        Watched(number=old, batch=WatchBatch(revision=10, events=(gone,))),
        FollowingFailed(number=old, reason="broken"),
    ):
        assert running.on(event) == []
        assert running.state == before


def test__watch_that_breaks__all_is_listed_again_soon_and_what_runs_goes_on(running: Host) -> None:
    assert running.on(FollowingFailed(number=running.state.follow_number, reason="broken")) == []
    assert running.deadline() == running.now + RETRY_S
    (again,) = running.wait(RETRY_S)
    assert isinstance(again, ListAll)
    assert isinstance(running.read(*ALL)[0], Watch)
    assert running.state.granted == {SLOT: CLAIM.create_revision}


def test__store_that_has_lost_data__is_listed_again(host: Host) -> None:
    host.wait(0)
    host.read(HOST, revision=20)
    host.hear(revision=3)
    assert isinstance(host.wait(RETRY_S)[0], ListAll)


def test__while_a_change_is_under_way__nothing_is_listed(host: Host) -> None:
    host.wait(0)
    host.on(HELD)
    changes = [effect for effect in [*host.read(), *host.hear(revision=9)] if isinstance(effect, Change)]
    assert len(changes) == 1
    host.on(FollowingFailed(number=host.state.follow_number, reason="broken"))
    assert host.wait(RETRY_S) == []
    answer = Changed(number=changes[0].number, succeeded=True, revision=10)
    assert host.on(answer) == [ListAll(number=host.state.follow_number)]


def test__store_that_was_wiped__is_changed_again_though_its_revisions_are_small(host: Host) -> None:
    host.wait(0)
    host.on(HELD)
    host.read(revision=5000)
    host.on(Changed(number=1, succeeded=True, revision=5001))
    assert host.on(FollowingFailed(number=host.state.follow_number, reason="broken")) == []
    host.wait(RETRY_S)
    assert any(isinstance(effect, Change) for effect in host.read(revision=1))


def test__change_of_unknown_outcome__everything_is_listed_before_the_next(host: Host) -> None:
    host.wait(0)
    host.on(HELD)
    host.read()
    assert host.on(ChangeFailed(number=1, reason="no answer")) == []
    assert [type(effect) for effect in host.wait(RETRY_S)] == [ListAll]
    assert [type(effect) for effect in host.read()] == [Watch]
    assert [type(effect) for effect in host.wait(0.5)] == [Change]
