"""What holds for all tests."""

from __future__ import annotations

from support import profiles

profiles.load()
