"""Whatever happens to a live view, its kept order answers what sorting anew answers, and the views before stay."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from support.live_view_story import Story, registration
from support.profiles import examples

from quaestor_actors.core.live_view import (
    HealthChanged,
    LiveView,
    LoadAsked,
    LoadFailed,
    LoadReported,
    LocationsChanged,
    discover_top,
)
from quaestor_actors.core.load import LoadReport
from quaestor_actors.core.location import Location, Registration
from quaestor_actors.core.member import Health
from quaestor_actors.core.ranking import Candidate, LeastLoaded, Ranking

KEPT = LeastLoaded(recently_used_timeout_s=5.0, seed=3)


class Sorting:
    """The same order without being a `KeyedRanking`, so that it is sorted at each request."""

    def rank(self, candidates: Sequence[Candidate], *, now: float) -> Sequence[Candidate]:
        return KEPT.rank(candidates, now=now)


PORTS = range(1, 7)
some_ports = st.sampled_from(PORTS)
reports = st.builds(
    LoadReport,
    request_capacity=st.integers(0, 3),
    current_requests=st.integers(0, 3),
    known_load_rate=st.sampled_from([None, None, 0.0, 0.5, 1.0]),
)


def top(view: LiveView, ranking: Ranking, count: int, *, now: float) -> tuple[tuple[Location, ...], LiveView]:
    return discover_top(view, scope="", service_name="Worker", max_count=count, ranking=ranking, now=now)


class AnyInterleaving(RuleBasedStateMachine):
    """Everything that can happen to a view, in any sequence."""

    @initialize()
    def begin(self) -> None:
        self.incarnations = dict.fromkeys(PORTS, 1)
        self.story = Story(*map(self.one, PORTS))
        self.story.serve(*map(self.one, PORTS))
        self.earlier = self.story.view

    def one(self, port: int) -> Registration:
        return registration(port, incarnation=self.incarnations[port])

    @rule(ports=st.sets(some_ports), restarted=some_ports)
    def relist(self, ports: set[int], restarted: int) -> None:
        self.incarnations[restarted] += 1
        self.story.on(LocationsChanged(registrations=tuple(map(self.one, ports))))

    @rule(port=some_ports, report=reports)
    def serve(self, port: int, report: LoadReport) -> None:
        self.story.serve(self.one(port), report=report)

    @rule(port=some_ports, report=reports)
    def report(self, port: int, report: LoadReport) -> None:
        self.story.on(LoadReported(registration=self.one(port), report=report))

    @rule(port=some_ports)
    def renew(self, port: int) -> None:
        entry = self.story.view.entry(self.one(port))
        if entry is not None and entry.candidate is not None:
            self.story.on(LoadReported(registration=self.one(port), report=entry.candidate.report))

    @rule(port=some_ports)
    def ask(self, port: int) -> None:
        self.story.on(LoadAsked(registration=self.one(port)))

    @rule(port=some_ports, health=st.sampled_from(Health))
    def judge(self, port: int, health: Health) -> None:
        self.story.on(HealthChanged(registration=self.one(port), health=health, detail="seen"))

    @rule(port=some_ports)
    def fail(self, port: int) -> None:
        self.story.on(LoadFailed(registration=self.one(port), reason="no answer"))

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.9, 5.0, 9.9, 10.0]))
    def grow_old(self, seconds: float) -> None:
        self.story.now += seconds

    @rule(count=st.sampled_from([1, 1, 1, 2, 9, 0]))
    def hand_out(self, count: int) -> None:
        now = self.story.now
        expected, view = top(self.story.view, Sorting(), count, now=now)
        found, self.story.view = top(self.story.view, KEPT, count, now=now)
        assert found == expected
        assert self.story.view == view

    @rule()
    def remember(self) -> None:
        self.earlier = self.story.view

    @rule()
    def ask_an_earlier_view(self) -> None:
        now = self.story.now
        assert top(self.earlier, KEPT, 9, now=now)[0] == top(self.earlier, Sorting(), 9, now=now)[0]


AnyInterleaving.TestCase.settings = settings(max_examples=examples(100), stateful_step_count=40)
test_any_interleaving = AnyInterleaving.TestCase
