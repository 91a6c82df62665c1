"""Health checks that say what a test wants them to say.

news = []
probe = FakeProbe(on_report=lambda key, health, detail: news.append((key, health)))
probe.add("Worker/1")
probe.answer("Worker/1", Health.NOT_SERVING)
probe.check()
assert news == [("Worker/1", Health.SERVING), ("Worker/1", Health.NOT_SERVING)]
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from quaestor_actors.core.member import Health

Key = TypeVar("Key", bound=Hashable)


class FakeProbe(Generic[Key]):
    """Watches any number of members and reports every change of a verdict, as the real probes do.

    Reported is the first verdict on a member that is watched, then each that differs from the last. A verdict is what
    the test has said (`answer`), else what `by_default` says. One that differs from what the process really does is a
    lie, and it is believed.
    """

    def __init__(
        self,
        *,
        on_report: Callable[[Key, Health, str], None],
        by_default: Callable[[Key], Health | None] = lambda _key: Health.SERVING,
    ) -> None:
        """Watch nobody yet.

        Args:
            on_report: called with the key, the health, and a line for people.
            by_default: what a check of this member says if the test has not said anything; None: it does not answer.
        """
        self._on_report = on_report
        self._by_default = by_default
        self._answers: dict[Key, deque[Health | None]] = {}
        self._last: dict[Key, Health | None] = {}

    @property
    def watched(self) -> frozenset[Key]:
        """Who is watched."""
        return frozenset(self._last)

    def add(self, key: Key, _target: object = None) -> None:
        """Watch a member from now on, and check it at once; what was known of it is forgotten."""
        self._last[key] = None
        self._check(key)

    def remove(self, key: Key) -> None:
        """Watch it no more; nothing happens if it is not watched."""
        self._last.pop(key, None)

    async def close(self) -> None:
        """Watch nobody any more."""
        self._last.clear()

    # What the test says

    def answer(self, key: Key, *healths: Health | None) -> None:
        """Say what the next checks of a member find, one after the other; the last one stays.

        Several make it flap; None stands for a check that gives no verdict at all. Without any, the default is back.
        """
        if healths:
            self._answers[key] = deque(healths)
        else:
            self._answers.pop(key, None)

    def check(self) -> None:
        """Check everybody who is watched, once."""
        for key in list(self._last):
            # Whoever is told of one may stop watching another.
            if key in self._last:
                self._check(key)

    def _check(self, key: Key) -> None:
        health = self._verdict(key)
        if health is None or health is self._last[key]:
            return
        self._last[key] = health
        self._on_report(key, health, f"the test says {health.value}")

    def _verdict(self, key: Key) -> Health | None:
        answers = self._answers.get(key)
        if answers is None:
            return self._by_default(key)
        return answers.popleft() if len(answers) > 1 else answers[0]
