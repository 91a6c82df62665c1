"""What a planted fault is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One change of one place, such as a tired engineer would make."""

    name: str
    file: str
    """Below the package."""
    old: str
    """Is there exactly once."""
    new: str
    tests: tuple[str, ...]
    """Files or folders of tests that must notice."""

    def planted_in(self, text: str) -> str:
        """Return the text of the file with the fault.

        Raises:
            ValueError: the place is not there exactly once.
        """
        if (count := text.count(self.old)) != 1:
            raise ValueError(f"the fault {self.name!r} does not fit: {self.old!r} is {count} times in {self.file}")
        return text.replace(self.old, self.new)
