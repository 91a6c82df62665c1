"""Follows the processes of one deployment through their events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from peers.peer import IsMember

from measure import processes
from measure.events import Event, Kind, Listener
from measure.netlink import ProcessConnector
from measure.polling import ProcPoller


class DeadlineError(Exception):
    """What was waited for did not happen in time."""


def new_listener() -> Listener:
    """Return the best source of events that this machine permits."""
    try:
        return ProcessConnector()
    except OSError:
        return ProcPoller()


class Follower:
    """Knows when members were forked, when they executed the member's command, and when processes ended."""

    def __init__(self, listener: Listener, is_member: IsMember) -> None:
        """Take the source of events and how to know a member by its command line."""
        self._listener = listener
        self._is_member = is_member
        self.forks: dict[int, Event] = {}
        self.members: dict[int, int] = {}
        """When each live member executed its command; nanoseconds on the monotonic clock."""
        self.exits: dict[int, int] = {}

    def update(self) -> None:
        """Take in what happened since the last time."""
        for event in self._listener.collected():
            match event.kind:
                case Kind.FORKED:
                    self.forks[event.pid] = event
                    self.exits.pop(event.pid, None)
                case Kind.EXECUTED:
                    # A shell that executes the member is not one yet. If it has done so by now, a later event tells.
                    if self._is_member(processes.command_line(event.pid)):
                        self.members[event.pid] = event.at_ns
                case Kind.EXITED:
                    self.members.pop(event.pid, None)
                    self.exits[event.pid] = event.at_ns

    def wait(self, met: Callable[[], bool], *, deadline_s: float, pause_s: float) -> None:
        """Sleep until a condition is met, looking now and then: what is measured is disturbed as little as possible.

        The events carry their own times, so the pauses cost no precision.

        Raises:
            DeadlineError: it is not met in time.
        """
        deadline = time.monotonic() + deadline_s
        while True:
            self.update()
            if met():
                return
            if time.monotonic() > deadline:
                raise DeadlineError(f"not within {deadline_s:g} s")
            time.sleep(pause_s)
            processes.reap()


@contextmanager
def following(is_member: IsMember) -> Iterator[Follower]:
    """Follow the members from now on."""
    listener = new_listener()
    try:
        yield Follower(listener, is_member)
    finally:
        listener.close()
