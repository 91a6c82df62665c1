"""Frames that were genuine until somebody who lacks the cookie got hold of them, and streams that never were any."""

from __future__ import annotations

import pickle
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random

from support.hostile_frames import PickleBomb

from quaestor_actors.system.frames import to_wire
from quaestor_actors.system.sealing import MAX_AGE_S, Kind, Sealer

MOST_OPEN = 100
"""Connections that are held open at a time."""

ANOTHER_PORT = b"127.0.0.1:9"


class Forger:
    """Makes streams for an actor's port, of frames whose content would leave a folder behind when it is unpickled."""

    def __init__(self, *, cookie: bytes, canary: Path) -> None:
        self._cookie = cookie
        self._bomb = ANOTHER_PORT + b" " + pickle.dumps(PickleBomb(canary))

    def _sealed(self, destination: bytes, *, kind: Kind = Kind.DATA, age_s: float = 0.0) -> bytes:
        return Sealer(self._cookie, lambda: time.time() - age_s).seal(kind, self._bomb, destination)

    def _wire(self, destination: bytes) -> bytearray:
        return bytearray(to_wire(self._sealed(destination)))

    def flipped(self, destination: bytes, chance: Random) -> bytes:
        """One to three bits of the frame are others."""
        wire = self._wire(destination)
        begin = wire.index(b">") + 1
        for at in chance.sample(range(begin * 8, len(wire) * 8), chance.randrange(1, 4)):
            wire[at // 8] ^= 1 << at % 8
        return bytes(wire)

    def truncated(self, destination: bytes, chance: Random) -> bytes:
        """The end is missing."""
        wire = self._wire(destination)
        return bytes(wire[: chance.randrange(len(wire))])

    def shifted(self, destination: bytes, chance: Random) -> bytes:
        """A byte of the frame is missing, or there is one more."""
        wire = self._wire(destination)
        at = chance.randrange(wire.index(b">") + 1, len(wire) - 1)
        if chance.random() < 0.5:
            del wire[at]
        else:
            wire.insert(at, wire[at] ^ 1)
        return bytes(wire)

    def redirected(self, _destination: bytes, _chance: Random) -> bytes:
        """It was for somebody else."""
        return bytes(self._wire(ANOTHER_PORT))

    def old(self, destination: bytes, chance: Random) -> bytes:
        """It was recorded long ago, or is from the future."""
        return to_wire(self._sealed(destination, age_s=chance.choice([MAX_AGE_S + 60, 1e9, -60, -1e12])))

    def acknowledgement(self, destination: bytes, chance: Random) -> bytes:
        """Nobody has asked for it."""
        return to_wire(self._sealed(destination, kind=chance.choice([Kind.ACK, Kind.NAK])))

    def other_cookie(self, destination: bytes, chance: Random) -> bytes:
        """Sealed by a cluster next door."""
        return to_wire(Sealer(chance.randbytes(32)).seal(Kind.DATA, self._bomb, destination))

    def unsealed(self, destination: bytes, chance: Random) -> bytes:
        """Just the content, in our framing or in that of stock Thespian."""
        return chance.choice([self._bomb, to_wire(self._bomb), to_wire(self._bomb.partition(b" ")[2]), destination])

    def lying(self, destination: bytes, chance: Random) -> bytes:
        """The length is another one, or no length."""
        frame = self._sealed(destination)
        lengths = [
            "4194304",
            "4194305",
            "9999999",
            "99999999",
            "0",
            "-1",
            "+5",
            " 5",
            "1_0",
            "0x10",
            "1e3",
            "",
            "\u0663",
        ]
        length = chance.choice([*lengths, str(len(frame) - 1), str(len(frame) + 1), f"{len(frame):07}0", "1" * 5000])
        return length.encode() + chance.choice([b">", b"", b">>", b"\n"]) + frame

    def several(self, destination: bytes, chance: Random) -> bytes:
        """One behind the other."""
        return b"".join(chance.choice(self._single)(self, destination, chance) for _ in range(chance.randrange(2, 30)))

    def junk(self, _destination: bytes, chance: Random) -> bytes:
        """Anything."""
        others = [
            b"GET / HTTP/1.1\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01",
            b"\0" * 5000,
        ]
        return chance.choice([chance.randbytes(chance.randrange(400)), *others])

    _single = (flipped, truncated, shifted, redirected, old, acknowledgement, other_cookie, unsealed, lying, junk)


FORGERIES: dict[str, Callable[[Forger, bytes, Random], bytes]] = {
    each.__name__: each for each in (*Forger._single, Forger.several)
}


class Openings:
    """Connections to a port of this machine, of which so many stay open."""

    def __init__(self) -> None:
        self._count = 0
        self._stack = ExitStack()

    def _connect(self, port: int) -> socket.socket:
        connection = self._stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        self._count += 1
        return connection

    def send(self, port: int, streams: list[bytes], chance: Random) -> None:
        """Send each stream over a connection of its own, in pieces that take turns; leave all of them open."""
        if self._count + len(streams) > MOST_OPEN:
            self.close()
        waiting = [(self._connect(port), stream) for stream in streams]
        while waiting:
            connection, stream = waiting.pop(0)
            piece = chance.choice([1, 7, 100, len(stream)])
            try:
                connection.sendall(stream[:piece])
            except ConnectionError:
                # Thrown out in the middle of a sentence: just what should happen to it.
                continue
            if len(stream) > piece:
                waiting.append((connection, stream[piece:]))

    def close(self) -> None:
        """Close all."""
        self._stack.close()
        self._count = 0
