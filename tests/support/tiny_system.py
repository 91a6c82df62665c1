"""An actor system of one tiny actor, launched as a process of its own: python -m support.tiny_system FOLDER PORT."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from support.tiny_actors import Parent

from quaestor_actors.system import base, transport
from quaestor_actors.system.connection import format_address

COOKIE = b"c" * 32


@dataclass(frozen=True)
class TinySystem:
    """A running actor system with one actor."""

    admin_port: int
    admin_pid: int
    parent_address: str
    directory: Path


def launch(directory: Path, port: int) -> None:
    """Start the system, print its actor's address, and shut it down when standard input ends."""
    transport.configure(cookie=COOKIE, log_path=directory / "system.log", pid_path=directory / "admin.pid")
    system = base.start_system(port)
    address = system.createActor(Parent)
    sys.stdout.write(format_address(address) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    system.shutdown()


if __name__ == "__main__":
    launch(Path(sys.argv[1]), int(sys.argv[2]))
