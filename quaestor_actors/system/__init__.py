"""The actor system itself: a hardened Thespian transport, starting it, attaching to it, guarding it."""

from __future__ import annotations

import socket
from importlib import import_module


def _import_without_name_lookups() -> None:
    """Import the part of Thespian that asks for this machine's names and addresses as it is imported.

    Here everything is on the loopback interface, and a name server that does not answer must not hold up a command.
    """
    asking = socket.gethostname, socket.getfqdn
    socket.gethostname = socket.getfqdn = lambda *_: "localhost"
    try:
        import_module("thespian.system.transport.IPBase")
    finally:
        socket.gethostname, socket.getfqdn = asking


_import_without_name_lookups()
