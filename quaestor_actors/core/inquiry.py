"""A question to several hosts at once: who has answered, who is still waited for, and when that ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """One question."""

    awaited: frozenset[str]
    """Hosts by name."""
    deadline: float
    """In monotonic seconds; after that nobody is waited for any more."""
    answers: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def is_over(self, now: float) -> bool:
        """Return whether whoever asked is to be told what has come."""
        return not self.awaited or now >= self.deadline


def begin(hosts: Iterable[str], *, now: float, patience_s: float) -> Inquiry:
    """Return a question to these hosts, whose answers are waited for so long."""
    return Inquiry(awaited=frozenset(hosts), deadline=now + patience_s)


def answered(inquiry: Inquiry, host: str, answer: Any) -> Inquiry:
    """Take in an answer; the first one of a host counts."""
    if host not in inquiry.awaited:
        return inquiry
    answers = MappingProxyType({**inquiry.answers, host: answer})
    return replace(inquiry, awaited=inquiry.awaited - {host}, answers=answers)


def without(inquiry: Inquiry, host: str) -> Inquiry:
    """Take in that a host is lost: it is not waited for any more."""
    return replace(inquiry, awaited=inquiry.awaited - {host})
