"""What a list is made of: columns that are declared once, and one look at what is listed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, Generic, TypeVar

Row = TypeVar("Row")

SCHEMA_VERSION = 1
"""Of every document in JSON and YAML; fields are only ever added within a version."""


class Tier(IntEnum):
    """How much room a table must have for a column to be in it."""

    MINI = 0
    """None: it is always there."""
    CONDENSED = 1
    FULL = 2
    WIDE = 3
    """It is only in the forms `wide` and `tsv`."""


class Colour(StrEnum):
    """What a state looks like: the parameter of the terminal's SGR command."""

    GREEN = "32"
    """It serves."""
    YELLOW = "33"
    """It is in between."""
    RED = "31"
    """It has failed."""


Piece = tuple[str, Colour | None]
"""A part of a drawn line, and its colour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Generic[Row]):
    """One column of a list."""

    title: str
    text: Callable[[Row], str]
    """What people read."""
    tier: Tier = Tier.MINI
    takes_rest: bool = False
    """It gets what the others leave, and is cut first. One column of a list at most."""
    exact: Callable[[Row], str] | None = None
    """What machines read in the form `tsv`; None: the same as people."""
    colour: Callable[[Row], Colour | None] | None = None
    is_telling: Callable[[Row], bool] | None = None
    """In the form `table` it is left out if this is true for no row; None: it is never left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[Row]):
    """What is listed, at one moment."""

    columns: Sequence[Column[Row]]
    rows: Sequence[Row]
    document: Mapping[str, Any]
    """Everything, as JSON and YAML have it; plain data."""
    head: tuple[str, ...] = ()
    """Lines above the table, in the forms for people."""
    drawing: tuple[tuple[Piece, ...], ...] | None = None
    """Lines that stand for the table in the form `table`; None: it is a table."""
    notes: tuple[str, ...] = ()
    """What there is to say beside it; goes to standard error, in the forms for people."""


_SERVING = frozenset({"serving", "running", "SERVING", "here", "joined"})
_FAILED = frozenset({"failed", "crashed", "gave_up", "NOT_SERVING", "unreachable", "lost"})
_AT_REST = frozenset({"stopped", "done"})


def colour_of_state(state: str) -> Colour | None:
    """Return green for what serves, red for what has failed, none for what was ended on purpose, else yellow."""
    if state in _SERVING:
        return Colour.GREEN
    if state in _FAILED:
        return Colour.RED
    return None if state in _AT_REST else Colour.YELLOW
