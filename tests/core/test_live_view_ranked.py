"""The live view and its ranking: many locations, old reports, new workers, and rankings of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from support.live_view_story import IDLE, RANKING, Story, registration

from quaestor_actors.core.live_view import LoadAsked, LoadReported, LocationsChanged, discover_top
from quaestor_actors.core.load import LoadReport
from quaestor_actors.core.location import Registration
from quaestor_actors.core.ranking import Candidate, Key, KeyedRanking, LeastLoaded, Ranking

ROOMY = LoadReport(request_capacity=10, current_requests=0)
MANY = 32


def story_of(count: int, report: LoadReport = IDLE) -> tuple[Story, list[Registration]]:
    some = [registration(port) for port in range(1, count + 1)]
    story = Story(*some)
    story.serve(*some, report=report)
    return story, some


def ask(story: Story, ranking: Ranking, count: int = 1) -> list[int]:
    found, story.view = discover_top(
        story.view, scope="", service_name="Worker", max_count=count, ranking=ranking, now=story.now
    )
    return [location.port for location in found]


@dataclass(frozen=True, slots=True)
class Sorting:
    """The default's order by sorting at each request."""

    inner: LeastLoaded

    def rank(self, candidates: Sequence[Candidate], *, now: float) -> Sequence[Candidate]:
        return self.inner.rank(candidates, now=now)


def test__many_locations__each_client_gets_another_one() -> None:
    story, _ = story_of(MANY)
    assert [story.top() for _ in range(MANY)] == [[port] for port in range(1, MANY + 1)]


def test__many_locations__the_kept_order_is_the_sorted_one() -> None:
    kept, some = story_of(MANY, ROOMY)
    sorted_anew, _ = story_of(MANY, ROOMY)
    for step in range(400):
        kept.now = sorted_anew.now = step * 0.3
        one = some[step * 7 % MANY]
        report = replace(ROOMY, current_requests=step * 5 % 12, request_capacity=step % 4 * 5)
        for story in (kept, sorted_anew):
            story.on(LoadAsked(registration=one), LoadReported(registration=one, report=report))
        count = (1, 1, 1, 2, 0)[step % 5]
        assert ask(kept, RANKING, count) == ask(sorted_anew, Sorting(RANKING), count)


def test__many_locations__gone_and_come_ones_are_seen() -> None:
    story, some = story_of(MANY)
    assert story.top() == [1]
    new = registration(99)
    story.on(LocationsChanged(registrations=(*some[2:], new)))
    assert story.top() == [3]
    story.serve(new, report=replace(IDLE, known_load_rate=0.0))
    assert sorted(story.top(0)) == [*range(3, MANY + 1), 99]


def test__the_same_view_asked_twice__answers_the_same() -> None:
    story, _ = story_of(MANY)
    story.top()
    view = story.view
    answers = []
    for _ in range(3):
        story.view = view
        answers.append([story.top() for _ in range(3)])
    assert answers == [[[2], [3], [4]]] * 3


def test__report_too_old__ranks_behind_those_with_room_and_before_the_full_ones() -> None:
    old, roomy, full = registration(1), registration(2), registration(3)
    story = Story(old, roomy, full)
    story.serve(old, report=ROOMY)
    story.now = 9.9
    story.serve(roomy, report=replace(ROOMY, current_requests=9))
    story.serve(full, report=replace(ROOMY, current_requests=10))
    assert story.top(0) == [1, 2, 3]
    story.now = 16.0
    assert story.top(0) == [2, 1, 3]


@pytest.mark.parametrize("count", [3, MANY])
def test__report_too_old__counts_again_when_renewed(count: int) -> None:
    story, some = story_of(count, ROOMY)
    story.top()
    story.now = 6.0
    story.on(*(LoadReported(registration=one, report=ROOMY) for one in some[1:]))
    story.now = 10.0
    assert story.top(0)[-1] == 1
    story.now = 15.5
    story.on(*(LoadReported(registration=one, report=ROOMY) for one in some))
    assert story.top() == [1]


def test__all_reports_too_old__are_still_handed_out_in_turn() -> None:
    story, _ = story_of(3, ROOMY)
    story.now = 60.0
    assert [story.top() for _ in range(4)] == [[1], [2], [3], [1]]


def test__new_worker__gets_what_makes_it_equal_and_no_more() -> None:
    story, some = story_of(3, replace(ROOMY, current_requests=4))
    new = registration(9)
    story.on(LocationsChanged(registrations=(*some, new)))
    assert story.top() == [1], "it has not said yet how busy it is"
    story.serve(new, report=ROOMY)
    assert [story.top() for _ in range(4)] == [[9]] * 4
    assert {story.top()[0] for _ in range(3)} == {2, 3, 9}


def test__load_counts_before_recency() -> None:
    story, _ = story_of(1, ROOMY)
    busy = registration(2)
    story.on(LocationsChanged(registrations=(registration(1), busy)))
    story.serve(busy, report=replace(ROOMY, current_requests=5))
    assert [story.top() for _ in range(5)] == [[1]] * 5


def test__requests_that_end_at_once__go_round() -> None:
    story, some = story_of(3, ROOMY)
    seen = []
    for step in range(6):
        story.now += 0.5
        (port,) = story.top()
        seen.append(port)
        done = LoadReported(registration=some[port - 1], report=replace(ROOMY, timestamp_ticks=step + 1))
        story.on(LoadAsked(registration=some[port - 1]), done)
    assert seen == [1, 2, 3, 1, 2, 3]


class Fails(KeyedRanking):
    """A ranking of the user's with a fault."""

    def __init__(self) -> None:
        self.is_broken = False

    def key(self, candidate: Candidate, *, host_load: float, now: float) -> Key:  # noqa: ARG002 - the port is all
        if self.is_broken:
            raise ZeroDivisionError
        return (candidate.handed_out, candidate.location.port)


def test__ranking_that_fails__fails_the_request_and_nothing_else() -> None:
    story, some = story_of(MANY)
    ranking = Fails()
    assert ask(story, ranking) == [1]
    ranking.is_broken = True
    with pytest.raises(ZeroDivisionError):
        ask(story, ranking)
    story.on(LoadAsked(registration=some[4]), LoadReported(registration=some[4], report=ROOMY))
    ranking.is_broken = False
    assert [ask(story, ranking) for _ in range(2)] == [[2], [3]]
