"""The default ranking: a total order whatever the workers report, and the rules of the field."""

from __future__ import annotations

import math
from collections import Counter
from itertools import permutations
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.candidates import NOW, candidate

from quaestor_actors.core.load import LoadReport, load_report_from_wire
from quaestor_actors.core.location import Location
from quaestor_actors.core.ranking import Candidate, LeastLoaded

RANKING = LeastLoaded(recently_used_timeout_s=5.0)

int32s = st.integers(min_value=-(2**31), max_value=2**31 - 1)
any_floats = st.floats(allow_nan=True, allow_infinity=True)
reports = st.builds(
    load_report_from_wire,
    timestamp_ticks=st.integers(min_value=0, max_value=2**63 - 1),
    known_load_rate=st.one_of(st.just(-1.0), any_floats),
    request_capacity=st.one_of(st.integers(0, 3), int32s),
    current_requests=st.one_of(st.integers(0, 3), int32s),
    server_utilization=any_floats,
    server_memory_usage_percent=any_floats,
)
locations = st.builds(
    Location,
    service_name=st.just("Worker"),
    host_name=st.sampled_from(["a", "A", "b", "straße"]),
    port=st.integers(1, 4),
)
candidates = st.builds(
    Candidate,
    location=locations,
    report=reports,
    is_stale=st.booleans(),
    handed_out=st.integers(0, 5),
    last_handed_out_at=st.one_of(st.none(), st.floats(min_value=0.0, max_value=NOW)),
)
candidate_lists = st.lists(candidates, max_size=6, unique_by=lambda candidate: candidate.location)


def ports(*given_candidates: Candidate) -> list[int]:
    ranked = RANKING.rank(given_candidates, now=NOW)
    return [each.location.port for each in ranked]


@given(candidate_lists, st.randoms(use_true_random=False))
def test__rank__any_sequence__gives_the_same_order_of_the_same_candidates(some: list[Candidate], rng: Random) -> None:
    ranked = RANKING.rank(some, now=NOW)
    shuffled = list(some)
    rng.shuffle(shuffled)
    assert RANKING.rank(shuffled, now=NOW) == ranked
    usable = [each for each in some if each.report.request_capacity > 0]
    assert sorted(each.location for each in ranked) == sorted(each.location for each in usable)


@given(candidate_lists)
def test__rank__three_of_them__every_pair_is_decided_and_transitive(some: list[Candidate]) -> None:
    # One host each, so that the host's load is the candidate's own and does not depend on who else is there.
    apart = [
        Candidate(
            location=Location(service_name="Worker", host_name=f"h{index}", port=each.location.port),
            report=each.report,
            is_stale=each.is_stale,
            handed_out=each.handed_out,
            last_handed_out_at=each.last_handed_out_at,
        )
        for index, each in enumerate(some)
        if each.report.request_capacity > 0
    ]

    def before(one: Candidate, other: Candidate) -> bool:
        return RANKING.rank([one, other], now=NOW)[0] is one

    for one, other in permutations(apart, 2):
        assert before(one, other) != before(other, one)
    for one, other, third in permutations(apart, 3):
        if before(one, other) and before(other, third):
            assert before(one, third)


@given(candidates)
def test__load__any_report__is_finite_and_not_negative(some: Candidate) -> None:
    if some.report.request_capacity > 0:
        assert 0.0 <= some.load < math.inf


def test__rank__loads_differ__least_loaded_first() -> None:
    assert ports(candidate(1, current=2, capacity=2), candidate(2, current=1, capacity=2)) == [2, 1]


def test__rank__capacities_differ__requests_count_by_capacity() -> None:
    assert ports(candidate(1, current=1, capacity=2), candidate(2, current=4, capacity=10)) == [2, 1]


def test__rank__known_rate__counts_instead_of_the_statistics() -> None:
    busy_by_statistics = candidate(1, current=9, capacity=10, rate=0.1)
    assert ports(candidate(2, current=2, capacity=10), busy_by_statistics) == [1, 2]


def test__rank__only_some_have_a_known_rate__still_one_order() -> None:
    # The original's comparison makes a circle of these three: A < C < B < A.
    a = candidate(1, current=9, capacity=10, rate=0.1)
    b = candidate(2, current=5, capacity=10)
    c = candidate(3, current=2, capacity=10, rate=0.5)
    orders = {tuple(ports(*sequence)) for sequence in permutations([a, b, c])}
    assert len(orders) == 1


def test__rank__capacity_0__is_no_candidate() -> None:
    assert ports(candidate(1, capacity=0), candidate(2, capacity=0, rate=0.0), candidate(3)) == [3]


