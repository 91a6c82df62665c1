"""The live view: who is handed out, who is not and why, and what hand-outs do."""

from __future__ import annotations

from dataclasses import replace

from support.live_view_story import IDLE, Story, registration

from quaestor_actors.core.live_entry import Standing
from quaestor_actors.core.live_view import (
    Connect,
    Disconnect,
    HealthChanged,
    LoadAsked,
    LoadFailed,
    LoadReported,
    LocationOffered,
    LocationsChanged,
    LocationWithheld,
    StartAskingLoad,
    StopAskingLoad,
    discover,
    handed_out_elsewhere,
)
from quaestor_actors.core.load import LoadReport
from quaestor_actors.core.location import Registration
from quaestor_actors.core.member import Health


def serving(one: Registration) -> HealthChanged:
    return HealthChanged(registration=one, health=Health.SERVING, detail="serving")


def test__new_location__is_connected_and_pending() -> None:
    one = registration(1)
    story = Story(one)
    assert story.effects == [Connect(registration=one)]
    assert story.all() == []
    assert story.reason(one) == "waiting for the first health check"
    assert [entry.standing for entry in story.view.entries()] == [Standing.PENDING]


def test__serving_without_report__is_asked_but_not_handed_out() -> None:
    one = registration(1)
    story = Story(one)
    assert story.on(serving(one)) == (StartAskingLoad(registration=one),)
    assert story.all() == story.top() == []
    assert story.reason(one) == "waiting for the first load report"


def test__serving_and_reported__is_offered() -> None:
    one = registration(1)
    story = Story(one)
    story.on(serving(one))
    assert story.on(LoadReported(registration=one, report=IDLE)) == (LocationOffered(registration=one),)
    assert story.all() == [1]
    assert [entry.standing for entry in story.view.entries()] == [Standing.OFFERED]


def test__not_serving__is_out_with_the_reason_and_asked_no_more() -> None:
    one = registration(1)
    story = Story(one)
    story.serve(one)
    down = HealthChanged(registration=one, health=Health.UNREACHABLE, detail="no connection: refused")
    assert story.on(down) == (
        StopAskingLoad(registration=one),
        LocationWithheld(registration=one, reason="no connection: refused"),
    )
    assert story.all() == []


def test__serving_again__needs_a_new_report() -> None:
    one = registration(1)
    story = Story(one)
    story.serve(one)
    story.on(HealthChanged(registration=one, health=Health.UNREACHABLE, detail="gone"))
    story.on(serving(one))
    assert story.all() == []
    story.on(LoadReported(registration=one, report=IDLE))
    assert story.all() == [1]


def test__late_report_after_the_break__is_dropped() -> None:
    one = registration(1)
    story = Story(one)
    story.serve(one)
    story.on(HealthChanged(registration=one, health=Health.UNREACHABLE, detail="gone"))
    story.on(LoadReported(registration=one, report=IDLE))
    story.on(serving(one))
    assert story.all() == []


def test__load_not_answered__is_out_until_it_is() -> None:
    one = registration(1)
    story = Story(one)
    story.serve(one)
    silent = LoadFailed(registration=one, reason="no load report within 2 s")
    assert story.on(silent) == (LocationWithheld(registration=one, reason="no load report within 2 s"),)
    assert story.all() == []
    assert story.on(silent) == ()
    assert story.on(LoadReported(registration=one, report=IDLE)) == (LocationOffered(registration=one),)
    assert story.all() == [1]


def test__capacity_0__is_out_with_the_reason() -> None:
    one = registration(1)
    story = Story(one)
    story.serve(one)
    story.on(LoadReported(registration=one, report=replace(IDLE, request_capacity=0)))
    assert story.all() == story.top() == []
    assert story.reason(one) == "its request capacity is 0"


def test__new_incarnation__drops_the_old_one_at_once() -> None:
    old, new = registration(1, incarnation=1), registration(1, incarnation=2)
    story = Story(old)
    story.serve(old)
    assert story.on(LocationsChanged(registrations=(new,))) == (
        LocationWithheld(registration=old, reason="replaced by a newer incarnation"),
        Disconnect(registration=old),
        Connect(registration=new),
    )
    assert story.all() == []


def test__event_of_an_older_incarnation__changes_nothing() -> None:
    old, new = registration(1, incarnation=1), registration(1, incarnation=2)
    story = Story(old)
    story.on(LocationsChanged(registrations=(new,)))
    before = story.view
    for event in (serving(old), LoadReported(registration=old, report=IDLE), LoadAsked(registration=old)):
        assert story.on(event) == ()
    assert story.view == before


