"""Hosts of a convention on one machine, each with a loopback address of its own.

python -m support.tiny_hosts FOLDER ADDRESS PORT PEER...: prints what its actor hears of the others, a line for each.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from support.tiny_system import COOKIE
from thespian.actors import Actor, ActorAddress, ActorSystemConventionUpdate

from quaestor_actors.system import base, transport
from quaestor_actors.system.connection import Connection, format_address
from quaestor_actors.system.parentage import adopt_orphans
from quaestor_actors.system.transport import Interface


class Listener(Actor):
    """Tells whoever starts it of every change."""

    def receiveMessage(self, message: Any, sender: ActorAddress) -> None:
        match message:
            case "listen":
                self.launcher = sender
                self.notifyOnSystemRegistrationChanges(True)  # noqa: FBT003 - Thespian's signature
            case ("capability", name, value):
                self.updateCapability(name, value)
            case ActorSystemConventionUpdate():
                peer = format_address(message.remoteAdminAddress)
                what = "there" if message.remoteAdded else "lost"
                self.send(self.launcher, (what, peer, message.remoteCapabilities.get("Tiny", "")))


def run(directory: Path, address: str, port: int, peers: tuple[str, ...]) -> None:
    """Run a host until standard input ends; a line from there becomes a capability."""
    transport.configure(
        cookie=COOKIE,
        log_path=directory / "system.log",
        pid_path=directory / "admin.pid",
        interface=Interface(address=address),
        outlives_launcher=False,
    )
    adopt_orphans()
    system = base.start_system(port, peers=peers)
    connection = Connection(system)
    listener = connection.create(Listener)
    connection.send(listener, "listen")
    while True:
        match connection.receive(None, watch_fds=[0]):
            case (what, peer, tiny):
                sys.stdout.write(f"{time.monotonic():.3f} {what} {peer} {tiny}\n")
                sys.stdout.flush()
            case _:
                line = sys.stdin.readline()
                if not line:
                    break
                connection.send(listener, ("capability", "Tiny", line.strip()))
    system.shutdown()


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), tuple(sys.argv[4:]))
