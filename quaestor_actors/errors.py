"""Every error that this project raises on purpose, in one small tree.

An error carries its facts as fields and builds its own sentence from them; the command line maps each class to
an exit code in `quaestor_actors.cli.exit_codes`.
"""

from __future__ import annotations

from dataclasses import dataclass


class QuaestorError(Exception):
    """Root of every error that a caller may want to handle."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ConfigFault:
    """One thing wrong in a configuration file, with its place and, where known, the remedy."""

    file: str
    line: int
    """1-based; 0 when the fault concerns the file as a whole."""
    column: int
    """1-based; 0 when the fault concerns the file as a whole."""
    path: str
    """Where in the document, e.g. `agents[1].ports[0]`; empty for the document itself."""
    message: str

    def __str__(self) -> str:
        """`file:line:column: path: what is wrong`, the form that editors jump to."""
        place = self.file if self.line == 0 else f"{self.file}:{self.line}:{self.column}"
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigError(QuaestorError):
    """The configuration cannot be used; `faults` holds everything that is wrong with it, in file order."""

    def __init__(self, faults: tuple[ConfigFault, ...]) -> None:
        """Take all faults at once, so that one run shows all there is to mend."""
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[ConfigFault, ...]]]:
        """Cross process borders with the faults rather than with their text."""
        return type(self), (self.faults,)


class NotRunningError(QuaestorError):
    """The named cluster does not run here, or does not answer."""


class ConflictError(QuaestorError):
    """What was asked for contradicts what is: the cluster runs already, or a port is taken."""


class SpawnError(QuaestorError):
    """A member's process could not be started; the message names the executable and the reason."""


class OperationError(QuaestorError):
    """An operation began and did not succeed."""


class ActorClassError(QuaestorError):
    """A class of the user's cannot be an actor; the message names it, and says why."""


class MessageError(QuaestorError):
    """A message cannot be sent or read: it cannot be pickled, is too large, or its class is not known there."""


class AskError(QuaestorError):
    """An actor of the user's was asked, or looked for, in vain; the leaves say why."""

    def __init__(self, name: str, reason: str) -> None:
        """Take whom it is about, as it was asked for, and what has happened."""
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason

    def __reduce__(self) -> tuple[type[AskError], tuple[str, str]]:
        """Cross process borders with the facts rather than with the text."""
        return type(self), (self.name, self.reason)


class NoSuchActorError(AskError):
    """There is no such actor, or no such host."""


class HostLostError(AskError):
    """The actor's host is lost; a message that was on its way may have been handled or not."""


class NoAnswerError(AskError):
    """Nothing came in time; the message may have been handled or not."""


class ActorFailedError(AskError):
    """The actor crashed on the message, could not read it, or does not work any more."""
