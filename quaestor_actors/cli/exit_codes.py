"""The exit codes of every command, and which error leads to which."""

from __future__ import annotations

from enum import IntEnum

from quaestor_actors.errors import ConfigError, ConflictError, NotRunningError, QuaestorError


class ExitCode(IntEnum):
    """What a command's end means; docs/cli.md says which verb ends with which."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_HEALTHY = 3
    """Only of a verb that was asked whether something is healthy."""
    NOT_RUNNING = 4
    CONFLICT = 5
    """What was asked for contradicts what is, or what it names is not there."""
    TIMED_OUT = 124
    """Only of a verb that waits; as timeout(1) has it."""
    INTERRUPTED = 130
    """Ctrl+C, as shells have it."""


_BY_ERROR: tuple[tuple[type[QuaestorError], ExitCode], ...] = (
    (ConfigError, ExitCode.USAGE),
    (NotRunningError, ExitCode.NOT_RUNNING),
    (ConflictError, ExitCode.CONFLICT),
    (QuaestorError, ExitCode.FAILED),
)


def exit_code(error: QuaestorError) -> ExitCode:
    """Return the exit code that an error leads to."""
    return next(code for kind, code in _BY_ERROR if isinstance(error, kind))
