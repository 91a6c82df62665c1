"""What was done to locations and what clients were answered, and whether the answers keep what the documents promise.

Nothing here looks at a clock or at the world. All times are seconds of the machine's monotonic clock. What was done has
two of them: before it `began` it was certainly not in effect, after it `ended` it certainly was.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import combinations, pairwise

PRINTED_S = 6.0
"""So much of the history before a broken promise is printed."""


class Cause(StrEnum):
    """What can be done to a location. Each has a bound of its own, after which answers show it."""

    REGISTERED = "registered"
    """Also anew, by another incarnation."""
    DEREGISTERED = "deregistered"
    DIED = "died"
    STARTED = "started"
    """It listens and says SERVING."""
    SICKENED = "said NOT_SERVING"
    HEALED = "said SERVING"


REGISTRY = {Cause.REGISTERED: True, Cause.DEREGISTERED: False}
"""What concerns the registry, and whether the location is in it afterwards."""

SERVICE = {Cause.DIED: False, Cause.STARTED: True, Cause.SICKENED: False, Cause.HEALED: True}
"""What concerns the process itself, and whether it serves afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something that was done to one location."""

    location: int
    """Its port."""
    cause: Cause
    began: float
    ended: float

    def __str__(self) -> str:
        """One line of a printed history."""
        return f"{self.began:.3f}..{self.ended:.3f}  {self.location} {self.cause}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """Registrations spread late, because the store, or a site's registrar, was away."""

    began: float
    ended: float
    site: str | None = None
    """Whose registrar; None: the store."""
    what: str = "the store is away"

    def __str__(self) -> str:
        """One line of a printed history."""
        return f"{self.began:.3f}..{self.ended:.3f}  {self.what}{f' at {self.site}' if self.site else ''}"

    def concerns(self, owner: str, asked: str) -> bool:
        """Whether news of the owner's locations may come late to the site that is asked."""
        return owner != asked if self.site is None else self.site in {owner, asked}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one client was answered. Clients ask one question after the other, and each stays with its balancer."""

    client: str
    site: str
    """Whose balancer it asks."""
    asked: float
    answered: float
    locations: tuple[int, ...]
    max_count: int = 0
    """0: all."""

    def __str__(self) -> str:
        """One line of a printed history."""
        found = " ".join(map(str, self.locations)) or "nothing"
        limit = f" (at most {self.max_count})" if self.max_count else ""
        return f"{self.asked:.3f}..{self.answered:.3f}  {self.client} at {self.site}: {found}{limit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that nothing is concluded from; it is printed."""

    began: float
    text: str

    def __str__(self) -> str:
        """One line of a printed history."""
        return f"{self.began:.3f}  {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """How late answers may be, for each cause."""

    bounds_s: Mapping[Cause, float]
    recovered_s: float
    """After an outage that it concerned, registrations and deregistrations are known everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A promise that was broken."""

    rule: str
    """Which one, for people and tests."""
    text: str
    location: int | None
    """None: several."""
    answer: Answer


@dataclass(frozen=True, slots=True)
class _State:
    """What is true of one location since the last deed that had begun at some time."""

    is_on: bool
    since: Deed | None
    known_at: float
    """From then on it must be seen."""


class _Timeline:
    """One fact about one location as one site may know it: on or off, and since when answers must show that."""

    def __init__(self, deeds: Iterable[Deed], meaning: Mapping[Cause, bool], known_at: Mapping[Deed, float]) -> None:
        self._deeds = sorted((each for each in deeds if each.cause in meaning), key=lambda each: each.began)
        self._begins = [each.began for each in self._deeds]
        self._states = [_State(meaning[each.cause], each, known_at[each]) for each in self._deeds]

    def at(self, time: float) -> _State:
        """Return the state after everything that had begun by then."""
        index = bisect_right(self._begins, time)
        return self._states[index - 1] if index else _State(is_on=False, since=None, known_at=-math.inf)

    def may_be_on(self, asked: float, answered: float) -> bool:
        """Whether an answer may still show, or already show, that it is on."""
        state = self.at(answered)
        while not state.is_on:
            if state.known_at < asked:
                return False
            if state.since is None:
                return False
            index = self._deeds.index(state.since)
            if index == 0:
                return False
            state = self._states[index - 1]
        return True

    def must_be_on(self, asked: float, answered: float) -> bool:
        """Whether an answer must show that it is on."""
        state = self.at(answered)
        return state.is_on and state.known_at < asked


@dataclass(frozen=True, kw_only=True)
class History:
    """All that was done, and all that was answered."""

    owners: Mapping[int, str]
    """At which site each location is registered."""
    deeds: Sequence[Deed]
    answers: Sequence[Answer]
    outages: Sequence[Outage] = ()
    notes: Sequence[Note] = ()
    promises: Promises
    _timelines: dict[tuple[int, str], tuple[_Timeline, _Timeline]] = field(default_factory=dict)

    def violations(self) -> Iterator[Violation]:
        """Yield every promise that was broken, rule by rule."""
        for answer in self.answers:
            yield from self._of_answer(answer)
        for client in sorted({answer.client for answer in self.answers}):
            yield from self._goings_back([answer for answer in self.answers if answer.client == client])
        yield from self._disagreements()

    def story_of(self, violation: Violation) -> str:
        """Return the part of the history in which a promise was broken."""
        answer = violation.answer
        begin = answer.asked - PRINTED_S
        concerned = {violation.location} if violation.location is not None else set(self.owners)
        # However old: it may last until then.
        deeds = [each for each in self.deeds if each.location in concerned]
        notes = [each for each in self.notes if begin <= each.began]
        events: list[Deed | Outage | Note] = [*deeds, *self.outages, *notes]
        lines = [(each.began, str(each)) for each in events if each.began <= answer.answered]
        lines += [(each.asked, str(each)) for each in self._turns(answer, begin, violation.location)]
        told = "\n".join(text for _, text in sorted(lines))
        return f"{violation.rule}: {violation.text}\n{told}\n{answer}  <- this one"

    def _turns(self, last: Answer, begin: float, location: int | None) -> Iterator[Answer]:
        """Yield those answers of a client in which the location came or went."""
        own = [
            each
            for each in self.answers
            if each.client == last.client and begin <= each.asked < last.asked and not each.max_count
        ]
        for before, after in pairwise(own):
            changed = set(before.locations) ^ set(after.locations)
            if changed if location is None else location in changed:
                yield after

    # What each answer promises by itself

    def _of_answer(self, answer: Answer) -> Iterator[Violation]:
        named = set(answer.locations)
        if len(named) < len(answer.locations):
            yield Violation(rule="once", text="a location is named twice", location=None, answer=answer)
        if answer.max_count and len(answer.locations) > answer.max_count:
            yield Violation(rule="limit", text="there are more than were wanted", location=None, answer=answer)
        for location in sorted(named):
            if (text := self._staleness(location, answer)) is not None:
                yield Violation(rule="stale", text=text, location=location, answer=answer)
        sure = {location for location in self.owners if self._is_sure(location, answer)}
        if not answer.max_count:
            for location in sorted(sure - named):
                text = f"{location} is missing, and has been registered and serving for long enough"
                yield Violation(rule="missing", text=text, location=location, answer=answer)
        elif len(named) < min(answer.max_count, len(sure)):
            text = f"there are fewer than {answer.max_count}, and {len(sure)} could have been named"
            yield Violation(rule="too few", text=text, location=None, answer=answer)

    def _staleness(self, location: int, answer: Answer) -> str | None:
        if location not in self.owners:
            return f"{location} never was a location"
        registry, service = self._timelines_of(location, answer.site)
        if not registry.may_be_on(answer.asked, answer.answered):
            return f"{location} has not been registered for too long"
        if not service.may_be_on(answer.asked, answer.answered):
            return f"{location} has not been serving for too long"
        return None

    def _is_sure(self, location: int, answer: Answer) -> bool:
        both = self._timelines_of(location, answer.site)
        return all(timeline.must_be_on(answer.asked, answer.answered) for timeline in both)

    # What a client's answers promise together

    def _goings_back(self, answers: Sequence[Answer]) -> Iterator[Violation]:
        """Yield answers with a location whose deregistration the same client had seen before.

        It had if the location vanished from the answers after it was to be seen in them, and while it served.
        """
        ordered = sorted(answers, key=lambda each: each.asked)
        for location in self.owners:
            gone: tuple[Deed | None, Deed | None] | None = None
            for answer in ordered:
                registry, service = self._timelines_of(location, answer.site)
                registered, serves = registry.at(answer.answered), service.at(answer.answered)
                present = registered.since, serves.since
                if location in answer.locations:
                    if gone is not None and gone == present:
                        text = f"{location} is back, and was not registered again"
                        yield Violation(rule="back", text=text, location=location, answer=answer)
                elif not answer.max_count and registered.since is not None and not registered.is_on:
                    was_there = registry.must_be_on(registered.since.began, math.nextafter(registered.since.began, 0))
                    if was_there and serves.is_on and serves.known_at < answer.asked:
                        gone = present

    # What answers of different balancers promise together

    def _disagreements(self) -> Iterator[Violation]:
        ordered = sorted((each for each in self.answers if not each.max_count), key=lambda each: each.asked)
        for begin, end in self._quiet:
            here = [each for each in ordered if begin < each.asked and each.answered < end]
            by_site: dict[str, Answer] = {}
            for answer in here:
                by_site.setdefault(answer.site, answer)
                if set(answer.locations) != set(by_site[answer.site].locations):
                    text = f"in a time of quiet {answer.site} says now so and now otherwise"
                    yield Violation(rule="agree", text=text, location=None, answer=answer)
            for one, other in combinations(by_site.values(), 2):
                if set(one.locations) != set(other.locations):
                    text = f"in a time of quiet {one.site} says {sorted(one.locations)}"
                    yield Violation(rule="agree", text=text, location=None, answer=other)

    @cached_property
    def _quiet(self) -> list[tuple[float, float]]:
        """From when until when nothing was done, and all that had been done must have been known everywhere."""
        sites = {each.site for each in self.answers}
        busy = sorted((each.began, max(self._known_at(each, site) for site in sites)) for each in self.deeds)
        quiet, at = [], -math.inf
        for began, over in busy:
            if began > at:
                quiet.append((at, began))
            at = max(at, over)
        return [*quiet, (at, math.inf)]

    # When what was done must be known

    def _timelines_of(self, location: int, site: str) -> tuple[_Timeline, _Timeline]:
        key = location, site
        if key not in self._timelines:
            deeds = [each for each in self.deeds if each.location == location]
            known_at = {each: self._known_at(each, site) for each in deeds}
            self._timelines[key] = _Timeline(deeds, REGISTRY, known_at), _Timeline(deeds, SERVICE, known_at)
        return self._timelines[key]

    def _known_at(self, deed: Deed, site: str) -> float:
        known_at = deed.ended + self.promises.bounds_s[deed.cause]
        if deed.cause in SERVICE:
            # Balancers see that for themselves.
            return known_at
        recovered_s = self.promises.recovered_s
        for outage in self.outages:
            # For a while after an outage, what vanishes is held, and what failed is tried again.
            overlaps = outage.began <= known_at and deed.began <= outage.ended + recovered_s
            if overlaps and outage.concerns(self.owners[deed.location], site):
                known_at = max(known_at, outage.ended + recovered_s, deed.ended + recovered_s)
        return known_at
