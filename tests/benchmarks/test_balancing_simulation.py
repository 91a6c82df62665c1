"""The policies that the balancer is compared with, and the requests that all of them get."""

from __future__ import annotations

import statistics
from itertools import pairwise

import pytest
from balancing.arrivals import BURST, CAPACITY, Request, Scenario, drawn
from balancing.simulation import (
    Line,
    at_random,
    by_chance,
    central_queue,
    in_turn,
    join_shortest,
    round_robin,
    shortest,
)
from hypothesis import given
from hypothesis import strategies as st

MEAN_S = 0.05
LISTS = st.lists(st.tuples(st.floats(0, 1), st.floats(0.001, 1)), min_size=1, max_size=60)


def requests_of(*pairs: tuple[float, float]) -> list[Request]:
    return [Request(at_s=at_s, work_s=work_s) for at_s, work_s in pairs]


def test__line__more_than_its_places__wait_in_their_order() -> None:
    line = Line(speed=1.0, capacity=2)
    assert [line.take(work, now=0.0) for work in (3.0, 1.0, 1.0, 5.0)] == [3.0, 1.0, 2.0, 7.0]


def test__line__length__counts_those_that_wait_and_forgets_those_that_left() -> None:
    line = Line(speed=1.0, capacity=1)
    line.take(1.0, now=0.0)
    line.take(1.0, now=0.0)
    assert [line.length(now=now) for now in (0.0, 0.9, 1.0, 2.0)] == [2, 2, 1, 0]


def test__line__half_the_speed__takes_twice_as_long() -> None:
    assert Line(speed=0.5).take(1.0, now=2.0) == 4.0


def test__shortest_queue__a_burst__is_spread_over_all() -> None:
    responses = join_shortest(requests_of(*[(0.0, 1.0)] * 4), [1.0, 1.0])
    assert responses == [1.0] * 4


def test__shortest_queue__one_worker_is_full__the_other_one_is_taken() -> None:
    # The first two take a place at each; the third one finds the second worker shorter by then.
    requests = requests_of((0.0, 10.0), (0.0, 1.0), (2.0, 1.0), (2.5, 1.0))
    assert join_shortest(requests, [1.0, 1.0]) == [10.0, 1.0, 1.0, 1.0]


def test__central_queue__free_places_of_several_speeds__takes_the_fastest() -> None:
    assert central_queue(requests_of((0.0, 1.0)), [0.5, 2.0, 1.0]) == [0.5]


def test__central_queue__all_are_busy__waits_for_the_first_free_place() -> None:
    assert central_queue(requests_of((0.0, 4.0), (0.0, 2.0), (1.0, 1.0)), [1.0]) == [4.0, 2.0, 2.0]


@given(LISTS)
def test__all_policies__one_worker__are_the_same(pairs: list[tuple[float, float]]) -> None:
    requests = requests_of(*sorted(pairs))
    expected = in_turn(requests, [1.0])
    assert join_shortest(requests, [1.0]) == expected
    assert by_chance(requests, [1.0], seed=1) == expected
    assert central_queue(requests, [1.0]) == pytest.approx(expected)


@given(LISTS)
def test__no_policy__answers_sooner_than_the_work_takes(pairs: list[tuple[float, float]]) -> None:
    requests = requests_of(*sorted(pairs))
    for policy in (join_shortest, central_queue, in_turn):
        responses = policy(requests, [1.0, 1.0])
        assert all(response >= request.work_s - 1e-9 for response, request in zip(responses, requests, strict=True))


@pytest.mark.parametrize("is_bursty", [False, True])
def test__policies__busy_workers__come_in_the_order_that_is_known_of_them(*, is_bursty: bool) -> None:
    scenario = Scenario(workers=8, utilization=0.85, is_bursty=is_bursty)
    requests = drawn(scenario, mean_s=MEAN_S, count=8_000, seed=1)
    means = [
        statistics.fmean(responses)
        for responses in (
            central_queue(requests, scenario.speeds),
            join_shortest(requests, scenario.speeds),
            in_turn(requests, scenario.speeds),
            by_chance(requests, scenario.speeds, seed=1),
        )
    ]
    assert means == sorted(means)


def test__requests__the_same_seed__are_the_same() -> None:
    scenario = Scenario(workers=8, utilization=0.85)
    first, again, other = (drawn(scenario, mean_s=MEAN_S, count=100, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("is_unequal", [False, True])
def test__requests__need_as_much_of_the_workers_as_the_scenario_says(*, is_unequal: bool) -> None:
    scenario = Scenario(workers=8, utilization=0.85, is_unequal=is_unequal)
    requests = drawn(scenario, mean_s=MEAN_S, count=20_000, seed=3)
    offered = sum(request.work_s for request in requests) / requests[-1].at_s
    assert offered / (CAPACITY * sum(scenario.speeds)) == pytest.approx(0.85, rel=0.03)


def test__requests__in_bursts__come_by_eights() -> None:
    requests = drawn(Scenario(workers=8, utilization=0.85, is_bursty=True), mean_s=MEAN_S, count=10 * BURST, seed=1)
    bursts = [requests[begin : begin + BURST] for begin in range(0, len(requests), BURST)]
    assert all(len({request.at_s for request in burst}) == 1 for burst in bursts)
    assert all(earlier[0].at_s < later[0].at_s for earlier, later in pairwise(bursts))


def test__speeds__unequal__are_together_as_fast_as_equal_ones() -> None:
    unequal = Scenario(workers=8, utilization=0.85, is_unequal=True)
    assert sum(unequal.speeds) == pytest.approx(8.0)
    assert max(unequal.speeds) == pytest.approx(2 * min(unequal.speeds))


def test__round_robin__after_the_last__begins_anew() -> None:
    choose = round_robin("ab")
    assert [choose() for _ in range(5)] == list("ababa")


def test__shortest__lengths_change__returns_the_shortest_and_takes_turns_among_equals() -> None:
    lengths = {"a": 1, "b": 0, "c": 0}
    choose = shortest(lengths)
    assert [choose() for _ in range(3)] == list("bcb")
    lengths["b"] = lengths["c"] = 2
    assert choose() == "a"


def test__at_random__the_same_seed__draws_the_same() -> None:
    first, again = at_random("abc", seed=1), at_random("abc", seed=1)
    assert [first() for _ in range(20)] == [again() for _ in range(20)]
