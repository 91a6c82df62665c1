"""What an attacker without the cookie could send to an actor's port, and a way to send a lot of it."""

from __future__ import annotations

import os
import pickle
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from quaestor_actors.system.frames import to_wire
from quaestor_actors.system.sealing import Kind, Sealer


class PickleBomb:
    """Unpickling this creates the named file, which must never come to exist."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.canary),)


def hostile_streams(seed: int, port: int, canary: Path) -> Iterator[bytes]:
    """Yield byte strings for ever: garbage, stock Thespian's framing, forged seals, broken and endless frames."""
    chance = random.Random(seed)
    bomb = pickle.dumps(PickleBomb(canary))
    forger = Sealer(bytes(32))
    destination = f"127.0.0.1:{port}".encode()
    while True:
        forged = forger.seal(Kind.DATA, bomb, destination)
        altered = bytearray(forged)
        altered[chance.randrange(len(altered))] ^= 0xFF
        yield from (
            chance.randbytes(chance.randrange(1, 300)),
            b"%d>%b" % (len(bomb), bomb),
            to_wire(bomb),
            to_wire(forged),
            to_wire(forger.seal(Kind.ACK, forged[-16:], destination)),
            to_wire(bytes(altered)),
            to_wire(forged)[:-1],
            to_wire(forged) + to_wire(bomb),
            b"-5>",
            b"99999999>" + bomb,
            b"4000000>" + bomb,
            b"12",
            b"",
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        )


def attack(port: int, *, count: int, seed: int, canary: Path) -> None:
    """Send `count` hostile streams to a port of this machine; up to 100 connections are left half-open at a time."""
    streams = hostile_streams(seed, port, canary)
    with ExitStack() as stack:
        for number in range(count):
            if number % 100 == 0:
                stack.close()
            try:
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
                connection.sendall(next(streams))
            except ConnectionError:
                # Thrown out in the middle of a sentence: just what should happen to it.
                continue
