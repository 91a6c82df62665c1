"""Looks at the cluster ten times a second, and writes down what must never be seen."""

from __future__ import annotations

import math
import threading
import time

from quaestor_actors.chaos.checks import Answer, Staleness, doubled
from quaestor_actors.chaos.sighting import Sighting
from quaestor_actors.chaos.world import World

_EVERY_S = 0.1


class Watcher:
    """A thread that sees every process and every answer."""

    def __init__(self, world: World, *, response_timeout_s: float) -> None:
        """Begin to look."""
        self._world = world
        self._staleness = Staleness(response_timeout_s=response_timeout_s)
        self._lock = threading.Lock()
        self._broken: list[str] = []
        self._before: Sighting | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher")
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._over.set()
        self._thread.join()

    def heard(self, answer: Answer) -> None:
        """Take in what a client was told."""
        with self._lock:
            self._staleness.heard(answer)

    def excuse_answers(self) -> None:
        """Judge no answer until `expect_answers`, because whoever answers is being hurt."""
        with self._lock:
            self._staleness.calm_since = math.inf

    def expect_answers(self) -> None:
        """Judge answers again; what is out of date counts from now."""
        with self._lock:
            if self._staleness.calm_since == math.inf:
                self._staleness.calm_since = time.monotonic()

    def broken(self) -> list[str]:
        """Return what was seen that must not be, so far."""
        crashed = (
            [] if self._over.is_set() or self._thread.is_alive() else ["nobody watches any more: a crash, see above"]
        )
        with self._lock:
            return [*self._broken, *crashed]

    def _run(self) -> None:
        while not self._over.wait(_EVERY_S):
            sighting = self._world.look()
            with self._lock:
                wrong = self._staleness.saw(sighting)
                if self._before is not None:
                    wrong += doubled(self._before, sighting)
                self._broken += [each for each in wrong if each not in self._broken]
            self._before = sighting
