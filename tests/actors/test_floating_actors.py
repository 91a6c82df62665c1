"""What floats, on one host with real actors: granted, heeded, released, and never running without a claim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from support.simple_tree import SimpleTree, agent

from quaestor_actors.actors.root_notes import RING_NAME
from quaestor_actors.adapters.event_log import read
from quaestor_actors.core import cluster_keys
from quaestor_actors.core.coordination_state import Grant, RunningChanged
from quaestor_actors.core.event import EventKind
from quaestor_actors.core.placement import Floating, Slot
from quaestor_actors.core.spec import AgentSpec, HostSpec, StoreSpec
from quaestor_actors.core.store import KeyValue, Put, StoreUnavailableError

Start = Callable[..., SimpleTree]

HOSTS = (HostSpec(name="a1", address="10.0.0.1"), HostSpec(name="a2", address="10.0.0.2"))
STORE = StoreSpec(endpoints=(("etcd", 2379),), lease_ttl_s=10.0)
ONE, TWO = Slot("Cron", 1), Slot("Cron", 2)


def floating(count: int = 2) -> AgentSpec:
    return agent("Cron", count=count, floating=Floating(agent="Cron", count=count), numbers=())


@pytest.fixture
def begin(start: Start) -> Start:
    """Give a function that starts a host of two, with an agent that floats and one that does not."""

    def begun(*, seed: int = 0, count: int = 2) -> SimpleTree:
        pinned = agent("Worker", count=1, first_port=6001)
        tree = start(floating(count), pinned, seed=seed, hosts=HOSTS, host="a1", stores=(STORE,))
        tree.pass_time(2.0)
        return tree

    return begun


def keys(tree: SimpleTree) -> dict[str, KeyValue]:
    listing = tree.world.loop.run_until_complete(tree.world.store.range(cluster_keys.prefix_of("hello")))
    return {entry.key: entry for entry in listing.entries}


def claims(tree: SimpleTree) -> dict[Slot, int]:
    """Return the claims, with their tokens."""
    found = ((cluster_keys.claimed_by("hello", key), entry) for key, entry in keys(tree).items())
    return {slot: entry.create_revision for slot, entry in found if slot is not None}


def check(tree: SimpleTree) -> None:
    """Everything runs here, and is claimed."""
    assert tree.states == {"Cron/1": "serving", "Cron/2": "serving", "Worker/1": "serving"}
    assert claims(tree).keys() == {ONE, TWO}
    view = tree.status().coordination
    assert view is not None
    assert (view.coordinator, view.hosts, view.trouble) == ("a1", ("a1",), "")
    assert [(place.member, place.host, place.claimed_by) for place in view.places] == [
        ("Cron/1", "a1", "a1"),
        ("Cron/2", "a1", "a1"),
    ]


def lose_lease(tree: SimpleTree) -> None:
    (lease,) = {entry.lease for entry in keys(tree).values() if entry.key.endswith("hosts/a1")}
    tree.world.loop.run_until_complete(tree.world.store.revoke(lease))


def test__host_alone__runs_everything_under_claims(begin: Start) -> None:
    tree = begin()
    check(tree)
    assert len(tree.spawned) == 3


@pytest.mark.parametrize("name", ["coordinator", "agent/Cron", "registry", "root"])
def test__killed_actor__changes_nothing(begin: Start, name: str) -> None:
    tree = begin()
    before, held = tree.pids, claims(tree)
    tree.kill(name)
    tree.pass_time(5.0)
    check(tree)
    assert (tree.pids, claims(tree)) == (before, held)


@pytest.mark.parametrize("name", ["coordinator", "agent/Cron", "root"])
@pytest.mark.parametrize("seed", range(6))
def test__actor_that_dies_anywhere_in_a_change__all_is_well_soon(begin: Start, name: str, seed: int) -> None:
    tree = begin(seed=seed)
    tree.dies_after = (name, seed)
    tree.reload(replace(tree.spec, agents=(floating(1), tree.spec.agents[1])))
    tree.pass_time(15.0)
    tree.dies_after = None
    tree.reload(replace(tree.spec, agents=(floating(1), tree.spec.agents[1])))
    tree.pass_time(15.0)
    assert tree.states == {"Cron/1": "serving", "Worker/1": "serving"}
    assert claims(tree).keys() == {ONE}
    tree.reload(replace(tree.spec, agents=(floating(2), tree.spec.agents[1])))
    tree.pass_time(15.0)
    check(tree)


@pytest.mark.parametrize("seed", range(5))
def test__lost_lease__ends_what_floats_at_once__and_it_starts_again_with_newer_tokens(begin: Start, seed: int) -> None:
    tree = begin(seed=seed)
    before, held = tree.members, claims(tree)
    lose_lease(tree)
    tree.pass_time(30.0)
    check(tree)
    assert tree.pids["Worker/1"] == before["Worker/1"][0].pid
    for name, slot in (("Cron/1", ONE), ("Cron/2", TWO)):
        assert before[name][0].ending is not None
        assert before[name][0].ending.reason == "killed by SIGKILL"
        assert claims(tree)[slot] > held[slot]


def test__store_that_does_not_answer__what_floats_ends_before_the_lease__and_people_are_told(
    begin: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = begin()

    async def silent(_: object) -> float:
        raise StoreUnavailableError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(tree.world.store, "keep_alive", silent)
        patch.setattr(tree.world.store, "grant", silent)
        # The lease was kept alive within the last second.
        tree.pass_time(STORE.lease_ttl_s - 2.0 - 0.1)
        assert tree.members.keys() == {"Cron/1", "Cron/2", "Worker/1"}
        tree.pass_time(1.2)
        assert tree.members.keys() == {"Worker/1"}
        view = tree.status().coordination
        assert view is not None
        assert view.trouble == "no answer"
    tree.pass_time(30.0)
    check(tree)
    events = read(tree.folder / "logs" / RING_NAME)
    told = [(each.subject, each.before, each.after) for each in events if each.kind is EventKind.HOST]
    assert told == [
        ("coordinator", None, "a1"),
        ("a1", "in touch", "out of touch"),
        ("a1", "out of touch", "in touch"),
    ]


def test__member_that_ends__starts_again_under_the_same_claim(begin: Start) -> None:
    tree = begin()
    held = claims(tree)
    tree.processes.exit(tree.member("Cron/1"))
    tree.pass_time(5.0)
    check(tree)
    assert claims(tree) == held
    assert len(tree.starts_of("Cron/1")) == 2


def test__hung_coordinator__nothing_is_started_when_its_term_is_over(begin: Start) -> None:
    tree = begin()
    tree.hang(tree.process_of_actor("coordinator"))
    tree.pass_time(STORE.lease_ttl_s)
    starts = len(tree.spawned)
    # The warden would end them by now.
    tree.processes.exit(tree.member("Cron/1"))
    tree.pass_time(20.0)
    assert len(tree.spawned) == starts
    assert "it any more: its lease could not be kept alive" in tree.shown("Cron/1").reason
    tree.go_on(tree.process_of_actor("coordinator"))
    tree.pass_time(30.0)
    check(tree)


def test__place_that_moves_to_another_host__is_released_when_the_member_has_ended(begin: Start) -> None:
    tree = begin()
    moved = Put(key=cluster_keys.slot_key("hello", TWO), value="a2")
    # As its coordinator had decided, which is there.
    tree.world.loop.run_until_complete(
        tree.world.store.transact([Put(key=cluster_keys.host_key("hello", "a2"), value="a2"), moved])
    )
    tree.pass_time(15.0)
    assert tree.states == {"Cron/1": "serving", "Worker/1": "serving"}
    assert claims(tree).keys() == {ONE}
    (process,) = tree.starts_of("Cron/2")
    assert not process.is_alive


@pytest.mark.parametrize("seed", range(5))
def test__stop__ends_what_floats_and_leaves_the_store(begin: Start, seed: int) -> None:
    tree = begin(seed=seed)
    tree.stop()
    # Nobody has to wait for the end of the lease, or for an actor that waits for something in vain.
    tree.pass_time(1.0)
    assert tree.has_stopped
    assert set(keys(tree)) == {cluster_keys.slot_key("hello", slot) for slot in (ONE, TWO)}
    assert not tree.members
    assert not [each for each in tree.processes.alive if each.name == "warden"]
    assert not (tree.folder / "agents" / "floating.term").exists()


def test__late_grant_of_a_dead_coordinator__is_not_heeded(begin: Start) -> None:
    tree = begin()
    tree.send(tree.root, Grant(number=1, slots={}))
    tree.pass_time(5.0)
    check(tree)
    assert len(tree.spawned) == 3


def test__late_word_of_the_root__is_followed_by_a_newer_one(begin: Start) -> None:
    tree = begin()
    tree.fates[RunningChanged] = "doubled"
    tree.processes.exit(tree.member("Cron/1"))
    tree.pass_time(5.0)
    check(tree)
