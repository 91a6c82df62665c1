"""What every compared supervisor must offer, and what it is asked to keep running."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

_serial = itertools.count()


IsMember = Callable[[tuple[str, ...]], bool]
"""Tells a member by its command line."""


class UnavailableError(Exception):
    """A peer cannot be measured on this machine; the text says what to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The members a peer keeps running."""

    command: tuple[str, ...]
    """Of every member; no other process on the machine has the same, so members are recognised by it."""
    count: int
    immediate: bool = False
    """Asks for a restart without any pause, where that is a setting of the peer."""

    def is_member(self, command_line: tuple[str, ...]) -> bool:
        """Return whether a process with this command line is one of the members."""
        return command_line == self.command


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How a configured peer is started, in the foreground, and how it is told to stop everything."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the present environment."""
    stop_signal: signal.Signals = signal.SIGTERM
    """To the process that was started."""


class Peer(Protocol):
    """One supervisor."""

    @property
    def name(self) -> str:
        """Return the name of its column."""
        ...

    def prepare(self, cache: Path, *, install: bool) -> None:
        """Make sure that it is there; install it if that is wanted and possible.

        Raises:
            UnavailableError: it is not there and cannot be installed.
        """
        ...

    def configure(self, directory: Path, workload: Workload) -> Launch:
        """Write its configuration for these members into an empty directory, and say how to start it."""
        ...


def sleepers(count: int, *, immediate: bool = False) -> Workload:
    """Return members that do nothing, under a command line of their own: a number of seconds not used before."""
    seconds = 1_000_000_000 + os.getpid() * 1_000 + next(_serial)
    return Workload(command=("/bin/sleep", str(seconds)), count=count, immediate=immediate)


def write_script(path: Path, *lines: str) -> Path:
    """Write an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(("#!/bin/sh", *lines, "")), encoding="utf-8")
    path.chmod(0o755)
    return path
