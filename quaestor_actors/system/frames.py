"""How sealed frames stand in a TCP stream: decimal length, `>`, that many bytes; anything else is refused at once."""

from __future__ import annotations

MAX_FRAME_BYTES = 4 * 1024 * 1024
MAX_LENGTH_DIGITS = 7
_MARK = ord(">")


class MalformedFrameError(Exception):
    """The stream does not hold frames; its connection is of no use any more."""


def to_wire(frame: bytes) -> bytes:
    """Return a frame with its length in front.

    Raises:
        MalformedFrameError: it is longer than any receiver accepts.
    """
    if len(frame) > MAX_FRAME_BYTES:
        raise MalformedFrameError(f"a message of {len(frame)} bytes is over the limit of {MAX_FRAME_BYTES}")
    return b"%d>%b" % (len(frame), frame)


def from_wire(wire: bytes) -> bytes:
    """Return the frame of a whole `to_wire` result."""
    return wire[wire.index(b">") + 1 :]


class FrameBuffer:
    """Collects one frame from a stream, in the interface of Thespian's ReceiveBuffer; it never deserialises."""

    def __init__(self, _deserialize: object = None) -> None:
        """Begin empty. The argument is what Thespian passes to its own class."""
        self._header = bytearray()
        self._body = bytearray()
        self._size: int | None = None
        self._extra = b""

    def addMore(self, data: bytes) -> None:  # noqa: N802 - Thespian's name
        """Take in the next bytes of the stream.

        Raises:
            MalformedFrameError: they cannot be part of a frame.
        """
        if self._size is None:
            data = self._take_header(data)
        if self._size is None:
            return
        missing = self._size - len(self._body)
        self._body += data[:missing]
        self._extra += data[missing:]

    def _take_header(self, data: bytes) -> bytes:
        for position, byte in enumerate(data):
            if byte == _MARK:
                self._finish_header()
                return data[position + 1 :]
            if not 0x30 <= byte <= 0x39 or len(self._header) >= MAX_LENGTH_DIGITS:  # noqa: PLR2004 - '0' to '9'
                raise MalformedFrameError("no length where one must stand")
            self._header.append(byte)
        return b""

    def _finish_header(self) -> None:
        size = int(self._header) if self._header else 0
        if not 0 < size <= MAX_FRAME_BYTES:
            raise MalformedFrameError("a length out of bounds")
        self._size = size

    def is_empty(self) -> bool:
        """Return whether nothing came yet."""
        return not self._header

    def remainingAmount(self) -> int:  # noqa: N802 - Thespian's name
        """Return how many bytes to read next at most."""
        return MAX_LENGTH_DIGITS + 1 if self._size is None else self._size - len(self._body)

    def isDone(self) -> bool:  # noqa: N802 - Thespian's name
        """Return whether the frame is whole."""
        return self._size is not None and len(self._body) == self._size

    def removeExtra(self) -> None:  # noqa: N802 - Thespian's name
        """Forget what came behind the frame."""
        self._extra = b""

    def completed(self) -> tuple[bytes, bytes] | None:
        """Return the sealed frame and what came behind it; None while it is not whole."""
        return (bytes(self._body), self._extra) if self.isDone() else None
