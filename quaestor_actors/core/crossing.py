"""What goes from one host to another, and how hosts of different versions understand each other.

A message, and each part of it, travels as its class and its fields by name. So a receiver of another version leaves out
what it does not know, and takes the default of what it is not told. docs/architecture.md has the rule that follows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeGuard

CAPABILITY = "Quaestor Protocol"
"""Capability of an actor system: the versions of the messages between hosts that it understands, from and to."""

OLDEST, NEWEST = 1, 1
"""What this version understands. The newest goes up with each change but a new field that has a default."""

SPOKEN = (OLDEST, NEWEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """The base of what goes from one host to another."""

    def __reduce__(self) -> tuple[Any, tuple[type[Crossing], dict[str, Any]]]:
        """Return how it travels. Of dataclasses with slots it would be their values in order, without names."""
        return restored, (type(self), {field.name: getattr(self, field.name) for field in fields(self)})


def restored(kind: type[Crossing], said: dict[str, Any]) -> Crossing:
    """Return what another host has said; every version of the messages names this function.

    Args:
        kind: Of what.
        said: Its fields by name, as the other host has them.

    Raises:
        TypeError: One is not there that must be.
    """
    known = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in said.items() if name in known})


def trouble_with(said: object) -> str:
    """Return why a host cannot be talked to, for people; empty if it can.

    Args:
        said: What it says that it understands; one that says nothing is from before there were versions, which is 1.
    """
    oldest, newest = said if _is_range(said) else (1, 1)
    if oldest <= NEWEST and newest >= OLDEST:
        return ""
    return f"speaks {_versions(oldest, newest)} of the messages between hosts, this one {_numbers(OLDEST, NEWEST)}"


def _is_range(said: object) -> TypeGuard[tuple[int, int]]:
    return isinstance(said, tuple) and len(said) == 2 and all(isinstance(number, int) for number in said)  # noqa: PLR2004 - from and to


def _versions(oldest: int, newest: int) -> str:
    return f"version {newest}" if oldest == newest else f"versions {_numbers(oldest, newest)}"


def _numbers(oldest: int, newest: int) -> str:
    return str(newest) if oldest == newest else f"{oldest} to {newest}"