def test__rank__equal_loads__by_host_ignoring_case_then_port() -> None:
    given_candidates = [
        candidate(3, host="alpha"),
        candidate(2, host="Beta"),
        candidate(9, host="ALPHA"),
        candidate(1, host="beta"),
    ]
    assert ports(*given_candidates) == [3, 9, 1, 2]


def test__rank__equal_loads_on_unequal_hosts__the_quieter_host_first() -> None:
    busy_neighbour = candidate(1, host="a", current=1)
    idle_there = candidate(2, host="a")
    idle_elsewhere = candidate(3, host="b")
    assert ports(busy_neighbour, idle_there, idle_elsewhere) == [3, 2, 1]


def test__rank__hand_outs__count_as_requests_until_reported() -> None:
    given_candidates = [candidate(1, capacity=4, handed_out=2), candidate(2, capacity=4, current=1)]
    assert ports(*given_candidates) == [2, 1]


def test__rank__recently_used__decides_among_equal_loads_only() -> None:
    given_candidates = [
        candidate(1, current=1, capacity=4),
        candidate(2, current=0, capacity=4, used_ago_s=1),
        candidate(3, current=0, capacity=4, used_ago_s=4.9),
        candidate(4, current=0, capacity=4, used_ago_s=5),
        candidate(5, current=0, capacity=4),
    ]
    assert ports(*given_candidates) == [4, 5, 3, 2, 1]


def test__rank__stale_report__between_those_with_room_and_the_full_ones() -> None:
    given_candidates = [
        candidate(1, current=2, capacity=2),
        candidate(2, current=0, capacity=2, stale=True),
        candidate(3, current=1, capacity=2),
        candidate(4, current=0, capacity=2, handed_out=2),
        candidate(5, rate=0.99),
        candidate(6, rate=1.0),
    ]
    assert ports(*given_candidates) == [3, 5, 2, 1, 4, 6]


def test__rank__stale_reports__by_what_is_on_its_way_alone() -> None:
    given_candidates = [
        candidate(1, current=0, capacity=2, handed_out=1, stale=True),
        candidate(2, current=9, capacity=2, stale=True),
        candidate(3, rate=5.0, capacity=4, handed_out=1, stale=True),
    ]
    assert ports(*given_candidates) == [2, 3, 1]


def test__rank__stale_neighbour__does_not_count_for_its_host() -> None:
    unknown = candidate(1, host="a", current=4, stale=True)
    there = candidate(2, host="a")
    elsewhere = candidate(3, host="b")
    assert ports(unknown, there, elsewhere) == [2, 3, 1]


def test__seed__another_one_draws_another_order_of_equal_locations() -> None:
    equal = [candidate(port, host=host) for host in ("a", "b") for port in (1, 2)]
    first = Counter(LeastLoaded(seed=seed).rank(equal, now=NOW)[0].location for seed in range(1, 401))
    # A fair draw is within 70..130 but for one run in a thousand; these draws are the same in every run.
    assert len(first) == len(equal)
    assert all(70 <= times <= 130 for times in first.values())


@given(candidate_lists, st.integers(0, 2**32), st.randoms(use_true_random=False))
def test__seed__any__is_a_total_order_and_the_same_each_time(some: list[Candidate], seed: int, rng: Random) -> None:
    shuffled = list(some)
    rng.shuffle(shuffled)
    assert LeastLoaded(seed=seed).rank(shuffled, now=NOW) == LeastLoaded(seed=seed).rank(some, now=NOW)


def test__seed__decides_between_equal_locations_alone() -> None:
    unequal = [candidate(1, current=2, capacity=4), candidate(2, capacity=4), candidate(3, current=1, capacity=4)]
    for seed in range(20):
        assert [each.location.port for each in LeastLoaded(seed=seed).rank(unequal, now=NOW)] == [2, 3, 1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("request_capacity", -1),
        ("current_requests", -1),
        ("known_load_rate", math.nan),
        ("known_load_rate", math.inf),
        ("known_load_rate", -0.5),
        ("server_utilization", 1.5),
        ("server_utilization", math.nan),
        ("server_memory_usage_percent", 101.0),
    ],
)
def test__load_report__number_that_cannot_be_compared__is_refused(field: str, value: float) -> None:
    fields: dict[str, Any] = {"request_capacity": 1, "current_requests": 0, field: value}
    with pytest.raises(ValueError, match=field):
        LoadReport(**fields)


def test__load_report_from_wire__negative_rate_and_memory__are_unknown() -> None:
    report = load_report_from_wire(
        timestamp_ticks=7,
        known_load_rate=-1.0,
        request_capacity=2,
        current_requests=1,
        server_utilization=0.25,
        server_memory_usage_percent=-1.0,
    )
    assert report == LoadReport(timestamp_ticks=7, request_capacity=2, current_requests=1, server_utilization=0.25)
