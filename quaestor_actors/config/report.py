"""Collects what there is to say about one configuration file, each line with its place."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from quaestor_actors.errors import ConfigError, ConfigFault

if TYPE_CHECKING:
    import yaml


MAX_FAULTS: Final = 100
"""In a file with more the reason is another than so many slips, and to find and read them all takes too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A spot in a file and what it is called there; line and column are 1-based, 0 means the whole file."""

    line: int = 0
    column: int = 0
    path: str = ""

    def named(self, path: str) -> Place:
        """Return the same spot under another name."""
        return replace(self, path=path)


def one_line(text: str) -> str:
    """Return text with its unprintable characters escaped: no file can forge lines or steer a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def place_of(node: yaml.Node, path: str) -> Place:
    """Return where a YAML node starts."""
    return Place(line=node.start_mark.line + 1, column=node.start_mark.column + 1, path=path)


@dataclass(slots=True, kw_only=True)
class Report:
    """Everything found in one file so far; reading goes on after a fault, so that all come out at once."""

    file: str
    faults: list[ConfigFault] = field(default_factory=list)
    warnings: list[tuple[int, int, str]] = field(default_factory=list)
    misspelt: set[str] = field(default_factory=set)
    """Paths that unknown keys probably meant: what is there is unknown, and not missing."""

    def fault(self, place: Place, message: str) -> None:
        """Add something that makes the file unusable.

        Raises:
            ConfigError: with what was found so far, which is enough.
        """
        if len(self.faults) == MAX_FAULTS:
            more = ConfigFault(file=self.file, line=0, column=0, path="", message=f"more than {MAX_FAULTS} faults")
            raise ConfigError((more, *self.sorted_faults()))
        text = one_line(message)
        self.faults.append(
            ConfigFault(file=self.file, line=place.line, column=place.column, path=place.path, message=text)
        )

    def sorted_faults(self) -> tuple[ConfigFault, ...]:
        """Return the faults in file order, each once."""
        return tuple(sorted(set(self.faults)))

    def warn(self, place: Place, message: str) -> None:
        """Add something that is allowed and may surprise."""
        text = f"{self.file}:{place.line}:{place.column}: {place.path}: {message}"
        self.warnings.append((place.line, place.column, text))

    def warning_lines(self) -> tuple[str, ...]:
        """Return the warnings in file order."""
        return tuple(text for _, _, text in sorted(self.warnings))
