"""What holds for all tests."""

from __future__ import annotations

import signal

import pytest
from support import profiles

profiles.load()

# In the background of a shell, and with nohup, they are ignored, and every program that tests start would do so, too.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

LONG = ("cluster", "failure", "cli", "client")
"""Folders of the files that take longest: the first ones to begin, so that no process is left with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have long files begin first; pytest-xdist hands files out in this order (`--no-loadscope-reorder`)."""
    items.sort(key=lambda item: _rank(item.path.parent.name))


def _rank(folder: str) -> int:
    return LONG.index(folder) if folder in LONG else len(LONG)
