"""What is done to locations, and in which order: decided by a seed alone, without a look at clock or world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from support.discovery_history import Cause

PAUSES_S = (0.0, 0.0, 0.0, 0.01, 0.05, 0.1, 0.3)
"""Most of what happens, happens in bursts."""

REST_EVERY = 12
"""So many steps; then everybody has the time to come to know everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do, and how long to wait then."""

    location: int | None
    """The number of a location; None: of a site."""
    cause: Cause | None
    """None: the site's registrar is killed, and a successor goes on."""
    site: int
    pause_s: float


@dataclass(slots=True)
class _Place:
    is_registered: bool = True
    is_alive: bool = True
    is_well: bool = True

    def possible(self) -> list[Cause]:
        causes = [Cause.DEREGISTERED, Cause.REGISTERED] if self.is_registered else [Cause.REGISTERED] * 2
        if not self.is_alive:
            return [*causes, Cause.STARTED, Cause.STARTED]
        return [*causes, Cause.DIED, Cause.SICKENED if self.is_well else Cause.HEALED]

    def become(self, cause: Cause) -> None:
        match cause:
            case Cause.REGISTERED | Cause.DEREGISTERED:
                self.is_registered = cause is Cause.REGISTERED
            case Cause.STARTED | Cause.DIED:
                self.is_alive = self.is_well = cause is Cause.STARTED
            case Cause.SICKENED | Cause.HEALED:
                self.is_well = cause is Cause.HEALED


def plan(seed: int, number: int, *, owners: Sequence[int], rest_s: float, restarts: bool = True) -> list[Step]:
    """Return so many steps.

    Args:
        seed: The same one always gives the same steps.
        number: Of steps.
        owners: For each location the number of its site; all begin registered and serving.
        rest_s: How long everybody is left alone now and then.
        restarts: Whether registrars are killed, too.
    """
    rng = Random(seed)
    places = [_Place() for _ in owners]
    steps = []
    for turn in range(1, number + 1):
        pause_s = rest_s if turn % REST_EVERY == 0 else rng.choice(PAUSES_S)
        if restarts and turn % (2 * REST_EVERY) == REST_EVERY // 2:
            steps.append(Step(location=None, cause=None, site=rng.randrange(max(owners) + 1), pause_s=pause_s))
            continue
        location = rng.randrange(len(places))
        cause = rng.choice(places[location].possible())
        places[location].become(cause)
        steps.append(Step(location=location, cause=cause, site=owners[location], pause_s=pause_s))
    return steps
