"""What becomes of floating agents when hosts are lost, cut off, paused, or leave, and how soon."""

from __future__ import annotations

import pytest
from support.coordination_host import ENDED_S, RPC_S, START_S, STOP_S, Machine
from support.coordination_world import CLUSTER, World

from quaestor_actors.core import cluster_keys as keys
from quaestor_actors.core.placement import Floating, Slot

WORKERS = Floating(agent="Worker", count=3)
SLOWEST_HOST = (0.99, 0.99, 0.99)
FASTEST_STORE = 1.01
TICK_S = 0.01


@pytest.fixture(params=range(3))
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def started(*floating: Floating, seed: int, ttl_s: float = 10.0) -> World:
    """Return hosts whose clocks are slow and a store whose clock is fast, with one copy on each host."""
    world = World(*floating, seed=seed, ttl_s=ttl_s, rates=SLOWEST_HOST, store_rate=FASTEST_STORE)
    world.run(2.5)
    world.check_served()
    return world


def coordinator(world: World) -> Machine:
    return world.machines[world.store.entries[keys.coordinator_key(CLUSTER)].value]


def host_of(world: World, number: int) -> Machine:
    return world.machines[world.served()[Slot("Worker", number)][0]]


def copies_at_once(world: World, slot: Slot) -> int:
    return sum(process.slot == slot for machine in world.machines.values() for process in machine.executing())


def test__lost_coordinator__is_replaced_and_nothing_that_is_right_moves(seed: int) -> None:
    world = started(WORKERS, seed=seed)
    lost = coordinator(world)
    places = {slot: hosts for slot, hosts in world.served().items() if hosts != [lost.name]}
    lost.halt()
    world.run(10.0 + 1.0)
    assert coordinator(world) is not lost
    world.run(START_S)
    world.check_served()
    assert world.moves == 1
    assert places.items() <= world.served().items()


def test__host_that_returns__gets_nothing_back(seed: int) -> None:
    world = started(WORKERS, seed=seed)
    host_of(world, 2).halt()
    world.run(10.0 + 1.0 + START_S)
    world.check_served()
    served, moves = world.served(), world.moves
    world.heal()
    world.run(20.0)
    world.check_served()
    assert (world.served(), world.moves) == (served, moves)


def test__host_that_leaves__its_copies_run_elsewhere_when_they_have_stopped(seed: int) -> None:
    world = started(WORKERS, seed=seed)
    leaving = coordinator(world)
    slot = next(slot for slot, hosts in world.served().items() if hosts == [leaving.name])
    leaving.leave()
    world.run(STOP_S + 1.0)
    assert copies_at_once(world, slot) == 1
    assert not leaving.executing()
    assert leaving.state.term is None
    world.run(START_S)
    world.check_served()
    assert world.moves == 1


@pytest.mark.parametrize("ttl_s", [2.0, 5.0, 10.0])
def test__host_that_is_cut_off__ends_its_copy_before_another_can_start_it(seed: int, ttl_s: float) -> None:
    world = started(WORKERS, seed=seed, ttl_s=ttl_s)
    cut = host_of(world, 2)
    cut.is_cut = True
    cut.break_watch()
    numbers = []
    for _ in range(int((ttl_s + 1.0 + START_S) / TICK_S)):
        world.run(TICK_S)
        numbers.append(copies_at_once(world, Slot("Worker", 2)))
    # In between nobody ran it.
    assert numbers.index(0) < len(numbers) - numbers[::-1].index(0) < len(numbers)
    assert max(numbers) == 1
    assert host_of(world, 2) is not cut
    moves = world.moves
    world.heal()
    world.converge()
    assert world.moves == moves == 1


def test__host_that_was_paused__runs_what_others_run_no_longer_than_a_kill_takes(seed: int) -> None:
    world = started(WORKERS, seed=seed)
    paused, slot = host_of(world, 2), Slot("Worker", 2)
    paused.pause()
    world.run(60.0)
    world.check_served()
    paused.resume()
    assert copies_at_once(world, slot) == 2
    world.run(ENDED_S)
    assert copies_at_once(world, slot) == 1
    world.converge()
    assert world.moves == 1


def test__host_that_was_paused_for_less_than_its_lease__goes_on(seed: int) -> None:
    world = started(WORKERS, seed=seed)
    paused = host_of(world, 2)
    before = paused.executing()
    paused.pause()
    world.run(7.0)
    paused.resume()
    world.converge()
    assert paused.executing() == before
    assert world.moves == 0


def test__store_that_was_away_for_less_than_the_lease__nothing_has_changed(seed: int) -> None:
    world = started(WORKERS, seed=seed)
    before = [machine.executing() for machine in world.machines.values()]
    world.store.is_away = True
    world.break_watches()
    world.run(7.0)
    world.heal()
    world.converge()
    assert [machine.executing() for machine in world.machines.values()] == before
    assert world.moves == 0


def test__store_that_was_away_for_long__all_copies_end_and_start_again_where_they_were(seed: int) -> None:
    world = started(WORKERS, seed=seed)
    served = world.served()
    world.store.is_away = True
    world.break_watches()
    world.run(30.0)
    assert not any(machine.executing() for machine in world.machines.values())
    world.heal()
    world.run(RPC_S + START_S + 1.0)
    assert world.served() == served
    world.converge()
    assert world.moves == 0


def test__store_that_was_wiped__all_is_as_before_soon(seed: int) -> None:
    world = started(WORKERS, seed=seed)
    world.wipe()
    world.converge()


@pytest.mark.parametrize("with_tree", [False, True])
def test__actor_that_dies__its_successor_goes_on_with_what_runs(seed: int, *, with_tree: bool) -> None:
    world = started(WORKERS, seed=seed)
    before = [machine.executing() for machine in world.machines.values()]
    for machine in world.machines.values():
        machine.lose_actor(keeps_file=True, with_tree=with_tree)
    world.converge()
    assert [machine.executing() for machine in world.machines.values()] == before
    assert world.moves == 0


def test__more_and_fewer_copies__none_that_stays_moves(seed: int) -> None:
    world = started(WORKERS, seed=seed)
    before = [machine.executing() for machine in world.machines.values()]
    world.scale(Floating(agent="Worker", count=7))
    world.converge()
    assert sorted(len(machine.executing()) for machine in world.machines.values()) == [2, 2, 3]
    world.scale(WORKERS)
    world.converge()
    assert [machine.executing() for machine in world.machines.values()] == before
    assert world.moves == 0
