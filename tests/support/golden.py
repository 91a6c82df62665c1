"""Comparing output with files that hold what it should be.

QUAESTOR_REWRITE_GOLDEN=1 writes the files anew instead; look at the difference before it is committed.
"""

from __future__ import annotations

import os
from pathlib import Path

REWRITES = bool(os.environ.get("QUAESTOR_REWRITE_GOLDEN"))


def expect_golden(file: Path, text: str) -> None:
    """Fail if a text differs from what the file has."""
    ended = f"{text}\n"
    if REWRITES:
        file.parent.mkdir(exist_ok=True)
        file.write_text(ended, encoding="utf-8")
    assert ended == file.read_text(encoding="utf-8"), f"differs from {file}; QUAESTOR_REWRITE_GOLDEN=1 writes it anew"
