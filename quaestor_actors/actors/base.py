"""What every actor of the tree shares: crash cleanly, wake by key, watch descriptors, log to the system's log.

Three traps of Thespian are closed here once. A handler that raises would be run a second time and its exception sent
to the sender: here the actor tells its parent in words and ends. A ThespianWatch lasts one message: here every
message returns the current one. A wakeup cannot be cancelled, and under load one in some thousands never comes: here
time is a descriptor like any other.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from thespian.actors import (
    Actor,
    ActorAddress,
    ActorExitRequest,
    PoisonMessage,
    ThespianWatch,
    WatchMessage,
)

from quaestor_actors.actors.outside import Outside
from quaestor_actors.adapters.timer import Timer


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which actor this is; its parent gives it with the first message."""

    cluster: str
    name: str
    incarnation: int
    log_level: str = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """To the parent: this actor works."""

    identity: Identity
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Crashed:
    """To the parent: an unexpected exception ends this actor."""

    identity: Identity
    reason: str
    """One line for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """From the parent: stop what you keep, then answer Stopped."""

    force: bool = False
    leaving: bool = False
    """You will not come back: end also what would outlive the cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLogLevel:
    """From the parent: log at this level, and have your children do so."""

    level: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """To the parent: everything this actor kept has stopped; it ends now."""

    identity: Identity


class TreeActor(Actor):  # type: ignore[misc]  # Thespian has no type information
    """An actor with an identity and a parent that wants to know how it does.

    A subclass implements `receive`, and calls `begin` with the first message's identity.
    """

    outside: ClassVar[Outside] = Outside()
    identity: Identity
    parent: ActorAddress
    log: logging.Logger

    def __init__(self) -> None:
        """Take nothing: Thespian makes actors without arguments; the first message brings them."""
        super().__init__()
        self._wakeups: dict[str, float] = {}
        self._timer = self.outside.make(Timer)
        self._watched: dict[int, Callable[[], None]] = {self._timer.fd: self._time_passed}
        self._ending = False

    def begin(self, identity: Identity, parent: ActorAddress) -> None:
        """Take on an identity; from here on the parent is told how this actor does."""
        self.identity = identity
        self.parent = parent
        self.outside.set_title(f"quaestor: {identity.cluster}: {identity.name}")
        self.outside.log_to_stderr(identity.log_level)
        self.log = logging.getLogger(identity.name)

    def receive(self, message: Any, sender: ActorAddress) -> None:
        """Handle one message. An exception from here ends the actor."""
        raise NotImplementedError

    def on_wake(self, key: str) -> None:
        """Handle the time arranged by `wake_at`."""
        raise NotImplementedError

    def on_log_level(self, message: SetLogLevel) -> None:
        """Pass the level on, if there are children."""

    def after_watch(self) -> None:
        """Act once on what the handlers of several readable descriptors have taken in."""

    def on_exit(self) -> None:
        """Release what the actor holds; its process ends next."""

    def after_crash(self, reason: str) -> None:
        """Say to others what the parent has just been told; the actor's process ends next."""

    def watch(self, descriptor: int, handler: Callable[[], None]) -> None:
        """Have the handler called whenever the descriptor is readable."""
        self._watched[descriptor] = handler

    def unwatch(self, descriptor: int) -> None:
        """Stop watching a descriptor; it may be closed then."""
        self._watched.pop(descriptor, None)

    def wake_at(self, key: str, at: float | None) -> None:
        """Arrange `on_wake(key)` at the given monotonic time, instead of any earlier arrangement for the key."""
        if self._wakeups.get(key) == at:
            return
        if at is None:
            del self._wakeups[key]
        else:
            self._wakeups[key] = at
        self._timer.set(min(self._wakeups.values(), default=None))

    def epoch_of(self, at: float) -> float:
        """Return seconds since the epoch for a time of the monotonic clock: other processes have another one."""
        return self.outside.wall_clock() - (self.outside.clock() - at)

    def _time_passed(self) -> None:
        self._timer.clear()
        now = self.outside.clock()
        for key, at in list(self._wakeups.items()):
            # What one of them does may change when another is due.
            if at <= now and self._wakeups.get(key) == at:
                del self._wakeups[key]
                self.on_wake(key)
        self._timer.set(min(self._wakeups.values(), default=None))

    def end(self) -> None:
        """End this actor's process once what it has sent is delivered."""
        self._ending = True
        self.send(self.myAddress, ActorExitRequest(recursive=True))

    def receiveMessage(self, message: Any, sender: ActorAddress) -> ThespianWatch | None:  # noqa: N802 - Thespian's name
        """Route one message of the actor system; let what goes wrong end the actor, and say so."""
        if isinstance(message, ActorExitRequest):
            self.on_exit()
            return None
        if self._ending:
            return None
        try:
            self._route(message, sender)
        except Exception as error:  # noqa: BLE001 - the end of the actor is the handling, and its parent is told
            self._crash(error)
        return ThespianWatch(list(self._watched))

    def _route(self, message: Any, sender: ActorAddress) -> None:
        match message:
            case WatchMessage():
                for descriptor in message.ready:
                    if handler := self._watched.get(descriptor):
                        handler()
                self.after_watch()
            case SetLogLevel(level=level):
                self.identity = replace(self.identity, log_level=level)
                logging.getLogger().setLevel(level.upper())
                self.on_log_level(message)
            case PoisonMessage():
                raise RuntimeError(f"a message could not be sent: {message.details}")
            case _:
                self.receive(message, sender)

    def reason_of(self, error: Exception) -> str:
        """Return, for people, why an exception ends this actor."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} (in {place.name}, {place.filename}:{place.lineno})"

    def _crash(self, error: Exception) -> None:
        reason = self.reason_of(error)
        identity = getattr(self, "identity", None)
        if identity is None:
            self.outside.log_to_stderr("info")
            logging.getLogger("actor").error("crashed before it had an identity: %s", reason, exc_info=error)
        else:
            self.log.error("crashed: %s", reason, exc_info=error)
            self.send(self.parent, Crashed(identity=identity, reason=reason))
            self.after_crash(reason)
        self.end()
