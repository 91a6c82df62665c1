"""Ports for tests."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Return a TCP port that is free on the loopback interface at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
