"""Where copies of floating agents are placed."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from support.profiles import examples

from quaestor_actors.core.placement import Floating, Slot, place

HOSTS = ("a1", "a2", "a3", "a4")

names = st.sampled_from(["Worker", "Cron", "Mail"])
floating = st.builds(
    Floating,
    agent=names,
    count=st.integers(0, 6),
    spread=st.booleans(),
    prefer=st.lists(st.sampled_from([*HOSTS, "gone"]), unique=True, max_size=3).map(tuple),
)
agents = st.lists(floating, max_size=3, unique_by=lambda agent: agent.agent)
hosts = st.sets(st.sampled_from(HOSTS))
placements = st.dictionaries(
    st.builds(Slot, names, st.integers(1, 8)), st.sampled_from([*HOSTS, "gone", ""]), max_size=12
)


def slots_of(found: list[Floating]) -> set[Slot]:
    return {slot for agent in found for slot in agent.slots}


def workers(*hosts: str) -> dict[Slot, str]:
    return {Slot("Worker", number): host for number, host in enumerate(hosts, start=1)}


# Examples


def test__copies_of_an_agent__are_numbered_from_one() -> None:
    assert Floating(agent="Worker", count=2).slots == [Slot("Worker", 1), Slot("Worker", 2)]


def test__from_nothing__copies_are_spread_in_the_order_of_the_hosts() -> None:
    placed = place([Floating(agent="Worker", count=5)], {"a3", "a2", "a1"}, HOSTS, {})
    assert placed == workers("a1", "a2", "a3", "a1", "a2")


def test__host_that_is_lost__only_its_copies_move() -> None:
    placed = place([Floating(agent="Worker", count=3)], {"a1", "a3"}, HOSTS, workers("a1", "a2", "a3"))
    assert placed == workers("a1", "a1", "a3")


def test__host_that_returns__nothing_moves_to_it() -> None:
    present = workers("a1", "a1", "a3")
    assert place([Floating(agent="Worker", count=3)], {"a1", "a2", "a3"}, HOSTS, present) == present


def test__new_copy__goes_where_the_agent_has_the_fewest() -> None:
    placed = place([Floating(agent="Worker", count=4)], {"a1", "a2", "a3"}, HOSTS, workers("a1", "a1", "a3"))
    assert placed == workers("a1", "a1", "a3", "a2")


def test__preferred_host__is_taken_first() -> None:
    agent = Floating(agent="Worker", count=3, prefer=("a3", "a2"))
    assert place([agent], {"a1", "a2", "a3"}, HOSTS, {}) == workers("a3", "a2", "a1")


def test__preferred_host_that_returns__does_not_move_what_runs() -> None:
    agent = Floating(agent="Worker", count=1, prefer=("a3",))
    assert place([agent], {"a1", "a3"}, HOSTS, workers("a1")) == workers("a1")


def test__without_spread__preferred_host_takes_all() -> None:
    agent = Floating(agent="Worker", count=3, spread=False, prefer=("a2",))
    assert place([agent], {"a1", "a2", "a3"}, HOSTS, {}) == workers("a2", "a2", "a2")


def test__without_preference__least_loaded_host_is_taken() -> None:
    agents = [Floating(agent="Cron", count=1), Floating(agent="Worker", count=1)]
    assert place(agents, {"a1", "a2"}, HOSTS, {}) == {Slot("Cron", 1): "a1", Slot("Worker", 1): "a2"}


def test__without_hosts__nothing_is_placed() -> None:
    assert place([Floating(agent="Worker", count=2)], set(), HOSTS, workers("a1", "a2")) == {}


def test__host_that_is_not_configured__gets_nothing_new_and_keeps_what_it_has() -> None:
    placed = place([Floating(agent="Worker", count=2)], {"a1", "b9"}, HOSTS, workers("b9"))
    assert placed == workers("b9", "a1")


# Whatever comes


@settings(max_examples=examples(40))
@given(agents, hosts, placements)
def test__any_placement__has_each_copy_once_on_a_host_that_is_there(
    agents: list[Floating], hosts: set[str], present: dict[Slot, str]
) -> None:
    placed = place(agents, hosts, HOSTS, present)
    assert placed.keys() == (slots_of(agents) if hosts else set())
    assert set(placed.values()) <= hosts


@settings(max_examples=examples(40))
@given(agents, hosts, placements)
def test__any_placement__moves_nothing_that_is_right(
    agents: list[Floating], hosts: set[str], present: dict[Slot, str]
) -> None:
    placed = place(agents, hosts, HOSTS, present)
    right = {slot: host for slot, host in present.items() if slot in slots_of(agents) and host in hosts}
    assert right.items() <= placed.items()
    assert place(agents, hosts, HOSTS, placed) == placed


@settings(max_examples=examples(40))
@given(agents, hosts, placements, st.randoms(use_true_random=False))
def test__any_placement__does_not_depend_on_the_order_in_which_things_are_known(
    agents: list[Floating], hosts: set[str], present: dict[Slot, str], random: Random
) -> None:
    shuffled = list(present.items())
    random.shuffle(shuffled)
    other = place(iter(agents), frozenset(hosts), iter(HOSTS), dict(shuffled))
    assert other == place(agents, hosts, HOSTS, present)


@settings(max_examples=examples(40))
@given(agents, hosts.filter(bool))
def test__from_nothing__no_host_has_two_more_than_another(agents: list[Floating], hosts: set[str]) -> None:
    placed = place(agents, hosts, HOSTS, {})
    for agent in agents:
        copies = Counter(host for slot, host in placed.items() if slot.agent == agent.agent)
        numbers = [copies[host] for host in hosts]
        assert not agent.spread or max(numbers) - min(numbers) <= 1


@settings(max_examples=examples(40))
@given(agents, hosts.filter(bool), placements)
def test__what_is_placed_anew__goes_to_a_preferred_host_as_far_as_spread_lets_it(
    agents: list[Floating], hosts: set[str], present: dict[Slot, str]
) -> None:
    placed = place(agents, hosts, HOSTS, present)
    for agent in agents:
        order = [host for host in agent.prefer if host in hosts]
        rest = hosts.difference(order)
        copies = Counter(placed[slot] for slot in agent.slots if present.get(slot) in hosts)
        for slot in agent.slots:
            if present.get(slot) in hosts:
                continue
            fewest = min(copies[host] for host in hosts) if agent.spread else max(copies.values(), default=0)
            good = [host for host in order if copies[host] <= fewest]
            allowed = {host for host in rest if copies[host] <= fewest}
            assert placed[slot] in (good[:1] or allowed)
            copies[placed[slot]] += 1
