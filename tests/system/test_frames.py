"""Frames in a stream: any chunking gives the same frame, anything else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaestor_actors.system.frames import MAX_FRAME_BYTES, FrameBuffer, MalformedFrameError, to_wire


@given(frame=st.binary(min_size=1, max_size=500), extra=st.binary(max_size=50), cuts=st.lists(st.integers(1, 60)))
def test__any_chunking__gives_the_frame_and_what_follows(frame: bytes, extra: bytes, cuts: list[int]) -> None:
    stream = to_wire(frame) + extra
    buffer = FrameBuffer()
    for cut in cuts:
        buffer.addMore(stream[:cut])
        stream = stream[cut:]
    buffer.addMore(stream)
    assert buffer.completed() == (frame, extra)


@given(frame=st.binary(min_size=1, max_size=100), missing=st.integers(min_value=1, max_value=100))
def test__an_unfinished_frame__is_not_done(frame: bytes, missing: int) -> None:
    buffer = FrameBuffer()
    buffer.addMore(to_wire(frame)[: -min(missing, len(frame))])
    assert not buffer.isDone()
    assert buffer.completed() is None
    assert buffer.remainingAmount() > 0


@pytest.mark.parametrize(
    "junk",
    [
        b"-5>",
        b"+5>",
        b" 5>",
        b"5 >",
        b">",
        b"0>",
        b"00000001>",
        b"99999999",
        b"5_0>",
        b"\xff",
        b"GET / HTTP/1.1",
        b"x",
    ],
)
def test__what_is_no_length__is_refused(junk: bytes) -> None:
    with pytest.raises(MalformedFrameError):
        FrameBuffer().addMore(junk)


def test__a_length_over_the_limit__is_refused_before_its_content() -> None:
    with pytest.raises(MalformedFrameError):
        FrameBuffer().addMore(b"%d>" % (MAX_FRAME_BYTES + 1))


def test__a_message_over_the_limit__is_not_sent() -> None:
    with pytest.raises(MalformedFrameError, match="over the limit"):
        to_wire(bytes(MAX_FRAME_BYTES + 1))
