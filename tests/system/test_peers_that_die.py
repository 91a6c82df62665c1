"""Whoever sends to a process that dies, or hangs, at the worst moment is not held up by it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psutil
import pytest
from support.tiny_actors import AskPids, Echo, Pids
from support.tiny_system import TinySystem
from thespian.system import systemBase

from quaestor_actors.system import retrying
from quaestor_actors.system.connection import Connection
from quaestor_actors.system.transport import SealedTCPTransport

LONG = timedelta(seconds=30)
"""Less than the 35 s after which Thespian by itself looks again; the next attempt is due after 0.25 s."""
CONNECTED = SealedTCPTransport._XMITStepSendData

LISTENER = """
import signal, socket
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
signal.pause()
"""


class Peer:
    """A process that listens, and takes nothing."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-c", LISTENER], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.address = Connection.address_of(f"127.0.0.1:{int(self._process.stdout.readline())}")

    def die(self) -> None:
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.kill()
        self._process.wait()


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.die()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no sender go on before it knows what became of its message."""
    monkeypatch.setattr(systemBase, "MAX_TELL_PERIOD", LONG)


def comes_to_know(connection: Connection, peer: Peer) -> bool:
    """Send a message; return whether the sender knows what became of it."""
    give_up_at = time.monotonic() + LONG.total_seconds()
    connection.send(peer.address, "nobody gets this")
    return time.monotonic() < give_up_at


def die_when_connected(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a peer die when a connection to it stands, and nothing was sent on it."""
    proceed = SealedTCPTransport._nextTransmitStep

    def step(self: SealedTCPTransport, intent: Any) -> Any:
        if intent.stage == CONNECTED:
            peer.die()
        return proceed(self, intent)

    monkeypatch.setattr(SealedTCPTransport, "_nextTransmitStep", step)


@pytest.mark.usefixtures("patience")
def test__peer_dies_between_connection_and_message__sender_does_not_wait_for_it(
    peer: Peer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_when_connected(peer, monkeypatch)
    assert comes_to_know(connection, peer)


@pytest.mark.usefixtures("patience")
def test__sender_stands_still_while_a_retry_becomes_due__makes_it_all_the_same(
    peer: Peer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_when_connected(peer, monkeypatch)
    look = SealedTCPTransport._processIntentTimeouts
    stood_still: list[bool] = []

    def look_and_stand_still(self: SealedTCPTransport) -> None:
        look(self)
        if self._waitingTransmits and not stood_still:
            stood_still.append(True)
            # What is injected here is the passage of time.
            time.sleep(retrying.RETRY_PERIOD.total_seconds())

    monkeypatch.setattr(SealedTCPTransport, "_processIntentTimeouts", look_and_stand_still)
    assert comes_to_know(connection, peer)
    assert stood_still


@pytest.mark.usefixtures("patience")
def test__peer_dies_before_it_acknowledges__sender_does_not_wait_for_it(
    peer: Peer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    proceed = SealedTCPTransport._next_XMIT_3

    def step(self: SealedTCPTransport, intent: Any) -> Any:
        peer.die()
        return proceed(self, intent)

    monkeypatch.setattr(SealedTCPTransport, "_next_XMIT_3", step)
    assert comes_to_know(connection, peer)


def test__peer_closes_one_connection__message_arrives_by_the_next(
    tiny_system: TinySystem, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    proceed = SealedTCPTransport._next_XMIT_2
    cut: list[bool] = []

    def step(self: SealedTCPTransport, intent: Any) -> Any:
        if not cut:
            cut.append(True)
            intent.socket.shutdown(socket.SHUT_RDWR)
            intent.stage = self._XMITStepRetry
            return self._nextTransmitStep(intent)
        return proceed(self, intent)

    monkeypatch.setattr(SealedTCPTransport, "_next_XMIT_2", step)
    address = connection.address_of(tiny_system.parent_address)
    connection.send(address, Echo("again"))
    assert cut
    assert connection.receive(10) == Echo("again")


def test__actor_hangs__sender_goes_on_and_the_message_arrives_later(
    tiny_system: TinySystem, connection: Connection
) -> None:
    address = connection.address_of(tiny_system.parent_address)
    pids = connection.ask(address, AskPids(), timeout_s=10, match=lambda message: isinstance(message, Pids))
    os.kill(pids.own, signal.SIGSTOP)
    try:
        give_up_at = time.monotonic() + LONG.total_seconds()
        connection.send(address, Echo("late"))
        assert time.monotonic() < give_up_at
        assert psutil.Process(pids.own).status() == psutil.STATUS_STOPPED
    finally:
        os.kill(pids.own, signal.SIGCONT)
    assert connection.receive(10) == Echo("late")
