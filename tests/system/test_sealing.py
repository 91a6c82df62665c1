"""Sealed frames: only genuine, fresh, rightly addressed ones open, and each counts once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaestor_actors.system import sealing
from quaestor_actors.system.sealing import Kind, RejectedFrameError, Sealer

COOKIE = bytes(range(32))
ME = b"127.0.0.1:1900"


class Clock:
    """Wall-clock time that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def pair(clock: Clock) -> tuple[Sealer, Sealer]:
    return Sealer(COOKIE, clock), Sealer(COOKIE, clock)


@given(payload=st.binary(max_size=2000), kind=st.sampled_from(Kind))
def test__sealed_frame__opens_at_its_destination(payload: bytes, kind: Kind) -> None:
    sender, receiver = pair(Clock())
    opened = receiver.open(sender.seal(kind, payload, ME), ME)
    assert (opened.kind, opened.payload, opened.is_repeated) == (kind, payload, False)


@given(data=st.data())
def test__any_altered_bit__is_rejected(data: st.DataObject) -> None:
    sender, receiver = pair(Clock())
    frame = bytearray(sender.seal(Kind.DATA, b"payload", ME))
    position = data.draw(st.integers(min_value=0, max_value=len(frame) * 8 - 1))
    frame[position // 8] ^= 1 << position % 8
    with pytest.raises(RejectedFrameError):
        receiver.open(bytes(frame), ME)


@given(junk=st.binary(max_size=200))
def test__junk__is_rejected(junk: bytes) -> None:
    with pytest.raises(RejectedFrameError):
        Sealer(COOKIE, Clock()).open(junk, ME)


def test__another_cookie__is_rejected() -> None:
    clock = Clock()
    frame = Sealer(bytes(32), clock).seal(Kind.DATA, b"", ME)
    with pytest.raises(RejectedFrameError):
        Sealer(COOKIE, clock).open(frame, ME)


def test__another_destination__is_rejected() -> None:
    sender, receiver = pair(Clock())
    with pytest.raises(RejectedFrameError):
        receiver.open(sender.seal(Kind.DATA, b"", b"127.0.0.1:1901"), ME)


def test__the_same_frame_again__is_told_apart() -> None:
    sender, receiver = pair(Clock())
    frame = sender.seal(Kind.DATA, b"once", ME)
    assert not receiver.open(frame, ME).is_repeated
    assert receiver.open(frame, ME).is_repeated


def test__frames_out_of_order__each_counts_once() -> None:
    sender, receiver = pair(Clock())
    frames = [sender.seal(Kind.DATA, b"", ME) for _ in range(100)]
    for frame in reversed(frames):
        assert not receiver.open(frame, ME).is_repeated
    for frame in frames:
        assert receiver.open(frame, ME).is_repeated


def test__a_frame_behind_the_window__counts_as_seen() -> None:
    sender, receiver = pair(Clock())
    first = sender.seal(Kind.DATA, b"", ME)
    for _ in range(sealing.WINDOW):
        latest = sender.seal(Kind.DATA, b"", ME)
    receiver.open(latest, ME)
    assert receiver.open(first, ME).is_repeated


def test__an_old_frame__is_rejected() -> None:
    clock = Clock()
    sender, receiver = pair(clock)
    frame = sender.seal(Kind.DATA, b"", ME)
    clock.now += sealing.MAX_AGE_S + 1
    with pytest.raises(RejectedFrameError):
        receiver.open(frame, ME)


def test__a_frame_from_before_the_receiver_started__is_rejected() -> None:
    clock = Clock()
    frame = Sealer(COOKIE, clock).seal(Kind.DATA, b"", ME)
    clock.now += sealing.CLOCK_SKEW_S + 1
    successor = Sealer(COOKIE, clock)
    with pytest.raises(RejectedFrameError):
        successor.open(frame, ME)


def test__a_frame_from_the_future__is_rejected() -> None:
    clock = Clock()
    sender, receiver = pair(clock)
    clock.now += 60
    frame = sender.seal(Kind.DATA, b"", ME)
    clock.now -= 60
    with pytest.raises(RejectedFrameError):
        receiver.open(frame, ME)


def test__many_senders__are_forgotten_in_time_and_number() -> None:
    clock = Clock()
    receiver = Sealer(COOKIE, clock)
    for _ in range(sealing.MAX_SENDERS + 10):
        receiver.open(Sealer(COOKIE, clock).seal(Kind.DATA, b"", ME), ME)
    assert len(receiver._seen) <= sealing.MAX_SENDERS
    clock.now += sealing.MAX_AGE_S + 2
    receiver.open(Sealer(COOKIE, clock).seal(Kind.DATA, b"", ME), ME)
    assert len(receiver._seen) == 1
