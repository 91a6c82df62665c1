"""The live view: who is handed out, who is not and why, what hand-outs do; a model under random events."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from quaestor_actors.core.lifecycle import Health
from quaestor_actors.core.live_view import (
    Connect,
    Disconnect,
    Effect,
    Event,
    HealthChanged,
    LiveView,
    LoadAsked,
    LoadFailed,
    LoadReported,
    LocationOffered,
    LocationsChanged,
    LocationWithheld,
    Standing,
    StartAskingLoad,
    StopAskingLoad,
    decide,
    discover,
    discover_top,
)
from quaestor_actors.core.load import LoadReport
from quaestor_actors.core.location import Location, Registration
from quaestor_actors.core.ranking import LeastLoaded

RANKING = LeastLoaded(recently_used_timeout_s=5.0)
IDLE = LoadReport(request_capacity=1, current_requests=0)


def registration(
    port: int, *, incarnation: int = 1, service: str = "Worker", scope: str = ""
) -> Registration:
    location = Location(scope=scope, service_name=service, host_name="localhost", port=port)
    return Registration(location=location, incarnation=incarnation)


class Story:
    """A view, what happened to it, and a clock."""

    def __init__(self, *registrations: Registration) -> None:
        self.view = LiveView(hand_out_lifetime_s=5.0)
        self.now = 0.0
        self.effects: list[Effect] = []
        self.on(LocationsChanged(registrations=registrations))

    def on(self, *events: Event) -> tuple[Effect, ...]:
        self.effects = []
        for event in events:
            self.view, effects = decide(self.view, event, now=self.now)
            self.effects += effects
        return tuple(self.effects)

    def serve(self, *registrations: Registration, report: LoadReport = IDLE) -> None:
        for each in registrations:
            self.on(HealthChanged(registration=each, health=Health.SERVING, detail="serving"))
            self.on(LoadAsked(registration=each), LoadReported(registration=each, report=report))

    def top(self, count: int = 1, *, service: str = "Worker", scope: str = "") -> list[int]:
        found, self.view = discover_top(
            self.view, scope=scope, service_name=service, max_count=count, ranking=RANKING, now=self.now
        )
        return [location.port for location in found]

    def all(self, *, service: str = "Worker", scope: str = "", count: int = 0) -> list[int]:
        found = discover(
            self.view, scope=scope, service_name=service, max_count=count, shuffle=lambda _locations: None
        )
        return [location.port for location in found]

    def reason(self, one: Registration) -> str:
        entry = self.view.entry(one)
        assert entry is not None
        return entry.reason


def serving(one: Registration) -> HealthChanged:
    return HealthChanged(registration=one, health=Health.SERVING, detail="serving")


def test__new_location__is_connected_and_pending() -> None:
    one = registration(1)
    story = Story(one)
    assert story.effects == [Connect(registration=one)]
    assert story.all() == []
    assert story.reason(one) == "waiting for the first health check"
    assert not story.view.is_judged


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
    assert story.view.is_judged


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
    found = discover(story.view, scope="", service_name="Worker", max_count=2, shuffle=list.reverse)
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


class AnyEvents(RuleBasedStateMachine):
    """Random news in any sequence, also late and about incarnations that are gone."""

    ports = st.integers(1, 3)
    incarnations = st.integers(1, 3)

    @initialize()
    def begin(self) -> None:
        self.story = Story()
        self.registered: dict[int, int] = {}
        self.connected: set[Registration] = set()
        self.asking: set[Registration] = set()
        self.offered: set[Registration] = set()
        self.capacity: dict[Registration, int] = {}
        self.health: dict[Registration, Health] = {}

    def happen(self, event: Event) -> None:
        self.story.now += 0.5
        for effect in self.story.on(event):
            self.obey(effect)

    def obey(self, effect: Effect) -> None:
        one = effect.registration
        match effect:
            case Connect():
                self.connected.add(one)
            case Disconnect():
                self.connected.remove(one)
                self.asking.discard(one)
            case StartAskingLoad():
                assert one in self.connected
                self.asking.add(one)
            case StopAskingLoad():
                self.asking.remove(one)
            case LocationOffered():
                assert one not in self.offered
                self.offered.add(one)
            case LocationWithheld():
                assert effect.reason
                self.offered.discard(one)

    @rule(registered=st.dictionaries(ports, incarnations))
    def relist(self, registered: dict[int, int]) -> None:
        self.registered = registered
        wanted = {registration(port, incarnation=number) for port, number in registered.items()}
        self.capacity = {one: capacity for one, capacity in self.capacity.items() if one in wanted}
        self.health = {one: health for one, health in self.health.items() if one in wanted}
        self.happen(LocationsChanged(registrations=tuple(wanted)))

    @rule(port=ports, incarnation=incarnations, health=st.sampled_from(Health))
    def judge(self, port: int, incarnation: int, health: Health) -> None:
        one = registration(port, incarnation=incarnation)
        if self.registered.get(port) == incarnation:
            self.health[one] = health
            if health is not Health.SERVING:
                self.capacity.pop(one, None)
        self.happen(HealthChanged(registration=one, health=health, detail=str(health)))

    @rule(port=ports, incarnation=incarnations)
    def ask(self, port: int, incarnation: int) -> None:
        self.happen(LoadAsked(registration=registration(port, incarnation=incarnation)))

    @rule(port=ports, incarnation=incarnations, capacity=st.integers(0, 2), current=st.integers(0, 2))
    def report(self, port: int, incarnation: int, capacity: int, current: int) -> None:
        one = registration(port, incarnation=incarnation)
        if self.health.get(one) is Health.SERVING:
            self.capacity[one] = capacity
        report = LoadReport(request_capacity=capacity, current_requests=current)
        self.happen(LoadReported(registration=one, report=report))

    @rule(port=ports, incarnation=incarnations)
    def fail(self, port: int, incarnation: int) -> None:
        one = registration(port, incarnation=incarnation)
        self.capacity.pop(one, None)
        self.happen(LoadFailed(registration=one, reason="no answer"))

    @rule(count=st.integers(0, 3))
    def hand_out(self, count: int) -> None:
        found = self.story.top(count)
        assert len(found) == min(count or len(self.offered), len(self.offered))

    @invariant()
    def exactly_the_usable_are_offered(self) -> None:
        usable = {one for one, capacity in self.capacity.items() if capacity > 0}
        assert self.offered == usable
        assert sorted(self.story.all()) == sorted(one.location.port for one in usable)

    @invariant()
    def effects_agree_with_the_view(self) -> None:
        entries = {entry.registration: entry for entry in self.story.view.entries()}
        assert self.connected == set(entries)
        assert self.asking == {one for one, entry in entries.items() if entry.health is Health.SERVING}
        for entry in entries.values():
            assert (entry.standing is Standing.OFFERED) == entry.is_offered
            assert entry.reason
            assert entry.candidate is None or entry.candidate.handed_out >= 0


AnyEvents.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
test_any_events = AnyEvents.TestCase
