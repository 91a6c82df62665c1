"""Actors as users write them, for clusters of tests."""

from __future__ import annotations

import os
from typing import Any

from quaestor_actors.actor import Actor, Sender, Undelivered, requires


class Echo(Actor):
    """Does what it is told, and can be asked what has happened to it."""

    fails_to_start = False

    def __init__(self, greeting: str = "hello", breaks: bool = False) -> None:  # noqa: FBT001, FBT002 - settings have names
        if breaks or Echo.fails_to_start:
            raise OSError("the device is not there")
        self.greeting = greeting
        self.seen: list[Any] = []
        self.last: Sender | None = None

    def receive(self, message: Any, sender: Sender) -> None:  # noqa: C901 - a table
        match message:
            case "seen":
                self.reply(tuple(self.seen))
            case "crash":
                raise ValueError("too hot")
            case "exit":
                os._exit(3)
            case "finish":
                self.finish()
            case "silence":
                self.last = sender
            case "answer the last":
                assert self.last is not None
                self.tell(self.last, "late")
            case ("tell", to, what):
                self.tell(to, what)
            case ("wake", seconds):
                self.wake_in(seconds, "alarm")
            case ("say", what):
                self.seen.append((sender.name, what))
                self.reply(("say back", what)) if sender.name else None
            case ("say back", _):
                self.seen.append((sender.name, message))
            case _:
                self.reply((self.name, self.greeting, message, os.getpid()))

    def on_wake(self, key: str) -> None:
        self.seen.append(key)

    def on_undelivered(self, undelivered: Undelivered) -> None:
        self.seen.append((undelivered.to, undelivered.message, undelivered.reason))

    def on_stop(self) -> None:
        self.log.info("%s was asked to stop", self.name)


@requires("camera")
class Seeing(Echo):
    """The same, on hosts with a camera alone."""


class Unreadable:
    """A message that whoever gets it cannot make."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (_unmakeable, ("no",))


def _unmakeable(text: str) -> Unreadable:
    raise LookupError(text)
