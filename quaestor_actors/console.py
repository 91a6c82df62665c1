"""What a launcher says while it runs, as lines for people or as JSON for whoever collects logs."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import TextIO

LOG_FORMAT_VARIABLE = "QUAESTOR_LOG_FORMAT"
LOGGER = "quaestor"

WHO_WIDTH = 12
STATE_WIDTH = 12

_ERRORS = frozenset({"failed", "gave_up", "crashed"})
_WARNINGS = frozenset({"backing_off", "degraded", "fallback", "lost", "withheld"})


class LogFormat(StrEnum):
    """What `--log-format` chooses."""

    CONSOLE = "console"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One thing that is said."""

    who: str = ""
    """Whom it is about; empty: it is said before there is a cluster."""
    state: str = ""
    """In which state they are now, if that is what is said."""
    text: str
    level: int | None = None
    """None: as the state deserves."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What else is known, for JSON alone."""


Console = Callable[[News], None]
"""Says something. Whoever listened may have gone (a closed terminal, a full disk); that is no reason to end."""


class LinesForPeople:
    """Writes a line with the time for each piece of news."""

    def __init__(self, stream: TextIO) -> None:
        """Write to this stream."""
        self._stream = stream

    @property
    def terminal(self) -> TextIO | None:
        """Where to draw what is not worth a line; None: nobody could see it."""
        return self._stream if self._stream.isatty() else None

    def __call__(self, news: News) -> None:
        """Say it."""
        state = f"{news.state.replace('_', ' '):{STATE_WIDTH}} " if news.state else ""
        who = f"{time.strftime('%H:%M:%S')} {news.who:{WHO_WIDTH}} " if news.who else ""
        with contextlib.suppress(OSError):
            print(f"{who}{state}{news.text}", file=self._stream, flush=True)


def lines_of_json(stream: TextIO) -> Console:
    """Return what writes one JSON object in a line for each piece of news."""

    def say(news: News) -> None:
        level = _level_of(news) if news.level is None else news.level
        parts = (news.who, news.state.replace("_", " "), news.text)
        message = ": ".join(part for part in parts if part)
        known = {"state": news.state} if news.state else {}
        _write(stream, at=time.time(), level=level, logger=LOGGER, message=message, facts={**news.facts, **known})

    return say


def console_of(log_format: LogFormat, stream: TextIO) -> Console:
    """Return what says things in a format."""
    return lines_of_json(stream) if log_format is LogFormat.JSON else LinesForPeople(stream)


def take_over_stderr(stream: TextIO) -> None:
    """Have also logs, warnings and the last words of this process be JSON objects."""
    handler = _JsonHandler(stream)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    warnings.showwarning = _warn
    sys.excepthook = lambda kind, error, trace: _tell_end(stream, kind, error, trace)


class _JsonHandler(logging.Handler):
    """Writes each record of the logging module as a JSON object."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        facts = {}
        if record.exc_info is not None and record.exc_info[1] is not None:
            facts["traceback"] = "".join(traceback.format_exception(record.exc_info[1]))
        _write(
            self._stream,
            at=record.created,
            level=record.levelno,
            logger=record.name,
            message=record.getMessage(),
            facts=facts,
        )


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    del file, line
    logging.getLogger("py.warnings").warning("%s: %s (%s:%d)", category.__name__, message, filename, lineno)


def _tell_end(stream: TextIO, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    facts = {"traceback": "".join(traceback.format_exception(kind, error, trace))}
    message = f"{kind.__name__}: {error}"
    _write(stream, at=time.time(), level=logging.CRITICAL, logger=LOGGER, message=message, facts=facts)


def _level_of(news: News) -> int:
    if news.state in _ERRORS:
        return logging.ERROR
    return logging.WARNING if news.state in _WARNINGS else logging.INFO


def _write(stream: TextIO, *, at: float, level: int, logger: str, message: str, facts: Mapping[str, object]) -> None:
    document = {
        "time": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": logging.getLevelName(level).lower(),
        "logger": logger,
        "message": message,
        **{name: value for name, value in facts.items() if value is not None},
    }
    with contextlib.suppress(OSError):
        # In one piece: several processes may write to the same place.
        stream.write(f"{json.dumps(document)}\n")
        stream.flush()
