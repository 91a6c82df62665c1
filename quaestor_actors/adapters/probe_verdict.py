"""What one check of a server or command said."""

from __future__ import annotations

from dataclasses import dataclass

from quaestor_actors.core.member import Health


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Health, and the reason in words."""

    health: Health
    detail: str
    """One printable line for people."""
