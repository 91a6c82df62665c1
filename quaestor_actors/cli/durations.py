"""Durations as people give them on a command line."""

from __future__ import annotations

import re
from typing import Any

import click

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhd]?)", re.ASCII)


class Ago(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """How long ago: `90s`, `10m`, `2h`, `1d`; without a letter, seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        parts = _DURATION.fullmatch(str(value).strip())
        if parts is None:
            self.fail(f"{value!r} is not a duration such as 90s, 10m, 2h or 1d", param, ctx)
        return float(parts[1]) * _SECONDS[parts[2]]
