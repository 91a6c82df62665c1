"""The contract of rankings, for whoever writes one: any candidates whatever have one order, and nobody is lost.

It needs hypothesis, which quaestor-actors itself does not. Every method that begins with `test` is one promise, takes
no arguments, and fails by an exception, so that pytest, unittest and others run them as they are. docs/testing.md has
an example.
"""
# ruff: noqa: S101 - assertions are how the contract tells; `pytest.register_assert_rewrite` makes them talk.
# ruff: noqa: D102 - the name of a case says what it shows.

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any
from unittest import SkipTest

from quaestor_actors.core.load import LoadReport, load_report_from_wire
from quaestor_actors.core.location import Location
from quaestor_actors.core.ranking import Candidate, KeyedRanking, Ranking
from quaestor_actors.core.standing_order import Change, StandingOrder

try:
    from hypothesis import given, note
    from hypothesis import settings as Settings  # noqa: N812 - the class has an attribute of that name
    from hypothesis import strategies as st
except ModuleNotFoundError as error:
    raise ImportError("quaestor_actors.testing.ranking needs hypothesis; pip install hypothesis") from error

NOW = 1000.0
"""Seconds of the monotonic clock, at which everything is ranked first."""

LATER_S = (0.0, 0.5, 1.0, 4.9, 5.0, 5.1, 60.0, 1e6)
"""After so many seconds it is ranked again."""

PERMUTED = 4
"""So many candidates are given in every sequence."""

_int32s = st.integers(min_value=-(2**31), max_value=2**31 - 1)
_floats = st.floats(allow_nan=True, allow_infinity=True)
_shares = st.sampled_from([0.0, 0.5, 1.0])


