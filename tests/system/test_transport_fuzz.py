"""Whatever comes to an actor's port: nothing is unpickled that was not sealed for it, and the system goes on."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.mutated_frames import FORGERIES, Forger, Openings
from support.profiles import examples
from support.tiny_actors import AskCounts, AskPids, Count, Counts, Echo, Pids
from support.tiny_system import COOKIE, TinySystem
from support.waiting import wait_until

from quaestor_actors.system.connection import Connection
from quaestor_actors.system.frames import to_wire
from quaestor_actors.system.sealing import Kind, Opened, RejectedFrameError, Sealer
from quaestor_actors.system.transport import SealedTCPTransport

GONE = b"127.0.0.1:9"

SEEDS = st.integers(0, 2**32 - 1)
FORGED = st.lists(st.tuples(st.sampled_from(sorted(FORGERIES)), SEEDS), min_size=1, max_size=4)


class Target:
    """The tiny system under attack."""

    def __init__(self, system: TinySystem, connection: Connection) -> None:
        self._connection = connection
        self._parent = connection.address_of(system.parent_address)
        self.pids = self._ask_pids()
        admin = psutil.Process(system.admin_pid)
        self.processes = [admin, *admin.children(recursive=True)]
        self.ports = sorted(
            {
                listening.laddr.port
                for process in self.processes
                for listening in process.net_connections("inet")
                if listening.status == psutil.CONN_LISTEN
            }
        )

    def _ask_pids(self) -> Any:
        return self._connection.ask(self._parent, AskPids(), timeout_s=10, match=lambda m: isinstance(m, Pids))

    def check_alive(self) -> None:
        """Assert that the same actors answer as at the beginning."""
        assert self._ask_pids() == self.pids

    def counts(self) -> list[int]:
        """Return which numbers the actor has got so far."""
        answer = self._connection.ask(self._parent, AskCounts(), timeout_s=10, match=lambda m: isinstance(m, Counts))
        assert answer is not None
        return list(answer.numbers)

    def sealed(self, sealer: Sealer, message: object) -> bytes:
        """Return a genuine message to the actor as it goes on the wire, from somebody who is not there any more."""
        content = pickle.dumps((self._connection.address_of(GONE.decode()), message))
        return to_wire(sealer.seal(Kind.DATA, GONE + b" " + content, self.name))

    @property
    def port(self) -> int:
        """That of the actor."""
        return int(self._parent.addressDetails.sockname[1])

    @property
    def name(self) -> bytes:
        return f"127.0.0.1:{self.port}".encode()

    def descriptors(self) -> list[int]:
        """Return how many descriptors each process has open."""
        return [process.num_fds() for process in self.processes]

    def memory(self) -> int:
        """Return how much memory all processes take."""
        return sum(process.memory_info().rss for process in self.processes)


@pytest.fixture
def target(tiny_system: TinySystem, connection: Connection) -> Target:
    return Target(tiny_system, connection)


@pytest.fixture
def openings() -> Iterator[Openings]:
    with closing(Openings()) as openings:
        yield openings


@pytest.mark.timeout(examples(300))
def test__any_forgeries_on_any_port__leave_nothing_and_disturb_nobody(
    target: Target, openings: Openings, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    forger = Forger(cookie=COOKIE, canary=canary)
    target.check_alive()
    descriptors, memory = target.descriptors(), target.memory()
    assert len(target.ports) == 4

    @settings(max_examples=examples(300))
    @given(st.sampled_from(target.ports), FORGED, SEEDS)
    def check(port: int, forged: list[tuple[str, int]], seed: int) -> None:
        destination = f"127.0.0.1:{port}".encode()
        streams = [FORGERIES[name](forger, destination, Random(each)) for name, each in forged]
        openings.send(port, streams, Random(seed))
        target.check_alive()
        assert not canary.exists()

    check()
    openings.close()
    target.check_alive()
    wait_until(lambda: sum(target.descriptors()) <= sum(descriptors) + 4, 10, "descriptors to be given back")
    # Four megabytes are announced by some, and must not be kept for any.
    assert target.memory() - memory < 40_000_000
    assert not canary.exists()


@pytest.mark.timeout(examples(300))
def test__genuine_frames_many_times__count_once_each(target: Target) -> None:
    sealer = Sealer(COOKIE)
    numbers = count()

    @settings(max_examples=examples(20))
    @given(st.lists(st.integers(0, 4), min_size=5, max_size=20))
    def check(order: list[int]) -> None:
        before = len(target.counts())
        messages = [Count(next(numbers)) for _ in range(5)]
        frames = [target.sealed(sealer, message) for message in messages]
        with socket.create_connection(("127.0.0.1", target.port), timeout=5) as peer:
            for at in order:
                peer.sendall(frames[at])
                # Each is answered, also one that does not count any more.
                assert Sealer(COOKIE).open(peer.recv(4096).partition(b">")[2], GONE).kind is Kind.ACK
        assert target.counts()[before:] == [messages[at].number for at in dict.fromkeys(order)]

    check()


def test__many_half_open_connections__do_not_keep_others_out(target: Target) -> None:
    peers = []
    try:
        for number in range(400):
            peers.append(socket.create_connection(("127.0.0.1", target.port), timeout=5))
            if number % 2:
                peers[-1].sendall(b"4000000>" if number % 4 == 1 else b"1")
            if number % 40 == 0:
                assert target.counts() == []
    finally:
        for peer in peers:
            peer.close()
    target.check_alive()


@pytest.mark.parametrize(
    "content",
    [
        b"junk",
        b"",
        pickle.dumps(5),
        pickle.dumps((5, 6)),
        # A class that there is not, as when the sender runs a newer version.
        pickle.dumps((Echo("x"), 1)).replace(b"Echo", b"Etho"),
    ],
    ids=["junk", "nothing", "no pair", "no sender", "unknown class"],
)
def test__genuine_message_that_is_not_known__is_refused_and_the_actor_lives(target: Target, content: bytes) -> None:
    with socket.socket() as me, socket.create_connection(("127.0.0.1", target.port), timeout=5) as peer:
        me.bind(("127.0.0.1", 0))
        name = f"127.0.0.1:{me.getsockname()[1]}".encode()
        peer.sendall(to_wire(Sealer(COOKIE).seal(Kind.DATA, name + b" " + content, target.name)))
        # An honest sender learns of it at once, and does not try again for minutes.
        answer = peer.recv(4096)
    assert Sealer(COOKIE).open(answer.partition(b">")[2], name).kind is Kind.NAK
    target.check_alive()


class Strange:
    """A message whose class no actor can import."""

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (Echo, "nothing of that name")


def test__message_that_is_not_known__is_sent_in_vain_and_at_once(target: Target, connection: Connection) -> None:
    address = connection.address_of(target.name.decode())
    assert connection.ask(address, Strange(), timeout_s=0.1, match=lambda _: True) is None
    target.check_alive()


def test__frame_of_a_kind_that_is_not_known__is_rejected() -> None:
    sealer = Sealer(COOKIE)
    frame = sealer.seal(9, b"", b"me")  # type: ignore[arg-type] # as from another version
    with pytest.raises(RejectedFrameError):
        Sealer(COOKIE).open(frame, b"me")


def test__first_frame_of_a_sender_that_has_sent_very_many__takes_no_memory_for_them() -> None:
    sender, receiver = Sealer(COOKIE), Sealer(COOKIE)
    sender._counter = 2**50
    frames = [sender.seal(Kind.DATA, b"", b"me") for _ in range(3)]
    assert [receiver.open(frame, b"me").is_repeated for frame in (frames[2], frames[0], frames[2])] == [
        False,
        False,
        True,
    ]


def fill(connection: socket.socket) -> None:
    while True:
        connection.send(bytes(65536))


def test__sender_that_never_reads_its_acknowledgements__does_not_end_the_receiver() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0)
        with pytest.raises(BlockingIOError):
            fill(ours)
        opened = Opened(Kind.DATA, b"", b"tag", is_repeated=False)
        endpoint: Any = SimpleNamespace(_sealer=Sealer(COOKIE))
        SealedTCPTransport._answer(endpoint, ours, Kind.ACK, opened, b"127.0.0.1:9")
