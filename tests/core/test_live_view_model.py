"""A model of the live view under random events, also late ones and ones of incarnations that are gone."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.live_view_story import Story, registration
from support.profiles import examples

from quaestor_actors.core.live_entry import Standing
from quaestor_actors.core.live_view import (
    Connect,
    Disconnect,
    Effect,
    Event,
    HealthChanged,
    LoadAsked,
    LoadFailed,
    LoadReported,
    LocationOffered,
    LocationsChanged,
    LocationsUpdated,
    LocationWithheld,
    StartAskingLoad,
    StopAskingLoad,
)
from quaestor_actors.core.load import LoadReport
from quaestor_actors.core.location import Registration
from quaestor_actors.core.member import Health


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
        wanted = self.register(registered)
        self.happen(LocationsChanged(registrations=tuple(wanted)))

    @rule(added=st.dictionaries(ports, incarnations), removed=st.sets(ports))
    def update(self, added: dict[int, int], removed: set[int]) -> None:
        removed -= set(added)
        self.register({port: number for port, number in self.registered.items() if port not in removed} | added)
        self.happen(
            LocationsUpdated(
                added=tuple(registration(port, incarnation=number) for port, number in added.items()),
                removed=tuple(registration(port).location for port in removed),
            )
        )

    def register(self, registered: dict[int, int]) -> set[Registration]:
        self.registered = registered
        wanted = {registration(port, incarnation=number) for port, number in registered.items()}
        self.capacity = {one: capacity for one, capacity in self.capacity.items() if one in wanted}
        self.health = {one: health for one, health in self.health.items() if one in wanted}
        return wanted

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
        assert self.connected == {registration(port, incarnation=at) for port, at in self.registered.items()}
        assert self.asking == {one for one, entry in entries.items() if entry.health is Health.SERVING}
        for entry in entries.values():
            assert (entry.standing is Standing.OFFERED) == entry.is_offered
            assert entry.reason
            assert entry.candidate is None or entry.candidate.handed_out >= 0


AnyEvents.TestCase.settings = settings(max_examples=examples(150), stateful_step_count=30)
test_any_events = AnyEvents.TestCase