class RankingContract(ABC):
    """What every ranking promises, and every `KeyedRanking` besides.

    Derive a class, and have it make your ranking:

        class TestFewestRequests(RankingContract):
            def make_ranking(self):
                return FewestRequests()

    """

    settings: Settings | None = None
    """Of hypothesis, such as how many examples each promise is tried with; None: those of the profile in force."""

    @abstractmethod
    def make_ranking(self) -> Ranking:
        """Return a new object of the ranking, as the balancer makes one; they must all rank alike."""

    def locations(self) -> st.SearchStrategy[Location]:
        """Return what draws locations of one service; few hosts, some with names that differ in case alone."""
        hosts = st.sampled_from(["a", "A", "b", "c", "straße"])
        return st.builds(Location, service_name=st.just("Worker"), host_name=hosts, port=st.integers(1, 4))

    def reports(self) -> st.SearchStrategy[LoadReport]:
        """Return what draws reports: of everyday numbers, so that many are equal, and of any that a worker may send."""
        everyday = st.builds(
            LoadReport,
            request_capacity=st.integers(1, 3),
            current_requests=st.integers(0, 3),
            known_load_rate=st.one_of(st.none(), _shares),
            server_utilization=_shares,
        )
        anything = st.builds(
            load_report_from_wire,
            timestamp_ticks=st.integers(0, 2**63 - 1),
            known_load_rate=_floats,
            request_capacity=st.integers(1, 2**31 - 1),
            current_requests=_int32s,
            server_utilization=_floats,
            server_memory_usage_percent=_floats,
            started_requests=st.one_of(st.none(), st.integers(0, 2**63 - 1)),
        )
        return st.one_of(everyday, anything)

    def candidates(self) -> st.SearchStrategy[Candidate]:
        """Return what draws candidates, with a capacity above 0 as the balancer gives them."""
        return st.builds(
            Candidate,
            location=self.locations(),
            report=self.reports(),
            is_stale=st.booleans(),
            handed_out=st.integers(0, 5),
            last_handed_out_at=st.one_of(st.none(), st.sampled_from([0.0, NOW - 5, NOW]), st.floats(0.0, NOW)),
        )

    def services(self, *, max_size: int = 8) -> st.SearchStrategy[list[Candidate]]:
        """Return what draws all candidates of a service, each location once."""
        return st.lists(self.candidates(), max_size=max_size, unique_by=lambda each: each.location)

    # Every ranking

    def test__rank__loses_nobody_and_invents_nobody(self) -> None:
        def check(some: list[Candidate], later_s: float) -> None:
            ranked = self.make_ranking().rank(some, now=NOW + later_s)
            assert Counter(each.location for each in ranked) == Counter(each.location for each in some)
            assert all(each in some for each in ranked), "a candidate was changed"

        self._try(check, self.services(), st.sampled_from(LATER_S))

    def test__rank__capacity_0__may_be_left_out_and_nobody_else(self) -> None:
        def check(some: list[Candidate], full: set[int]) -> None:
            mixed = [_without_capacity(each) if number in full else each for number, each in enumerate(some)]
            found = Counter(each.location for each in self.make_ranking().rank(mixed, now=NOW))
            usable = Counter(each.location for each in mixed if each.report.request_capacity)
            assert usable <= found <= Counter(each.location for each in mixed)

        self._try(check, self.services(), st.sets(st.integers(0, 7)))

    def test__rank__has_one_order_for_every_sequence_of_a_few(self) -> None:
        def check(some: list[Candidate]) -> None:
            ranking = self.make_ranking()
            orders = {_locations(ranking.rank(each, now=NOW)) for each in permutations(some)}
            assert len(orders) == 1, "it is no total order"

        self._try(check, self.services(max_size=PERMUTED))

    def test__rank__has_one_order_for_any_sequence_of_many(self) -> None:
        def check(some: list[Candidate], rng: Any) -> None:
            ranking = self.make_ranking()
            ranked = _locations(ranking.rank(some, now=NOW))
            shuffled = list(some)
            rng.shuffle(shuffled)
            assert _locations(ranking.rank(shuffled, now=NOW)) == ranked

        self._try(check, self.services(max_size=20), st.randoms(use_true_random=False))

    def test__rank__remembers_nothing(self) -> None:
        """The same question has the same answer, whatever was asked in between and whoever is asked."""

        def check(some: list[Candidate], others: list[Candidate], later_s: float) -> None:
            one, other = self.make_ranking(), self.make_ranking()
            first = _locations(one.rank(some, now=NOW))
            one.rank(others, now=NOW)
            one.rank(some, now=NOW + later_s)
            assert _locations(one.rank(some, now=NOW)) == first
            assert _locations(other.rank(some, now=NOW)) == first

        self._try(check, self.services(), self.services(), st.sampled_from(LATER_S))

    def test__rank__leaves_its_argument_alone(self) -> None:
        def check(some: list[Candidate]) -> None:
            before = list(some)
            self.make_ranking().rank(some, now=NOW)
            assert some == before
            # Whatever is a sequence will do.
            self.make_ranking().rank(tuple(some), now=NOW)

        self._try(check, self.services())

    def test__rank__returns_what_can_be_cut_off(self) -> None:
        """Of the best ones as many are taken as a client wants."""

        def check(some: list[Candidate]) -> None:
            ranked = self.make_ranking().rank(some, now=NOW)
            assert len(ranked[:1]) == min(1, len(some))
            assert len(ranked[:None]) == len(ranked) == len(some)

        self._try(check, self.services())

    # Every keyed ranking

    def test__key__within_a_host__does_not_depend_on_its_load(self) -> None:
        ranking = self._keyed()

        def check(one: Candidate, other: Candidate, load: float, another_load: float) -> None:
            orders = []
            for host_load in (load, another_load):
                a, b = (ranking.key(each, host_load=host_load, now=NOW) for each in (one, other))
                orders.append((a < b, a == b, a > b))
                assert sum(orders[-1]) == 1, f"{a} and {b} do not compare"
            assert orders[0] == orders[1], "the load of their host decides between two of one host"

        loads = st.floats(0.0, 100.0)
        self._try(check, self.candidates(), self.candidates(), loads, loads)

    def test__key__stays_until_it_is_said_to_change(self) -> None:
        ranking = self._keyed()

        def check(one: Candidate, load: float, share: float) -> None:
            changes_at = ranking.key_changes_at(one, now=NOW)
            assert changes_at > NOW, "what has changed already is no change to come"
            until = min(changes_at, NOW + LATER_S[-1])
            then = NOW + (until - NOW) * share
            if then < changes_at:
                before = ranking.key(one, host_load=load, now=NOW)
                assert ranking.key(one, host_load=load, now=then) == before

        self._try(check, self.candidates(), st.floats(0.0, 100.0), st.floats(0.0, 1.0))

    def test__kept_order__is_that_of_sorting_anew(self) -> None:
        """As in the balancer: what changes is moved, and nothing else is looked at."""
        ranking = self._keyed()
        changes = st.one_of(self.candidates(), self.locations(), st.sampled_from(LATER_S))

        def check(steps: list[Candidate | Location | float]) -> None:
            order, now, known = StandingOrder(ranking), NOW, dict[Location, Candidate]()
            for step in steps:
                match step:
                    case Candidate():
                        known[step.location] = step
                        order.update([Change(step.location, step)], now=now)
                    case Location():
                        known.pop(step, None)
                        order.update([Change(step, None)], now=now)
                    case later_s:
                        now += later_s
                order.update([Change(each, known[each]) for each in order.take_due(now=now)], now=now)
                expected = _locations(ranking.rank(list(known.values()), now=now))
                note(f"after {step}: {expected}")
                assert _locations(order.best(0, now=now)) == expected
                assert _locations(order.best(1, now=now)) == expected[:1]

        self._try(check, st.lists(changes, max_size=20))

    def _keyed(self) -> KeyedRanking:
        ranking = self.make_ranking()
        if not isinstance(ranking, KeyedRanking):
            raise SkipTest("this is no KeyedRanking")
        return ranking

    def _try(self, check: Callable[..., None], *strategies: st.SearchStrategy[Any]) -> None:
        """Check a promise by a function of its own: hypothesis does not want one to be shared by several classes."""
        test = given(*strategies)(check)
        if self.settings is not None:
            test = self.settings(test)
        test()


def _locations(ranked: Sequence[Candidate]) -> tuple[Location, ...]:
    return tuple(each.location for each in ranked)


def _without_capacity(candidate: Candidate) -> Candidate:
    return replace(candidate, report=replace(candidate.report, request_capacity=0))
