"""An order kept from one request to the next is the one that sorting anew gives, whatever changed in between."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.profiles import examples

from quaestor_actors.core.load import LoadReport
from quaestor_actors.core.location import Location
from quaestor_actors.core.ranking import Candidate, Key, KeyedRanking, LeastLoaded
from quaestor_actors.core.standing_order import Change, OrderMemory, StandingOrder

RANKING = LeastLoaded(recently_used_timeout_s=5.0, seed=7)
LOCATIONS = [
    Location(service_name="Worker", host_name=host, port=port) for host in ("a", "A", "b", "c") for port in (1, 2, 3)
]

reports = st.builds(
    LoadReport,
    request_capacity=st.integers(1, 3),
    current_requests=st.integers(0, 3),
    known_load_rate=st.one_of(st.none(), st.sampled_from([0.0, 0.5, 1.0])),
)


def idle(location: Location) -> Candidate:
    return Candidate(location=location, report=LoadReport(request_capacity=1, current_requests=0))


class AnyChanges(RuleBasedStateMachine):
    """Locations come, go, are handed out and age; the order is compared with sorting them."""

    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.candidates: dict[Location, Candidate] = {}
        self.order = StandingOrder(RANKING)

    def change(self, *changes: Change) -> None:
        for each in changes:
            self.candidates.pop(each.location, None)
            if each.candidate is not None:
                self.candidates[each.location] = each.candidate
        self.order.update(changes, now=self.now)

    @rule(location=st.sampled_from(LOCATIONS), report=reports, handed_out=st.integers(0, 2), stale=st.booleans())
    def report(self, location: Location, report: LoadReport, handed_out: int, *, stale: bool) -> None:
        known = self.candidates.get(location)
        at = known.last_handed_out_at if known else None
        self.change(
            Change(
                location,
                Candidate(
                    location=location, report=report, is_stale=stale, handed_out=handed_out, last_handed_out_at=at
                ),
            )
        )

    @rule(location=st.sampled_from(LOCATIONS))
    def leave(self, location: Location) -> None:
        self.change(Change(location, None))

    @rule(count=st.integers(1, 4))
    def hand_out(self, count: int) -> None:
        best = self.order.best(count, now=self.now)
        self.change(*(Change(each.location, each.handed_out_to(each.handed_out + 1, now=self.now)) for each in best))

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.9, 5.0]))
    def grow_old(self, seconds: float) -> None:
        self.now += seconds
        due = self.order.take_due(now=self.now)
        self.change(*(Change(each, self.candidates[each]) for each in due))
        assert self.order.take_due(now=self.now) == []

    @invariant()
    def is_the_order_of_sorting(self) -> None:
        ranked = list(RANKING.rank(list(self.candidates.values()), now=self.now))
        assert self.order.best(0, now=self.now) == ranked
        assert self.order.best(1, now=self.now) == ranked[:1]
        assert self.order.best(3, now=self.now) == ranked[:3]


AnyChanges.TestCase.settings = settings(max_examples=examples(100), stateful_step_count=40)
test_any_changes = AnyChanges.TestCase


@given(reports, reports, st.floats(0, 10), st.floats(0, 10))
def test__least_loaded__load_of_the_host__does_not_change_the_order_within_it(
    one: LoadReport, other: LoadReport, load: float, another_load: float
) -> None:
    two = [Candidate(location=LOCATIONS[0], report=one), Candidate(location=LOCATIONS[1], report=other)]
    keys = [[RANKING.key(each, host_load=host_load, now=0.0) for each in two] for host_load in (load, another_load)]
    assert (keys[0][0] < keys[0][1]) == (keys[1][0] < keys[1][1])


def test__valid_until__is_due_then_and_not_before() -> None:
    order = StandingOrder(RANKING)
    order.update([Change(LOCATIONS[0], idle(LOCATIONS[0]), 3.0), Change(LOCATIONS[1], idle(LOCATIONS[1]))], now=0.0)
    assert order.take_due(now=2.9) == []
    assert order.take_due(now=3.0) == [LOCATIONS[0]]


class Nonsense(KeyedRanking):
    """Keys of which none is before another."""

    def key(self, candidate: Candidate, *, host_load: float, now: float) -> Key:  # noqa: ARG002 - none of it counts
        return (float("nan"),)


def test__keys_in_no_order__are_an_error_as_soon_as_one_is_not_where_it_was_put() -> None:
    order = StandingOrder(Nonsense())
    order.update([Change(each, idle(each)) for each in LOCATIONS], now=0.0)
    with pytest.raises(ValueError, match="in no order"):
        order.update([Change(LOCATIONS[2], None)], now=0.0)


@dataclass(slots=True)
class Counting(KeyedRanking):
    """By port, and counts how often it is asked."""

    asked: int = 0

    def key(self, candidate: Candidate, *, host_load: float, now: float) -> Key:  # noqa: ARG002 - the port is all
        self.asked += 1
        return (candidate.location.port,)


def refreshed(memory: OrderMemory, ranking: KeyedRanking) -> OrderMemory:
    after, _ = memory.refreshed(ranking, LOCATIONS, lambda each: Change(each, idle(each)), now=0.0)
    return after


def test__memory__only_what_is_outdated__is_ranked_anew() -> None:
    ranking = Counting()
    first = refreshed(OrderMemory(), ranking)
    ranking.asked = 0
    refreshed(first.outdating([LOCATIONS[0]]), ranking)
    # Once among its host's, once for the host.
    assert ranking.asked == 2


def test__memory__of_an_older_version__makes_an_order_of_its_own() -> None:
    ranking = Counting()
    first = refreshed(OrderMemory(), ranking)
    second = refreshed(first.outdating([LOCATIONS[0]]), ranking)
    again = refreshed(first, ranking)
    assert second.order is first.order
    assert again.order is not first.order


def test__memory__of_another_ranking__makes_an_order_of_its_own() -> None:
    first = refreshed(OrderMemory(), Counting())
    other = refreshed(first, Counting())
    assert other.order is not first.order
