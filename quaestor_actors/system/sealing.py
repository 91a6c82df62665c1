"""Sealed frames: AES-GCM with a key from the cluster's cookie, so that no foreign byte is ever unpickled.

A sealed frame is a version byte, a 12-byte random nonce, and the ciphertext with its tag. Inside are the kind, the
sender, the sender's counter, the time, and the payload. The destination is authenticated with it: a frame recorded on
its way to one actor is worthless at another. Each receiver accepts each frame once, and none that is old.
"""

from __future__ import annotations

import os
import struct
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION = b"\x02"
NONCE_BYTES = 12
TAG_BYTES = 16
SENDER_BYTES = 16
_HEAD = struct.Struct(f">B{SENDER_BYTES}sQd")
OVERHEAD_BYTES = len(VERSION) + NONCE_BYTES + _HEAD.size + TAG_BYTES

MAX_AGE_S = 330.0
"""Thespian sends the same bytes again for up to five minutes; older frames are refused."""

CLOCK_SKEW_S = 1.0
"""How far a sender's clock may be ahead, and how far before a receiver's start a frame may have been sealed."""

WINDOW = 4096
"""How many of a sender's latest frames are told apart; a frame further back counts as seen."""

MAX_SENDERS = 4096
"""How many senders a receiver remembers; the one that was silent longest is forgotten, and what it sent before."""


class Kind(IntEnum):
    """What a frame carries."""

    DATA = 1
    ACK = 2
    """The payload is the tag of the frame that was accepted."""
    NAK = 3
    """The payload is the tag of a frame that was genuine and could not be unpickled."""


_KINDS = frozenset(Kind)


@dataclass(frozen=True, slots=True)
class Opened:
    """A genuine frame's content."""

    kind: Kind
    payload: bytes
    tag: bytes
    """Names the frame in an acknowledgement."""
    is_repeated: bool
    """True if this receiver accepted it before: the acknowledgement was lost, the content must not count twice."""


class RejectedFrameError(Exception):
    """The frame is not genuine, not for this receiver, or too old; says which, never the content."""


class _Seen:
    """Which counters of one sender were accepted: the highest, and a bit for each of the last WINDOW."""

    __slots__ = ("bits", "highest", "last_heard")

    def __init__(self, now: float) -> None:
        self.highest = 0
        self.bits = 0
        self.last_heard = now

    def note(self, counter: int) -> bool:
        """Take note of a counter; return whether it is new."""
        if counter > self.highest:
            # A sender counts what it seals for anybody: to a new receiver it may come with a number in the millions.
            ahead = min(counter - self.highest, WINDOW)
            self.bits = ((self.bits << ahead) | 1) & ((1 << WINDOW) - 1)
            self.highest = counter
            return True
        bit = 1 << (self.highest - counter)
        if bit >> WINDOW or self.bits & bit:
            return False
        self.bits |= bit
        return True


class Sealer:
    """Seals what one endpoint sends, and opens what it receives. Make one in each process, after the fork."""

    def __init__(
        self, cookie: bytes, clock: Callable[[], float] = time.time, *, clock_skew_s: float = CLOCK_SKEW_S
    ) -> None:
        """Derive the key; the clock gives seconds since the epoch, because senders on other machines must agree."""
        key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"quaestor-actors frame key 1").derive(cookie)
        self._cipher = AESGCM(key)
        self._clock = clock
        self._skew_s = clock_skew_s
        self._started = clock()
        self._sender = os.urandom(SENDER_BYTES)
        self._counter = 0
        self._seen: OrderedDict[bytes, _Seen] = OrderedDict()

    def seal(self, kind: Kind, payload: bytes, destination: bytes) -> bytes:
        """Return a frame that only the destination will accept, once."""
        self._counter += 1
        head = _HEAD.pack(kind, self._sender, self._counter, self._clock())
        nonce = os.urandom(NONCE_BYTES)
        return b"".join((VERSION, nonce, self._cipher.encrypt(nonce, head + payload, destination)))

    def open(self, frame: bytes, me: bytes) -> Opened:
        """Return the content of a genuine frame that was sealed for `me`.

        Raises:
            RejectedFrameError: it was not, or it is too old.
        """
        if len(frame) < OVERHEAD_BYTES or frame[:1] != VERSION:
            raise RejectedFrameError("not a frame of this version")
        nonce = frame[1 : 1 + NONCE_BYTES]
        try:
            plain = self._cipher.decrypt(nonce, frame[1 + NONCE_BYTES :], me)
        except InvalidTag as error:
            raise RejectedFrameError("another cookie, another destination, or altered") from error
        kind, sender, counter, sealed_at = _HEAD.unpack_from(plain)
        if kind not in _KINDS:
            raise RejectedFrameError("of a kind that is not known here")
        now = self._clock()
        oldest = max(now - MAX_AGE_S, self._started - self._skew_s)
        if not oldest <= sealed_at <= now + self._skew_s:
            raise RejectedFrameError("sealed too long ago, before this endpoint started, or in the future")
        return Opened(
            kind=Kind(kind),
            payload=plain[_HEAD.size :],
            tag=frame[-TAG_BYTES:],
            is_repeated=not self._note(sender, counter, now),
        )

    def _note(self, sender: bytes, counter: int, now: float) -> bool:
        seen = self._seen.get(sender)
        if seen is None:
            self._forget_silent(now)
            seen = self._seen[sender] = _Seen(now)
        seen.last_heard = now
        self._seen.move_to_end(sender)
        return seen.note(counter)

    def _forget_silent(self, now: float) -> None:
        """Forget senders whose every frame is too old by now, and the most silent one if there are too many."""
        while self._seen:
            oldest = next(iter(self._seen.values()))
            if len(self._seen) < MAX_SENDERS and oldest.last_heard > now - MAX_AGE_S - self._skew_s:
                return
            self._seen.popitem(last=False)
