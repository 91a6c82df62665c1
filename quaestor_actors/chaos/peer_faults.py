"""Strangers on every port of the cluster: some talk nonsense, some hardly at all."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Iterator

import psutil

from quaestor_actors.chaos.fault import Injury
from quaestor_actors.chaos.plan import Action
from quaestor_actors.chaos.world import World

_PATIENCE_S = 1.0
_STREAMS_PER_SECOND = 100
"""To all ports together: what is tested is what they do to the cluster, not how much processor time they take."""
_STREAMS_BETWEEN_LOOKS = 30
_SILENT_PER_PORT = 20
_SILENT_ON_ONE = 100
"""More than an actor's port keeps open before it throws out the oldest."""
_BYTE_EVERY_S = 1.0
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def talk_nonsense(world: World, action: Action) -> Injury:
    """Send garbage to every port."""
    found = listening(world)
    over = threading.Event()
    talking = threading.Thread(target=_talk, args=(world, action, over))
    talking.start()

    def stop() -> None:
        over.set()
        talking.join()

    return Injury(what=f"garbage on {len(found)} ports for {action.lasts_s:g} s", lasts_s=action.lasts_s, mend=stop)


def hardly_talk(world: World, action: Action) -> Injury:
    """Open connections to every port; half of them say nothing, the others one byte a second."""
    found = listening(world)
    chance = random.Random(action.seed)  # noqa: S311 - to be repeated
    favourite = chance.choice(found) if found else None
    counts = {port: _SILENT_ON_ONE if port == favourite else _SILENT_PER_PORT for port in found}
    connections = [each for port, count in counts.items() for _ in range(count) if (each := _connect(port))]
    over = threading.Event()
    talking = threading.Thread(target=_dribble, args=(connections, chance, over))
    talking.start()

    def stop() -> None:
        over.set()
        talking.join()
        for each in connections:
            each.close()

    what = f"{len(connections)} slow connections to {len(found)} ports for {action.lasts_s:g} s"
    return Injury(what=what, lasts_s=action.lasts_s, mend=stop)


def listening(world: World) -> list[int]:
    """Return every port on which a process of the cluster listens."""
    pids = {each.pid for each in world.look().processes}
    connections = psutil.net_connections("tcp")
    ours = (each for each in connections if each.status == psutil.CONN_LISTEN and each.pid in pids)
    return sorted({each.laddr.port for each in ours if each.laddr})


def _talk(world: World, action: Action, over: threading.Event) -> None:
    chance = random.Random(action.seed)  # noqa: S311 - to be repeated
    until = time.monotonic() + action.lasts_s
    streams = _nonsense(chance)
    while time.monotonic() < until:
        # A port that was given back may soon be somebody else's.
        ports = listening(world)
        for _ in range(_STREAMS_BETWEEN_LOOKS):
            if ports and (connection := _connect(chance.choice(ports))) is not None:
                # Thrown out in the middle of a sentence: just what should happen.
                with connection, contextlib.suppress(OSError):
                    connection.sendall(next(streams))
            if over.wait(1 / _STREAMS_PER_SECOND):
                return


def _nonsense(chance: random.Random) -> Iterator[bytes]:
    while True:
        some = chance.randbytes(chance.randrange(1, 2000))
        yield some
        # An actor's frame: too long, far too long, negative, and one that never ends.
        yield b"9999999>" + some
        yield b"99999999999>" + some
        yield b"-5>" + some
        yield b"4000000>" + some
        yield b"%d>%b" % (len(some), some)
        yield _HTTP2 + some
        # An HTTP/2 frame of the largest length, and one of settings with nonsense in them.
        yield _HTTP2 + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + some
        yield _HTTP2 + b"\x00\x00\x06\x04\x00\x00\x00\x00\x00" + chance.randbytes(6) + some
        yield b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n" + some


def _dribble(connections: list[socket.socket], chance: random.Random, over: threading.Event) -> None:
    talkative = connections[::2]
    while not over.wait(_BYTE_EVERY_S):
        for each in talkative:
            with contextlib.suppress(OSError):
                each.send(chance.choice((b"1", b"P", b"\x00")))


def _connect(port: int) -> socket.socket | None:
    try:
        return socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S)
    except OSError:
        # Whoever listened there has gone, or is hung.
        return None
