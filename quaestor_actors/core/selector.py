"""How operators name members: `Worker/2`, `Worker` or `Worker/*` for all of an agent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What selectors name."""

    members: tuple[str, ...]
    """In the order in which they were found, each once."""
    unknown: tuple[str, ...]
    """Selectors that name nobody."""


def choose(selectors: Iterable[str], members: Iterable[str]) -> Chosen:
    """Return the members that the selectors name; agents' names compare exactly."""
    known = list(members)
    chosen: dict[str, None] = {}
    unknown = []
    for selector in selectors:
        agent = selector.removesuffix("/*")
        found = [name for name in known if name == selector or name.rpartition("/")[0] == agent]
        chosen.update(dict.fromkeys(found))
        if not found:
            unknown.append(selector)
    return Chosen(members=tuple(chosen), unknown=tuple(unknown))
