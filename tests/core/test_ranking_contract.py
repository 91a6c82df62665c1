"""Our rankings keep the contract of all rankings, and bad ones break it."""
# ruff: noqa: ARG002 - bad rankings do not look at everything.

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import Phase, settings
from support.profiles import examples

from quaestor_actors.core.ranking import Candidate, Key, KeyedRanking, LeastLoaded, Ranking
from quaestor_actors.core.ranking_original import Original
from quaestor_actors.testing.ranking import RankingContract


class OurRanking(RankingContract):
    """What holds for each."""

    settings = settings(max_examples=examples(25))


class TestLeastLoaded(OurRanking):
    def make_ranking(self) -> LeastLoaded:
        return LeastLoaded(recently_used_timeout_s=5.0)


class TestLeastLoadedWithSeed(OurRanking):
    """The same seed always draws the same lots."""

    def make_ranking(self) -> LeastLoaded:
        return LeastLoaded(recently_used_timeout_s=5.0, seed=7)


class TestOriginal(OurRanking):
    def make_ranking(self) -> Original:
        return Original(recently_used_timeout_s=5.0)


class OneIsLost:
    def rank(self, candidates: Sequence[Candidate], *, now: float) -> Sequence[Candidate]:
        return sorted(candidates, key=lambda each: each.location)[:3]


class OneIsTwice:
    def rank(self, candidates: Sequence[Candidate], *, now: float) -> Sequence[Candidate]:
        return [each for each in sorted(candidates, key=lambda each: each.location) for _ in range(2)]


class AsTheyCome:
    def rank(self, candidates: Sequence[Candidate], *, now: float) -> Sequence[Candidate]:
        return list(candidates)


class EqualOnesAsTheyCome:
    def rank(self, candidates: Sequence[Candidate], *, now: float) -> Sequence[Candidate]:
        return sorted(candidates, key=lambda each: each.requests)


class InTurns:
    """Begins with another one each time."""

    def __init__(self) -> None:
        self.turn = 0

    def rank(self, candidates: Sequence[Candidate], *, now: float) -> Sequence[Candidate]:
        self.turn += 1
        ordered = sorted(candidates, key=lambda each: each.location)
        start = self.turn % max(len(ordered), 1)
        return ordered[start:] + ordered[:start]


class InPlace:
    def rank(self, candidates: list[Candidate], *, now: float) -> Sequence[Candidate]:
        candidates.sort(key=lambda each: each.location)
        return candidates


class Iterates:
    def rank(self, candidates: Sequence[Candidate], *, now: float) -> Sequence[Candidate]:
        return iter(sorted(candidates, key=lambda each: each.location))  # type: ignore[return-value] # that is its fault


class ByHostAlone(KeyedRanking):
    """Two of one host compare otherwise when their host is busy."""

    def key(self, candidate: Candidate, *, host_load: float, now: float) -> Key:
        return (abs(candidate.requests - host_load),)


class NotANumber(KeyedRanking):
    def key(self, candidate: Candidate, *, host_load: float, now: float) -> Key:
        return (math.nan if candidate.is_stale else candidate.requests,)


class AgesInSecret(KeyedRanking):
    """Does not say when its keys change."""

    def key(self, candidate: Candidate, *, host_load: float, now: float) -> Key:
        return (candidate.was_used_within(5.0, now=now),)


class AgesTooEarly(AgesInSecret):
    def key_changes_at(self, candidate: Candidate, *, now: float) -> float:
        return now


@pytest.mark.parametrize(
    ("bad", "case"),
    [
        (OneIsLost, "rank__loses_nobody_and_invents_nobody"),
        (OneIsTwice, "rank__loses_nobody_and_invents_nobody"),
        (OneIsLost, "rank__capacity_0__may_be_left_out_and_nobody_else"),
        (AsTheyCome, "rank__has_one_order_for_every_sequence_of_a_few"),
        (EqualOnesAsTheyCome, "rank__has_one_order_for_every_sequence_of_a_few"),
        (EqualOnesAsTheyCome, "rank__has_one_order_for_any_sequence_of_many"),
        (InTurns, "rank__remembers_nothing"),
        (InPlace, "rank__leaves_its_argument_alone"),
        (Iterates, "rank__returns_what_can_be_cut_off"),
        (ByHostAlone, "key__within_a_host__does_not_depend_on_its_load"),
        (NotANumber, "key__within_a_host__does_not_depend_on_its_load"),
        (AgesInSecret, "key__stays_until_it_is_said_to_change"),
        (AgesTooEarly, "key__stays_until_it_is_said_to_change"),
        (AgesInSecret, "kept_order__is_that_of_sorting_anew"),
    ],
)
def test__bad_ranking__breaks_the_promise(bad: type[Ranking], case: str) -> None:
    class Bad(RankingContract):
        # Found is enough; it need not be small.
        settings = settings(max_examples=500, phases=[Phase.generate])

        def make_ranking(self) -> Ranking:
            return bad()

    with pytest.raises((AssertionError, TypeError, AttributeError)):
        getattr(Bad(), f"test__{case}")()
