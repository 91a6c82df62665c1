"""The exit codes of every command, and which error leads to which."""

from __future__ import annotations

from enum import IntEnum

from quaestor_actors.errors import ConfigError, ConflictError, NotRunningError, QuaestorError


class ExitCode(IntEnum):
    """What a command's end means; documented in the README."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 4
    CONFLICT = 5


_BY_ERROR: tuple[tuple[type[QuaestorError], ExitCode], ...] = (
    (ConfigError, ExitCode.USAGE),
    (NotRunningError, ExitCode.NOT_RUNNING),
    (ConflictError, ExitCode.CONFLICT),
    (QuaestorError, ExitCode.FAILED),
)


def exit_code(error: QuaestorError) -> ExitCode:
    """Return the exit code that an error leads to."""
    return next(code for kind, code in _BY_ERROR if isinstance(error, kind))
