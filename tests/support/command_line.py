"""Running `quaestor` inside this process: as the installed command does, without its start."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from quaestor_actors.cli import main


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str


def quaestor(*arguments: str) -> Answer:
    """Run a command to its end."""
    out, err = io.StringIO(), io.StringIO()
    code: object = None
    with redirect_stdout(out), redirect_stderr(err), patch("sys.argv", ["quaestor", *arguments]):
        try:
            main.main()
        except SystemExit as end:
            code = end.code
    return Answer(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())
