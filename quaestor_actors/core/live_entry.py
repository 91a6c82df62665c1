"""What the balancer knows about one registered location, and what news of it does to that."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, replace
from enum import StrEnum

from quaestor_actors.core.load import LoadReport
from quaestor_actors.core.location import Registration
from quaestor_actors.core.member import Health
from quaestor_actors.core.ranking import Candidate
from quaestor_actors.core.standing_order import Change


class Standing(StrEnum):
    """Whether clients are sent to a location."""

    PENDING = "pending"
    """Its first health check or load report is under way."""
    OFFERED = "offered"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known about one registered location. Times are seconds of the caller's monotonic clock.

    What is done for each request and each report names all fields, as `replace` takes twice as long.
    """

    registration: Registration
    health: Health | None = None
    """None until the first verdict."""
    health_detail: str = ""
    load_failure: str | None = None
    """Why the last `ReportLoad` had no usable answer; None if it had one, or none was asked yet."""
    candidate: Candidate | None = None
    """Its last report and the hand-outs since; only while it serves and answers `ReportLoad`."""
    reported_at: float | None = None
    handed_out_at: tuple[float, ...] = ()
    """When each of the candidate's hand-outs was made, the oldest first."""
    handed_out_when_asked: int = 0
    """How many of them there were when the load was asked last; those requests may be in the coming report."""

    @property
    def is_offered(self) -> bool:
        """Whether the location may be handed out."""
        return self.candidate is not None and self.candidate.report.request_capacity > 0

    @property
    def standing(self) -> Standing:
        """Whether clients are sent to it; `reason` says why."""
        if self.is_offered:
            return Standing.OFFERED
        awaits_load = self.health is Health.SERVING and self.candidate is None and self.load_failure is None
        if self.health is None or awaits_load:
            return Standing.PENDING
        return Standing.WITHHELD

    @property
    def reason(self) -> str:
        """Why the location has its standing, for people."""
        if self.health is None:
            return "waiting for the first health check"
        if self.health is not Health.SERVING:
            return self.health_detail
        if self.load_failure is not None:
            return self.load_failure
        if self.candidate is None:
            return "waiting for the first load report"
        return "serving" if self.is_offered else "its request capacity is 0"

    def is_stale(self, max_age_s: float, *, now: float) -> bool:
        """Whether its report is older than this, so that it no longer counts."""
        return self.reported_at is not None and now >= self.reported_at + max_age_s

    def judged(self, health: Health, detail: str) -> Entry:
        """Return it after a verdict on its health."""
        if health is Health.SERVING:
            return replace(self, health=health, health_detail=detail)
        # Its reports end with its serving: after a break another process may answer at this address.
        return Entry(registration=self.registration, health=health, health_detail=detail)

    def asked(self) -> Entry:
        """Return it after its load was asked for."""
        return replace(self, handed_out_when_asked=self.candidate.handed_out if self.candidate else 0)

    def reported(self, report: LoadReport, *, now: float) -> Entry:
        """Return it after it said its load; with the very same candidate if that says nothing new."""
        if self.health is not Health.SERVING:
            return self
        candidate, on_their_way, asked = self.candidate, self.handed_out_at, self.handed_out_when_asked
        if candidate is None:
            candidate = Candidate(location=self.registration.location, report=report)
        elif candidate.report != report:
            arrived = self._arrived(candidate.report, report)
            on_their_way, asked = on_their_way[arrived:], max(asked - arrived, 0)
            candidate = Candidate(
                location=candidate.location,
                report=report,
                handed_out=len(on_their_way),
                last_handed_out_at=candidate.last_handed_out_at,
            )
        # Else nothing has changed at the worker, so what was handed out has not reached it yet.
        return Entry(
            registration=self.registration,
            health=self.health,
            health_detail=self.health_detail,
            candidate=candidate,
            reported_at=now,
            handed_out_at=on_their_way,
            handed_out_when_asked=asked,
        )

    def _arrived(self, before: LoadReport, after: LoadReport) -> int:
        """Return how many of its hand-outs, the oldest ones, the later report includes."""
        if before.started_requests is not None and after.started_requests is not None:
            return max(after.started_requests - before.started_requests, 0)
        # Any change may be that they arrived; but a hand-out after the question may not be in the answer.
        return self.handed_out_when_asked

    def as_of(self, now: float, *, hand_out_lifetime_s: float, report_max_age_s: float) -> Change:
        """Return what a ranking is to know of it at this time, and until when.

        Args:
            now: Seconds of the monotonic clock.
            hand_out_lifetime_s: So long after the last one, hand-outs no longer count as requests.
            report_max_age_s: A report older than this no longer counts.
        """
        location, candidate = self.registration.location, self.candidate
        if candidate is None or self.reported_at is None or candidate.report.request_capacity == 0:
            return Change(location, None)
        valid_until = math.inf
        if self.handed_out_at:
            # Older ones lapse at the next hand-out: each lapse is a new place in the order, which takes its time.
            valid_until = self.handed_out_at[-1] + hand_out_lifetime_s
            if now >= valid_until:
                candidate, valid_until = replace(candidate, handed_out=0), math.inf
        stale_at = self.reported_at + report_max_age_s
        if now < stale_at:
            return Change(location, candidate, min(valid_until, stale_at))
        return Change(location, replace(candidate, is_stale=True), valid_until)

    def failed(self, reason: str) -> Entry:
        """Return it after it did not say its load."""
        if self.health is not Health.SERVING:
            return self
        return replace(self, candidate=None, load_failure=reason, handed_out_at=(), handed_out_when_asked=0)

    def handed_out(self, *, hand_out_lifetime_s: float, now: float) -> Entry:
        """Return it after a client was sent to it; it must be offered.

        Args:
            hand_out_lifetime_s: Hand-outs older than this are forgotten: their clients never came.
            now: Seconds of the monotonic clock.
        """
        lapsed = bisect_right(self.handed_out_at, now - hand_out_lifetime_s)
        handed_out_at = (*self.handed_out_at[lapsed:], now)
        candidate = None
        if self.candidate is not None:
            candidate = self.candidate.handed_out_to(len(handed_out_at), now=now)
        # Not replace(), which takes three times as long; this is done for each request.
        return Entry(
            registration=self.registration,
            health=self.health,
            health_detail=self.health_detail,
            load_failure=self.load_failure,
            candidate=candidate,
            reported_at=self.reported_at,
            handed_out_at=handed_out_at,
            # What has lapsed is not to be taken off a second time.
            handed_out_when_asked=max(self.handed_out_when_asked - lapsed, 0),
        )
