"""A live view to which things happen, with a clock of its own."""

from __future__ import annotations

from quaestor_actors.core.live_view import (
    Effect,
    Event,
    HealthChanged,
    LiveView,
    LoadAsked,
    LoadReported,
    LocationsChanged,
    decide,
    discover,
    discover_top,
)
from quaestor_actors.core.load import LoadReport
from quaestor_actors.core.location import Location, Registration
from quaestor_actors.core.member import Health
from quaestor_actors.core.ranking import LeastLoaded

RANKING = LeastLoaded(recently_used_timeout_s=5.0)
IDLE = LoadReport(request_capacity=1, current_requests=0)


def registration(port: int, *, incarnation: int = 1, service: str = "Worker", scope: str = "") -> Registration:
    location = Location(scope=scope, service_name=service, host_name="localhost", port=port)
    return Registration(location=location, incarnation=incarnation)


class Story:
    """A view, what happened to it, and a clock."""

    def __init__(self, *registrations: Registration) -> None:
        self.view = LiveView(hand_out_lifetime_s=5.0, load_report_max_age_s=10.0)
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
        found = discover(self.view, scope=scope, service_name=service, max_count=count, shuffle=lambda _locations: None)
        return [location.port for location in found]

    def reason(self, one: Registration) -> str:
        entry = self.view.entry(one)
        assert entry is not None
        return entry.reason
