"""The original's order, case by case, and that it is an order where the original's comparison is none."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cmp_to_key
from itertools import permutations
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from support.candidates import NOW, candidate

from quaestor_actors.core.load import load_report_from_wire
from quaestor_actors.core.location import Location
from quaestor_actors.core.ranking import Candidate
from quaestor_actors.core.ranking_original import Original

TIMEOUT_S = 5.0
RANKING = Original(recently_used_timeout_s=TIMEOUT_S)

any_floats = st.floats(allow_nan=True, allow_infinity=True)
int32s = st.integers(min_value=-(2**31), max_value=2**31 - 1)
candidates = st.builds(
    Candidate,
    location=st.builds(
        Location,
        service_name=st.just("Worker"),
        host_name=st.sampled_from(["a", "A", "b", "c"]),
        port=st.integers(1, 4),
    ),
    report=st.builds(
        load_report_from_wire,
        timestamp_ticks=st.just(0),
        known_load_rate=st.one_of(st.just(-1.0), st.sampled_from([0.0, 0.5, 1.0]), any_floats),
        request_capacity=st.one_of(st.integers(0, 3), int32s),
        current_requests=st.one_of(st.integers(0, 3), int32s),
        server_utilization=any_floats,
        server_memory_usage_percent=any_floats,
    ),
    is_stale=st.booleans(),
    handed_out=st.integers(0, 3),
    last_handed_out_at=st.one_of(st.none(), st.floats(min_value=NOW - 10, max_value=NOW)),
)
candidate_lists = st.lists(candidates, max_size=7, unique_by=lambda candidate: candidate.location)


def ports(*some: Candidate) -> list[int]:
    return [each.location.port for each in RANKING.rank(some, now=NOW)]


def by_the_contract(some: Sequence[Candidate]) -> list[Candidate]:
    """Sort with the pairwise comparison of the contract, then move the recently used ones behind."""

    def utilisation(host: str) -> float:
        here = [each.report for each in some if each.location.host_name.lower() == host.lower()]
        return sum(each.current_requests for each in here) / sum(each.request_capacity for each in here)

    def compare(one: Candidate, other: Candidate) -> int:
        a, b = one.report, other.report
        if a.known_load_rate is not None and b.known_load_rate is not None:
            pairs: list[tuple[float, float]] = [(a.known_load_rate, b.known_load_rate)]
        else:
            hosts = utilisation(one.location.host_name), utilisation(other.location.host_name)
            own = a.current_requests / a.request_capacity, b.current_requests / b.request_capacity
            pairs = [hosts, own]
        for left, right in pairs:
            if left != right:
                return -1 if left < right else 1
        names = [(each.location.host_name.lower(), each.location.port) for each in (one, other)]
        return -1 if names[0] < names[1] else int(names[0] > names[1])

    ordered = sorted(sorted(some, key=lambda each: each.location), key=cmp_to_key(compare))
    return sorted(ordered, key=lambda each: each.was_used_within(TIMEOUT_S, now=NOW))


def test__both_have_a_rate__by_rate() -> None:
    quiet_by_rate = candidate(1, current=9, capacity=10, rate=0.1)
    assert ports(candidate(2, host="b", capacity=10, rate=0.2), quiet_by_rate) == [1, 2]


def test__equal_rates__by_host_name_then_port() -> None:
    assert ports(candidate(2, host="B", rate=0.5), candidate(3, host="a", rate=0.5), candidate(1, rate=0.5)) == [
        1,
        3,
        2,
    ]


def test__one_of_two_has_a_rate__by_the_utilisation_of_the_hosts() -> None:
    rated = candidate(1, host="a", current=5, capacity=10, rate=0.0)
    unrated = candidate(2, host="b", current=4, capacity=10)
    assert ports(rated, unrated) == [2, 1]


def test__hosts_differ__the_less_utilised_one_first_whatever_its_process_does() -> None:
    busy_process_on_quiet_host = candidate(1, host="a", current=2, capacity=4)
    given_candidates = [
        busy_process_on_quiet_host,
        candidate(2, host="a", current=0, capacity=8),
        candidate(3, host="b", current=1, capacity=4),
    ]
    assert ports(*given_candidates) == [2, 1, 3]


def test__host_utilisation__is_the_ratio_of_sums_not_the_mean_of_ratios() -> None:
    given_candidates = [
        candidate(1, host="a", current=1, capacity=1),
        candidate(2, host="a", current=0, capacity=9),
        candidate(3, host="b", current=1, capacity=5),
    ]
    assert ports(*given_candidates) == [2, 1, 3]


def test__same_host__by_requests_per_capacity_of_the_process() -> None:
    assert ports(candidate(1, current=1, capacity=2), candidate(2, current=4, capacity=10)) == [2, 1]


def test__equal__by_host_name_ignoring_case_then_port() -> None:
    given_candidates = [
        candidate(3, host="alpha"),
        candidate(2, host="Beta"),
        candidate(9, host="ALPHA"),
        candidate(1, host="beta"),
    ]
    assert ports(*given_candidates) == [3, 9, 1, 2]


def test__recently_used__move_behind_and_keep_their_order() -> None:
    given_candidates = [
        candidate(1, current=0, capacity=9, used_ago_s=1),
        candidate(2, current=1, capacity=9, used_ago_s=4.9),
        candidate(3, current=2, capacity=9),
        candidate(4, current=3, capacity=9, used_ago_s=5),
    ]
    assert ports(*given_candidates) == [3, 4, 1, 2]


def test__hand_outs__are_no_requests() -> None:
    assert ports(candidate(1, handed_out=3, capacity=4), candidate(2, current=1, capacity=4)) == [1, 2]


def test__capacity_0__is_no_candidate() -> None:
    assert ports(candidate(1, capacity=0), candidate(2, capacity=0, rate=0.0), candidate(3)) == [3]


def test__stale_report__behind_those_that_are_known() -> None:
    given_candidates = [candidate(1, stale=True), candidate(2, current=9), candidate(3, rate=0.1, stale=True)]
    assert ports(*given_candidates) == [2, 1, 3]


def test__only_some_have_a_rate__the_circle_of_the_original_is_cut() -> None:
    a = candidate(1, host="a", current=9, capacity=10, rate=0.1)
    b = candidate(2, host="b", current=5, capacity=10)
    c = candidate(3, host="c", current=2, capacity=10, rate=0.5)
    assert ports(a, c) == [1, 3]
    assert {tuple(ports(*sequence)) for sequence in permutations([a, b, c])} == {(3, 2, 1)}


@given(candidate_lists, st.randoms(use_true_random=False))
def test__any_candidates__one_order_for_every_sequence(some: list[Candidate], rng: Random) -> None:
    ranked = RANKING.rank(some, now=NOW)
    shuffled = list(some)
    rng.shuffle(shuffled)
    assert RANKING.rank(shuffled, now=NOW) == ranked
    assert {each.location for each in ranked} == {each.location for each in some if each.report.request_capacity > 0}


@given(candidate_lists, st.booleans())
def test__workers_alike__as_the_contract_compares(some: list[Candidate], rated: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    alike = [
        each
        for each in some
        if each.report.request_capacity > 0 and not each.is_stale and (each.report.known_load_rate is not None) == rated
    ]
    assert RANKING.rank(alike, now=NOW) == by_the_contract(alike)


@given(st.lists(candidates, min_size=2, max_size=2, unique_by=lambda candidate: candidate.location))
def test__two_of_them__as_the_contract_compares(some: list[Candidate]) -> None:
    pair = [each for each in some if each.report.request_capacity > 0 and not each.is_stale]
    assert RANKING.rank(pair, now=NOW) == by_the_contract(pair)


@given(candidate_lists)
def test__removing_one_of_hosts_apart__leaves_the_order_of_the_rest(some: list[Candidate]) -> None:
    # Connex, antisymmetric and transitive: one order of all from which that of every pair can be read.
    apart = [
        Candidate(
            location=Location(service_name="Worker", host_name=f"h{index}", port=1),
            report=each.report,
            last_handed_out_at=each.last_handed_out_at,
        )
        for index, each in enumerate(some)
        if each.report.request_capacity > 0 and each.report.known_load_rate is None
    ]
    ranked = RANKING.rank(apart, now=NOW)
    for index, better in enumerate(ranked):
        for worse in ranked[index + 1 :]:
            assert RANKING.rank([worse, better], now=NOW) == [better, worse]