def test__two_incarnations_of_one_location__the_newer_counts() -> None:
    story = Story(registration(1, incarnation=3), registration(1, incarnation=2))
    assert [entry.registration.incarnation for entry in story.view.entries()] == [3]


def test__no_longer_registered__is_out_and_disconnected() -> None:
    one, two = registration(1), registration(2)
    story = Story(one, two)
    story.serve(one, two)
    assert story.on(LocationsChanged(registrations=(two,))) == (
        LocationWithheld(registration=one, reason="no longer registered"),
        Disconnect(registration=one),
    )
    assert story.all() == [2]


def test__same_registrations_again__change_nothing() -> None:
    one, two = registration(1), registration(2)
    story = Story(one, two)
    story.serve(one, two)
    before = story.view
    assert story.on(LocationsChanged(registrations=(two, one))) == ()
    assert story.view == before


def test__scope_and_service__match_exactly() -> None:
    all_of_them = (
        registration(1),
        registration(2, service="Worker2"),
        registration(3, scope="test"),
        registration(4, service="worker"),
    )
    story = Story(*all_of_them)
    story.serve(*all_of_them)
    assert story.all() == story.top(0) == [1]
    assert story.all(service="Worker2") == [2]
    assert story.all(scope="test") == [3]
    assert story.all(service="Work") == story.top(service="Work") == []


def test__max_count__limits_and_0_is_all() -> None:
    some = [registration(port) for port in (1, 2, 3)]
    story = Story(*some)
    story.serve(*some)
    assert len(story.all(count=2)) == 2
    assert len(story.all(count=9)) == 3
    assert story.top(2) == [1, 2]
    assert sorted(story.top(0)) == [1, 2, 3]


def test__discover__order_is_the_shuffle_s() -> None:
    some = [registration(port) for port in (1, 2, 3)]
    story = Story(*some)
    story.serve(*some)
    found = discover(
        story.view,
        scope="",
        service_name="Worker",
        max_count=2,
        shuffle=lambda locations: locations.sort(reverse=True),
    )
    assert [location.port for location in found] == [3, 2]


def test__top__two_clients_at_the_same_moment__get_different_ones() -> None:
    some = [registration(port) for port in (1, 2, 3, 4)]
    story = Story(*some)
    story.serve(*some)
    assert [story.top() for _ in range(4)] == [[1], [2], [3], [4]]
    assert [story.top() for _ in range(4)] == [[1], [2], [3], [4]]


def test__top__unchanged_report__keeps_the_hand_outs() -> None:
    one, two = registration(1), registration(2)
    story = Story(one, two)
    story.serve(one, two)
    story.top(), story.top(), story.top()
    story.on(LoadAsked(registration=one), LoadReported(registration=one, report=IDLE))
    assert story.top() == [2]


def test__top__report_that_shows_them__ends_the_hand_outs() -> None:
    one, two = registration(1), registration(2)
    roomy = LoadReport(request_capacity=10, current_requests=0)
    story = Story(one, two)
    story.serve(one, two, report=roomy)
    assert [story.top() for _ in range(3)] == [[1], [2], [1]]
    # One of the two requests is done already, so location 1 is as good as location 2.
    seen = LoadReported(registration=one, report=replace(roomy, current_requests=1))
    story.on(LoadAsked(registration=one), seen)
    assert story.top() == [1]


def test__top__hand_out_after_the_question__is_not_in_the_answer() -> None:
    one, two = registration(1), registration(2)
    roomy = LoadReport(request_capacity=10, current_requests=0)
    story = Story(one, two)
    story.serve(one, two, report=roomy)
    assert [story.top() for _ in range(2)] == [[1], [2]]
    story.on(LoadAsked(registration=one))
    assert story.top() == [1]
    story.on(LoadReported(registration=one, report=replace(roomy, current_requests=1)))
    assert story.top() == [2]


def test__top__old_hand_outs__lapse() -> None:
    one = registration(1)
    story = Story(one)
    story.serve(one)
    for _ in range(3):
        story.top()
    story.now += 5.0
    story.top()
    entry = story.view.entry(one)
    assert entry is not None
    assert entry.candidate is not None
    assert entry.candidate.handed_out == 1


