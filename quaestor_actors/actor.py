"""Write an actor of your own: a class that the cluster runs in its tree, in a process of its own, on some host.

from quaestor_actors.actor import Actor, Sender

class Thermometer(Actor):
    def __init__(self, path: str) -> None:
        self.path = path

    def receive(self, message: object, sender: Sender) -> None:
        self.reply(float(open(self.path).read()) / 1000)

docs/actors.md says how it is configured, found and supervised.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

LARGEST_MESSAGE = 4_000_000
"""In bytes, pickled."""

Decorated = TypeVar("Decorated", bound="type[Actor]")

_REQUIRED = "_quaestor_requires"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who has sent a message; `Actor.tell` takes it, also later, as long as its process lives."""

    name: str = ""
    """An actor's, with its host if there are several: `Thermometer@a3`; empty: a program outside of the tree."""
    address: Any = field(default=None, repr=False)
    """Where an answer goes, as Thespian has it."""
    request_id: str = ""
    """Of a question of a program; empty if none waits for an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """A message of this actor's that nobody has got."""

    to: str
    """Whom it was for."""
    message: Any
    reason: str
    """Why, for people."""


class Surroundings(Protocol):
    """What an actor is run by."""

    name: str
    log: logging.Logger

    def tell(self, to: str | Sender, message: Any) -> None:
        """Send a message."""

    def reply(self, message: Any) -> None:
        """Answer the message that is being handled."""

    def wake_in(self, seconds: float | None, key: str) -> None:
        """Arrange, or cancel, a call of `on_wake`."""

    def watch(self, descriptor: int, handler: Callable[[], None]) -> None:
        """Watch a descriptor."""

    def unwatch(self, descriptor: int) -> None:
        """Watch it no more."""

    def finish(self) -> None:
        """End in order."""


class Actor:
    """Base of actors of users: one object in a process of its own, which handles one thing at a time.

    The settings of the configuration are the arguments of its constructor, by name. Everything below may be used in the
    constructor already. An exception from any of its methods ends the process; the root of the host writes down why,
    and starts another one as configured. `super().__init__` need not be called.
    """

    _surroundings: Surroundings

    # What a class implements

    def receive(self, message: Any, sender: Sender) -> None:
        """Handle one message. Messages of one sender come in their order, each once at most."""
        raise NotImplementedError(f"{type(self).__name__} has no method receive")

    def on_wake(self, key: str) -> None:
        """Handle the time arranged by `wake_in`."""

    def on_undelivered(self, undelivered: Undelivered) -> None:
        """Take in that a message was not delivered; by default that is logged.

        It may be lost without this, when the process that has just taken it in ends.
        """
        self.log.warning("a message to %s was not delivered: %s", undelivered.to, undelivered.reason)

    def on_stop(self) -> None:
        """Release what is held, when the cluster or the configuration ends this actor; it has 5 seconds."""

    # What a class may call, in the thread of its methods alone

    @property
    def name(self) -> str:
        """How it is called: `Thermometer`, or `Thermometer@a3` where there are several hosts."""
        return self._surroundings.name

    @property
    def log(self) -> logging.Logger:
        """Writes to the log of the cluster's own system."""
        return self._surroundings.log

    def tell(self, to: str | Sender, message: Any) -> None:
        """Send a message to an actor by its name, or to whoever has sent one; that it arrives is not waited for.

        `Thermometer@a3` is the one of that host, `Thermometer` the one of this host, else that of another one. One
        that is just being started is waited for, for five seconds; then, or if there is none, `on_undelivered`
        follows.

        Raises:
            MessageError: it cannot be pickled, or is larger than `LARGEST_MESSAGE`.
        """
        self._surroundings.tell(to, message)

    def reply(self, message: Any) -> None:
        """Send a message to the sender of the one that is being handled.

        Raises:
            MessageError: it cannot be pickled, or is larger than `LARGEST_MESSAGE`.
            RuntimeError: no message is being handled.
        """
        self._surroundings.reply(message)

    def wake_in(self, seconds: float | None, key: str = "") -> None:
        """Have `on_wake(key)` called in so many seconds, instead of any earlier arrangement for the key.

        Args:
            seconds: None: not any more.
            key: tells apart what is arranged.
        """
        self._surroundings.wake_in(seconds, key)

    def watch(self, descriptor: int, handler: Callable[[], None]) -> None:
        """Have a handler called whenever a descriptor can be read: a socket, a device, or an eventfd of a thread."""
        self._surroundings.watch(descriptor, handler)

    def unwatch(self, descriptor: int) -> None:
        """Watch a descriptor no more, before it is closed."""
        self._surroundings.unwatch(descriptor)

    def finish(self) -> None:
        """End, as the work is done: with `restart: transient` or `temporary` it is not started again."""
        self._surroundings.finish()


def requires(*capabilities: str) -> Callable[[Decorated], Decorated]:
    """Have a class run only on hosts with these capabilities, beside those that its configuration requires.

    It is to be read in `capabilities` of the hosts. Where a cluster has no hosts, the class runs on its machine.
    """

    def mark(decorated: Decorated) -> Decorated:
        setattr(decorated, _REQUIRED, tuple(dict.fromkeys((*capabilities, *required_by(decorated)))))
        return decorated

    return mark


def required_by(actor_class: type[Actor]) -> tuple[str, ...]:
    """Return what `requires` has marked a class, or one that it is derived from, with."""
    found: tuple[str, ...] = getattr(actor_class, _REQUIRED, ())
    return found


def made(actor_class: type[Actor], settings: dict[str, Any], surroundings: Surroundings) -> Actor:
    """Return an actor that can use its surroundings from the first line of its constructor on."""
    actor = actor_class.__new__(actor_class)
    actor._surroundings = surroundings  # noqa: SLF001 - a class of the user's need not call ours
    actor.__init__(**settings)  # type: ignore[misc]  # the constructor is the user's
    return actor
