"""Actors for tests of the transport: they echo, make children, and end as told."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from thespian.actors import Actor, ActorAddress, ThespianWatch, WatchMessage


@dataclass(frozen=True)
class Echo:
    text: str


@dataclass(frozen=True)
class Count:
    """Not answered; the actor remembers each that it gets."""

    number: int


@dataclass(frozen=True)
class AskCounts:
    """Answered with all of them so far."""


@dataclass(frozen=True)
class Counts:
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class AskPids:
    """Answered with the pids of the actor and of its child."""


@dataclass(frozen=True)
class WatchFifo:
    path: str


@dataclass(frozen=True)
class FifoReady:
    content: bytes


@dataclass(frozen=True)
class Pids:
    own: int
    child: int


class Child(Actor):
    def receiveMessage(self, message: Any, sender: ActorAddress) -> None:
        if isinstance(message, AskPids):
            self.send(sender, Pids(own=os.getpid(), child=0))


class Parent(Actor):
    def __init__(self) -> None:
        super().__init__()
        self.child = None
        self.asker = None
        self.fifo = -1
        self.counts: tuple[int, ...] = ()

    def receiveMessage(self, message: Any, sender: ActorAddress) -> ThespianWatch | None:
        match message:
            case Echo():
                self.send(sender, message)
            case Count():
                self.counts = (*self.counts, message.number)
            case AskCounts():
                self.send(sender, Counts(self.counts))
            case AskPids():
                self.asker = sender
                self.child = self.child or self.createActor(Child)
                self.send(self.child, message)
            case Pids():
                self.send(self.asker, Pids(own=os.getpid(), child=message.own))
            case WatchFifo():
                self.asker = sender
                self.fifo = os.open(message.path, os.O_RDONLY | os.O_NONBLOCK)
            case WatchMessage():
                self.send(self.asker, FifoReady(os.read(self.fifo, 100)))
        return ThespianWatch([self.fifo] if self.fifo >= 0 else [])
