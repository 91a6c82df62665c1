"""What a waiting command tells: in place on a terminal, elsewhere a line for each change."""

from __future__ import annotations

import re
from io import StringIO

import pytest

from quaestor_actors.cli.progress import Progress


def test__off_a_terminal__a_line_for_each_change() -> None:
    stream = StringIO()
    progress = Progress(stream, is_drawn=False)
    for left in (9, 8, 7):
        progress.show("waiting for W/1", left_s=left, next_step=f"killed in {left}s")
    progress.show("waiting for W/2\x1b", left_s=6)
    progress.clear()
    lines = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in stream.getvalue().splitlines()]
    assert lines == ["waiting for W/1", "waiting for W/2\\x1b"]


def test__on_a_terminal__one_line_is_kept_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "32")
    stream = StringIO()
    progress = Progress(stream, is_drawn=True)
    progress.show("waiting for W/1", left_s=9, next_step="killed in 4s")
    progress.show("waiting for W/1")
    progress.clear()
    progress.clear()
    assert stream.getvalue() == "\r\x1b[K9 s left: waiting for W/1; kil…\r\x1b[Kwaiting for W/1\r\x1b[K"
