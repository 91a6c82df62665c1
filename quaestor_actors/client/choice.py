"""Which location a call goes to, and for how long calls stay with it. No clock and no I/O."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from quaestor_actors.client.errors import NoLocationError
from quaestor_actors.client.service_location import ServiceLocation


def first_choice(
    locations: Sequence[ServiceLocation], *, service: str, scope: str, avoid: Collection[ServiceLocation]
) -> ServiceLocation:
    """Return the best location that is not to be avoided, else the best one.

    Raises:
        NoLocationError: There is none.
    """
    if not locations:
        raise NoLocationError(service, scope)
    return next((location for location in locations if location not in avoid), locations[0])


class Preference:
    """The location that calls stay with for a while. Assignments only, so threads need no lock."""

    def __init__(self, stick_s: float) -> None:
        """Stay with a location for this long; 0 is not at all."""
        self._stick_s = stick_s
        self._chosen: tuple[ServiceLocation, float] | None = None

    def get(self, now: float) -> ServiceLocation | None:
        """Return the location to stay with, if there is one."""
        chosen = self._chosen
        return chosen[0] if chosen is not None and now < chosen[1] else None

    def choose(self, location: ServiceLocation, now: float) -> None:
        """Stay with this location from now on."""
        self._chosen = (location, now + self._stick_s)

    def drop(self, location: ServiceLocation) -> None:
        """Stay no longer with a location that failed."""
        chosen = self._chosen
        if chosen is not None and chosen[0] == location:
            self._chosen = None
