"""The registry actor: holds who serves what where on this machine, and tells its followers every change."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from thespian.actors import ActorAddress

from quaestor_actors.actors.base import Identity, Ready, Stop, Stopped, TreeActor
from quaestor_actors.core import registry
from quaestor_actors.core.location import Location, Registration
from quaestor_actors.core.registry import Registry

STATIC_OWNER = "static"
"""Owner of what somebody else runs and the configuration names."""

WAIT_FOR_OWNERS_S = 2.0
"""A registry that was restarted tells its followers what it has after this time, complete or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRegistry:
    """From the root: begin, and wait for these owners before telling anybody anything."""

    identity: Identity
    awaited: frozenset[str]
    static: tuple[Registration, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Announce:
    """From an owner: this is all that I have."""

    owner: str
    registrations: tuple[Registration, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """From an owner: these serve now."""

    owner: str
    registrations: tuple[Registration, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deregister:
    """From an owner: these serve no longer."""

    owner: str
    registrations: tuple[Registration, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """From the root: keep this actor informed."""

    follower: ActorAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryChanged:
    """To a follower: what to add, or replace, and what to remove."""

    whole: bool
    """True: `added` is everything there is, and what the follower had before is void."""
    added: tuple[Registration, ...]
    removed: tuple[Location, ...] = ()


class RegistryActor(TreeActor):
    """Shell around `core.registry`."""

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self._registry = Registry()
        self._followers: list[ActorAddress] = []
        self._told: dict[Location, Registration] | None = None

    def receive(self, message: Any, sender: ActorAddress) -> None:
        """Handle owners' changes, and followers."""
        match message:
            case StartRegistry():
                self._start(message, sender)
            case Announce():
                self._registry = registry.announce(self._registry, message.owner, message.registrations)
                self._tell_changes()
            case Register():
                self._registry = registry.register(self._registry, message.owner, message.registrations)
                self._tell_changes()
            case Deregister():
                self._registry = registry.deregister(self._registry, message.owner, message.registrations)
                self._tell_changes()
            case Follow():
                self._follow(message.follower)
            case Stop():
                self.send(self.parent, Stopped(identity=self.identity))
                self.end()
            case _:
                self.log.warning("unexpected message %s", type(message).__name__)

    def on_wake(self, _key: str) -> None:
        """Stop waiting for owners that never announced."""
        self.log.warning("no word from %s: going on without", ", ".join(sorted(self._registry.awaited)))
        self._registry = registry.give_up_waiting(self._registry)
        self._tell_changes()

    def _start(self, message: StartRegistry, sender: ActorAddress) -> None:
        self.begin(message.identity, sender)
        self._registry = Registry(awaited=message.awaited | {STATIC_OWNER})
        self._registry = registry.announce(self._registry, STATIC_OWNER, message.static)
        self.wake_at("owners", time.monotonic() + WAIT_FOR_OWNERS_S)
        self._tell_changes()
        self.send(sender, Ready(identity=self.identity, pid=os.getpid()))

    def _follow(self, follower: ActorAddress) -> None:
        self._followers = [known for known in self._followers if known != follower]
        self._followers.append(follower)
        if self._told is not None:
            self.send(follower, RegistryChanged(whole=True, added=tuple(self._told.values())))

    def _tell_changes(self) -> None:
        if not self._registry.complete:
            return
        self.wake_at("owners", None)
        present = {location: entry.registration for location, entry in self._registry.entries.items()}
        before = self._told
        self._told = present
        if before is None:
            change = RegistryChanged(whole=True, added=tuple(present.values()))
        else:
            change = RegistryChanged(
                whole=False,
                added=tuple(new for location, new in present.items() if before.get(location) != new),
                removed=tuple(location for location in before if location not in present),
            )
            if not change.added and not change.removed:
                return
        for follower in self._followers:
            self.send(follower, change)
