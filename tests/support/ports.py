"""Ports for tests, from below the range of which the kernel hands out ports to everybody else."""

from __future__ import annotations

import os
import socket
from itertools import count

LOWEST = 10_000
NUMBER = 20_000

# Test processes that run at the same time begin at different places.
_numbers = count(os.getpid() * 7919)


def free_port() -> int:
    """Return a TCP port that is free on the loopback interface, and that no earlier call returned."""
    for number in _numbers:
        port = LOWEST + number % NUMBER
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise AssertionError("count() ends never")