def test__top__lapsed_hand_outs__do_not_rank() -> None:
    roomy = LoadReport(request_capacity=10, current_requests=0)
    one, two = registration(1), registration(2)
    story = Story(one, two)
    story.serve(one, report=roomy)
    story.serve(two, report=replace(roomy, current_requests=1))
    assert [story.top() for _ in range(4)] == [[1], [2], [1], [1]]
    story.now = 9.0
    assert story.top() == [1]


def test__top__recently_used__is_good_again_after_the_time() -> None:
    one, two = registration(1), registration(2)
    story = Story(one, two)
    story.serve(one, two)
    assert story.top() == [1]
    story.now = 4.0
    assert story.top() == [2]
    story.now = 6.0
    story.on(LoadReported(registration=one, report=replace(IDLE, timestamp_ticks=1)))
    assert story.top() == [1]


COUNTING = LoadReport(request_capacity=10, current_requests=0, started_requests=7)


def report(story: Story, one: Registration, **changes: int) -> None:
    """Have a location push its load."""
    story.on(LoadAsked(registration=one))
    story.on(LoadReported(registration=one, report=replace(COUNTING, **changes)))


def on_their_way(story: Story, one: Registration) -> int:
    """Return how many requests are on their way to a location, as the next request sees it."""
    entry = story.view.entry(one)
    assert entry is not None
    seen = entry.as_of(story.now, hand_out_lifetime_s=story.view.hand_out_lifetime_s, report_max_age_s=60.0).candidate
    assert seen is not None
    return seen.handed_out


def test__hand_out__counts_until_its_request_has_started() -> None:
    one = registration(1)
    story = Story(one)
    story.serve(one, report=replace(COUNTING, current_requests=2))
    story.top()
    story.top()
    # An older request has ended meanwhile.
    report(story, one, current_requests=1)
    assert on_their_way(story, one) == 2
    report(story, one, current_requests=2, started_requests=8)
    assert on_their_way(story, one) == 1
    # It has started and ended between two reports.
    report(story, one, current_requests=2, started_requests=9)
    assert on_their_way(story, one) == 0


def test__requests_of_strangers__take_off_no_more_than_there_is() -> None:
    one = registration(1)
    story = Story(one)
    story.serve(one, report=COUNTING)
    story.top()
    report(story, one, current_requests=5, started_requests=12)
    assert on_their_way(story, one) == 0
    story.top()
    assert on_their_way(story, one) == 1


def test__count_that_begins_anew__takes_off_nothing() -> None:
    one = registration(1)
    story = Story(one)
    story.serve(one, report=COUNTING)
    story.top()
    report(story, one, current_requests=1, started_requests=0)
    assert on_their_way(story, one) == 1


def test__clients_that_never_come__are_forgotten_one_by_one() -> None:
    one = registration(1)
    story = Story(one)
    story.serve(one, report=COUNTING)
    counts = []
    for _ in range(8):
        story.top()
        counts.append(on_their_way(story, one))
        story.now += story.view.hand_out_lifetime_s / 4
    assert counts == [1, 2, 3, 4, 4, 4, 4, 4]


def test__lapsed_hand_out__is_not_taken_off_a_second_time() -> None:
    one = registration(1)
    story = Story(one)
    story.serve(one, report=replace(COUNTING, started_requests=None))
    story.top()
    story.on(LoadAsked(registration=one))
    story.now += story.view.hand_out_lifetime_s
    story.top()
    changed = replace(COUNTING, started_requests=None, current_requests=1)
    story.on(LoadReported(registration=one, report=changed))
    assert on_their_way(story, one) == 1


def test__hand_outs_of_another_balancer__count_like_its_own() -> None:
    one, two = registration(1), registration(2)
    story = Story(one, two)
    story.serve(one, two, report=COUNTING)
    story.view = handed_out_elsewhere(story.view, [one.location, registration(3).location], now=story.now)
    assert (on_their_way(story, one), on_their_way(story, two)) == (1, 0)
    assert story.top() == [2]
    report(story, one, current_requests=1, started_requests=8)
    assert on_their_way(story, one) == 0


def test__hand_outs_of_another_balancer__of_what_is_not_offered_here__change_nothing() -> None:
    one = registration(1)
    story = Story(one)
    for unknown in ([], [one.location], [registration(1, service="Other").location]):
        assert handed_out_elsewhere(story.view, unknown, now=story.now) is story.view
