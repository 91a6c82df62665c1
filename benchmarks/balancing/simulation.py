"""Policies on given requests, simulated: everything is known at once and nothing takes time but the work.

Each function returns the response time of every request, in seconds and in the order of their coming.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from balancing.arrivals import CAPACITY, Request

_T = TypeVar("_T")


class Line:
    """The requests at one worker: so many are worked on at the same time, and the others wait in their order."""

    def __init__(self, *, speed: float, capacity: int = CAPACITY) -> None:
        """Begin without requests."""
        self._speed = speed
        self._free_at = [0.0] * capacity
        """When each place is free again, as a heap."""
        self._departures: list[float] = []

    def take(self, work_s: float, *, now: float) -> float:
        """Put a request at the end of the line, and return when it will have been worked on."""
        end = max(now, self._free_at[0]) + work_s / self._speed
        heapq.heapreplace(self._free_at, end)
        heapq.heappush(self._departures, end)
        return end

    def length(self, *, now: float) -> int:
        """Return how many requests wait or are worked on. Time must not go back from one call to the next."""
        while self._departures and self._departures[0] <= now:
            heapq.heappop(self._departures)
        return len(self._departures)


def join_shortest(requests: Sequence[Request], speeds: Sequence[float]) -> list[float]:
    """Send each to the worker with the fewest requests; of several to the one whose turn is longest ago."""
    lines = [Line(speed=speed) for speed in speeds]
    turns = list(range(-len(lines), 0))
    responses: list[float] = []
    for number, request in enumerate(requests):
        now = request.at_s
        best = min(range(len(lines)), key=lambda each: (lines[each].length(now=now), turns[each]))
        turns[best] = number
        responses.append(lines[best].take(request.work_s, now=now) - now)
    return responses


def central_queue(requests: Sequence[Request], speeds: Sequence[float]) -> list[float]:
    """Have all wait in one line; whoever is first takes the fastest free place of any worker."""
    places = [(0.0, speed) for speed in speeds for _ in range(CAPACITY)]
    responses: list[float] = []
    for request in requests:
        start = max(request.at_s, min(places)[0])
        taken = max((place for place in places if place[0] <= start), key=lambda place: place[1])
        places.remove(taken)
        end = start + request.work_s / taken[1]
        places.append((end, taken[1]))
        responses.append(end - request.at_s)
    return responses


def in_turn(requests: Sequence[Request], speeds: Sequence[float]) -> list[float]:
    """Send each to the next worker."""
    return _blindly(requests, speeds, round_robin(range(len(speeds))))


def by_chance(requests: Sequence[Request], speeds: Sequence[float], *, seed: int) -> list[float]:
    """Send each to any worker."""
    return _blindly(requests, speeds, at_random(range(len(speeds)), seed=seed))


def round_robin(choices: Sequence[_T]) -> Callable[[], _T]:
    """Return a function that returns one after the other, over and over."""
    number = -1

    def next_one() -> _T:
        nonlocal number
        number += 1
        return choices[number % len(choices)]

    return next_one


def at_random(choices: Sequence[_T], *, seed: int) -> Callable[[], _T]:
    """Return a function that returns any of them, each as likely; the same seed draws the same ones."""
    generator = random.Random(seed)  # noqa: S311 - simulates, keeps no secret
    return lambda: generator.choice(choices)


def shortest(lengths: Mapping[_T, int]) -> Callable[[], _T]:
    """Return a function that returns the one of least length then; of several the one whose turn is longest ago."""
    turns = {choice: number - len(lengths) for number, choice in enumerate(lengths)}
    numbers = itertools.count()

    def next_one() -> _T:
        best = min(lengths, key=lambda each: (lengths[each], turns[each]))
        turns[best] = next(numbers)
        return best

    return next_one


def _blindly(requests: Sequence[Request], speeds: Sequence[float], choose: Callable[[], int]) -> list[float]:
    lines = [Line(speed=speed) for speed in speeds]
    return [lines[choose()].take(request.work_s, now=request.at_s) - request.at_s for request in requests]
