"""Collects what is wrong with one file, so that everything is told at once."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from quaestor_actors.errors import ConfigError, ConfigFault

LONGEST_SHOWN = 60
"""Characters of an offending value that a message shows."""

_SIMPLE_KEY = re.compile(r"[\w-]+")


class Place(Protocol):
    """Anything that knows where in its file it begins; both numbers count from 1."""

    @property
    def line(self) -> int:
        """Line, 1-based."""

    @property
    def column(self) -> int:
        """Column, 1-based, in characters."""


class FaultList:
    """The faults of one file."""

    def __init__(self, file: Path) -> None:
        """Collect for this file; faults name it as it is given here."""
        self.file = file
        self._faults: list[ConfigFault] = []

    def add(self, place: Place, path: str, message: str) -> None:
        """Note a fault at a place of the file."""
        self.add_at(place.line, place.column, message, path=path)

    def add_at(self, line: int, column: int, message: str, *, path: str = "") -> None:
        """Note a fault at a line and column, both 1-based, or both 0 for the file as a whole."""
        self._faults.append(
            ConfigFault(file=str(self.file), line=line, column=column, path=path, message=message)
        )

    def __bool__(self) -> bool:
        """Whether anything is wrong."""
        return bool(self._faults)

    def in_order(self) -> tuple[ConfigFault, ...]:
        """Return the faults in the order of their places in the file, each once."""
        return tuple(sorted(set(self._faults)))


def raise_faults(lists: Iterable[FaultList]) -> None:
    """Raise all faults of these files together, if there are any.

    Raises:
        ConfigError: something is wrong with at least one of the files.
    """
    if faults := tuple(fault for faults in lists for fault in faults.in_order()):
        raise ConfigError(faults)


def quoted(text: str) -> str:
    """Return a text as messages show it: in quotes, on one line, not longer than a line."""
    shown = text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."
    return repr(shown)


def found(value: object) -> str:
    """Say what a value is, for a sentence that ends in `found ...`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            return f"text {quoted(value)}"
        case tuple():
            return "a list"
        case _:
            return "a mapping"


def child_path(path: str, key: str) -> str:
    """Return the path of a key of the mapping at a path."""
    if not _SIMPLE_KEY.fullmatch(key):
        return f"{path}[{quoted(key)}]"
    return f"{path}.{key}" if path else key


@functools.lru_cache(maxsize=256)
def closest(word: str, known: tuple[str, ...]) -> str | None:
    """Return the known word that was probably meant, whatever the case of its letters; None if none is close."""
    by_folded = {name.casefold(): name for name in known}
    matches = difflib.get_close_matches(word.casefold()[:LONGEST_SHOWN], by_folded, n=1)
    return by_folded[matches[0]] if matches else None


def did_you_mean(word: str, known: tuple[str, ...]) -> str:
    """Return a remedy in parentheses: the word probably meant, else all that would do."""
    if meant := closest(word, known):
        return f"(did you mean {meant}?)"
    return f"(known: {', '.join(sorted(known, key=str.casefold))})"
