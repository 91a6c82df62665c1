"""The coordination of three hosts under any faults: never two copies of one slot, and all is well soon after the last.

What must hold at any time is checked by the support's `World` as things happen.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from support.coordination_host import Machine
from support.coordination_world import World
from support.profiles import examples

from quaestor_actors.core.placement import Floating

WORKERS = Floating(agent="Worker", count=2)
CRON = Floating(agent="Cron", count=1, prefer=("a3",))
numbers = st.integers(0, 2)
rates = st.sampled_from([0.99, 1.0, 1.01])
then = st.sampled_from([0.0, 0.02, 0.3, 1.0, 3.0, 12.0])
"""How long nothing else happens."""


class Faults(RuleBasedStateMachine):
    """Three hosts, two floating agents, and everything that can happen to them."""

    world: World

    @initialize(
        seed=st.integers(0, 10_000),
        ttl_s=st.sampled_from([2.0, 5.0, 10.0]),
        hosts=st.tuples(rates, rates, rates),
        store=rates,
    )
    def begin(self, seed: int, ttl_s: float, hosts: tuple[float, ...], store: float) -> None:
        self.world = World(WORKERS, CRON, seed=seed, ttl_s=ttl_s, rates=hosts, store_rate=store)
        self.world.run(2.5)
        self.world.check_served()

    def machine(self, number: int) -> Machine:
        return list(self.world.machines.values())[number]

    # The network

    @rule(
        number=numbers, away_s=st.sampled_from([0.3, 2.0, 6.0, 20.0]), noise_s=st.sampled_from([0.0, 2.5]), then_s=then
    )
    def cut(self, number: int, away_s: float, noise_s: float, then_s: float) -> None:
        machine = self.machine(number)
        machine.is_noisy = noise_s > 0
        self.world.run(noise_s)
        machine.is_cut = True
        machine.break_watch()
        self.world.after(away_s, lambda: setattr(machine, "is_cut", False))
        self.world.run(then_s)

    @rule(number=numbers, noisy=st.booleans(), then_s=then)
    def disturb(self, number: int, noisy: bool, then_s: float) -> None:  # noqa: FBT001 - by name
        self.machine(number).is_noisy = noisy
        self.world.run(then_s)

    @rule(number=numbers, then_s=then)
    def break_watch(self, number: int, then_s: float) -> None:
        self.machine(number).break_watch()
        self.world.run(then_s)

    # Hosts

    @rule(number=numbers, keeps_file=st.booleans(), with_tree=st.booleans(), then_s=then)
    def lose_actor(self, number: int, keeps_file: bool, with_tree: bool, then_s: float) -> None:  # noqa: FBT001 - by name
        machine = self.machine(number)
        if machine.is_up and not machine.is_paused:
            machine.lose_actor(keeps_file=keeps_file, with_tree=with_tree)
        self.world.run(then_s)

    @rule(number=numbers, effects=st.integers(0, 2), then_s=then)
    def lose_actor_between_effects(self, number: int, effects: int, then_s: float) -> None:
        self.machine(number).dies_after = effects
        self.world.run(then_s)

    @rule(number=numbers, paused=st.booleans(), then_s=then)
    def halt(self, number: int, paused: bool, then_s: float) -> None:  # noqa: FBT001 - by name
        machine = self.machine(number)
        if not paused:
            machine.halt()
        elif machine.is_up:
            machine.pause()
        self.world.run(then_s)

    @rule(number=numbers, then_s=then)
    def go_on(self, number: int, then_s: float) -> None:
        machine = self.machine(number)
        if machine.is_paused:
            machine.resume()
        elif not machine.is_up:
            machine.boot()
        self.world.run(then_s)

    @rule(number=numbers, then_s=then)
    def leave_or_rejoin(self, number: int, then_s: float) -> None:
        machine = self.machine(number)
        if machine.is_up and machine.is_leaving and not machine.is_paused:
            machine.halt()
            machine.boot()
        elif machine.is_up:
            machine.leave()
        self.world.run(then_s)

    @rule(number=numbers, then_s=then)
    def crash(self, number: int, then_s: float) -> None:
        self.machine(number).crash()
        self.world.run(then_s)

    # The store

    @rule(away_s=st.sampled_from([0.5, 3.0, 15.0]), then_s=then)
    def lose_store(self, away_s: float, then_s: float) -> None:
        store = self.world.store
        if not store.is_away:
            store.is_away = True
            self.world.break_watches()
            self.world.after(away_s, lambda: store.come_back() if store.is_away else None)
        self.world.run(then_s)

    @rule(lost=st.sampled_from([False, False, False, True]), others=st.integers(0, 40), then_s=then)
    def age_store(self, lost: bool, others: int, then_s: float) -> None:  # noqa: FBT001 - by name
        """Others write to it, the past is forgotten; or everything is."""
        if lost:
            self.world.wipe()
        for number in range(others):
            self.world.store.put(f"services/{number}")
        self.world.store.compact()
        self.world.run(then_s)

    # Operators

    @rule(workers=st.integers(0, 4), then_s=then)
    def scale(self, workers: int, then_s: float) -> None:
        agents = Floating(agent="Worker", count=workers), CRON
        self.world.scale(*(agent for agent in agents if agent.count))
        self.world.run(then_s)

    # What must come of it

    @rule()
    def converge(self) -> None:
        self.world.heal()
        self.world.converge()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.converge()


Faults.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=20)
test_any_faults = Faults.TestCase
