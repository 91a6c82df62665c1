"""HTTP/2 as no library writes it: frames that lie, come in the wrong order, or end in the middle."""

from __future__ import annotations

from random import Random

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

END_STREAM, END_HEADERS = 0x1, 0x4


def frame(kind: int, payload: bytes, *, flags: int = 0, stream: int = 0, length: int | None = None) -> bytes:
    """Return a frame; its length may be a lie. Source: RFC 9113, section 4.1."""
    announced = len(payload) if length is None else length
    return announced.to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """Return a header field without compression. Source: RFC 7541, section 6.2.2."""
    return b"\0" + _size(len(name)) + name + _size(len(value)) + value


def _size(number: int) -> bytes:
    if number < 0x7F:
        return bytes([number])
    number -= 0x7F
    out = bytearray([0x7F])
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def message(content: bytes, *, length: int | None = None, compressed: int = 0) -> bytes:
    """Return a gRPC message as it stands in DATA frames; its length may be a lie."""
    return bytes([compressed]) + (len(content) if length is None else length).to_bytes(4) + content


def _headers(path: bytes, chance: Random) -> bytes:
    fields = {
        b":method": chance.choice([b"POST"] * 6 + [b"GET", b"", b"PO ST"]),
        b":scheme": chance.choice([b"http"] * 6 + [b"https", b"ftp"]),
        b":path": chance.choice([path] * 6 + [b"", b"*", b"/\xc3\xa4", b"/" + b"x" * 9000]),
        b":authority": b"localhost",
        b"te": chance.choice([b"trailers"] * 6 + [b"gzip"]),
        b"content-type": chance.choice([b"application/grpc"] * 6 + [b"text/html", b"application/grpc+json", b""]),
    }
    for name in list(fields):
        if chance.random() < 0.04:
            del fields[name]
    extra = {
        b"grpc-timeout": chance.choice([b"1S", b"-1S", b"99999999999999S", b"0n", b"x"]),
        b"grpc-encoding": chance.choice([b"gzip", b"identity", b"nothing"]),
        b"X-Upper": b"x",
        b"x-\xff": b"\0\r\n",
        b"connection": b"close",
        b":status": b"200",
        b"x-bin": b"=!not base64!",
        b"x-long": b"v" * chance.choice([1, 9000, 70_000]),
    }
    chosen = [*fields.items(), *chance.sample(list(extra.items()), chance.randrange(3))]
    if chance.random() < 0.1:
        chance.shuffle(chosen)
    return b"".join(literal(name, value) for name, value in chosen)


def request_to(path: bytes) -> bytes:
    """Return all that a client sends for one request, of any path."""
    fields = {b":method": b"POST", b":scheme": b"http", b":path": path, b":authority": b"localhost", b"te": b"trailers"}
    block = b"".join(literal(*field) for field in [*fields.items(), (b"content-type", b"application/grpc")])
    return (
        PREFACE
        + frame(SETTINGS, b"")
        + frame(HEADERS, block, flags=END_HEADERS, stream=1)
        + frame(DATA, message(b""), flags=END_STREAM, stream=1)
    )


def _frame(path: bytes, chance: Random) -> bytes:
    stream = chance.choice([1, 1, 1, 3, 5, 2, 0, 2**31 - 1, 2**31 + 1])
    request = message(
        chance.choice([b"\x12\x06Worker", b"", chance.randbytes(30)]),
        length=chance.choice([None, None, None, 0, 5000, 2**32 - 1]),
        compressed=chance.choice([0, 0, 0, 1, 2, 255]),
    )
    flags = chance.choice([END_STREAM, END_STREAM | END_HEADERS, END_HEADERS, 0, 0x8, 0x20, 0xFF])
    length = chance.choice([None] * 12 + [0, 1, 16_385, 2**24 - 1])
    block = _headers(path, chance)
    kinds: dict[int, bytes] = {
        DATA: request,
        HEADERS: chance.choice([block, block, block[:-3], chance.randbytes(40), b"\xff" * 20]),
        PRIORITY: chance.randbytes(5),
        RST_STREAM: chance.randbytes(4),
        SETTINGS: chance.randbytes(chance.choice([0, 6, 12, 7, 6000])),
        PUSH_PROMISE: chance.randbytes(20),
        PING: chance.randbytes(chance.choice([8, 8, 7])),
        GOAWAY: chance.randbytes(chance.choice([8, 30, 3])),
        WINDOW_UPDATE: chance.choice([b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\0"]),
        CONTINUATION: block,
        chance.randrange(10, 256): chance.randbytes(30),
    }
    kind = chance.choice([*kinds, HEADERS, HEADERS, HEADERS, DATA, DATA])
    return frame(kind, kinds[kind], flags=flags, stream=stream, length=length)


def conversation(path: bytes, chance: Random) -> bytes:
    """Return what one connection sends to a server that has this method.

    No path in it is other than UTF-8: that ends an asyncio server of gRPC, and has tests of its own.
    """
    request = frame(HEADERS, _headers(path, chance), flags=END_HEADERS, stream=1) + frame(
        DATA, message(b"\x12\x06Worker"), flags=END_STREAM, stream=1
    )
    frames = b"".join(_frame(path, chance) for _ in range(chance.randrange(12)))
    whole = PREFACE + frame(SETTINGS, b"") + chance.choice([request, request, b""]) + frames
    # Streams that are opened and reset at once cost a server more than their client.
    if chance.random() < 0.05:
        whole += b"".join(
            frame(HEADERS, _headers(path, chance), flags=END_HEADERS, stream=number)
            + frame(RST_STREAM, b"\0\0\0\x08", stream=number)
            for number in range(101, 301, 2)
        )
    return chance.choice(
        [whole, whole, whole, whole[: chance.randrange(len(whole))], whole[len(PREFACE) :], _junk(chance)]
    )


def _junk(chance: Random) -> bytes:
    return chance.choice(
        [
            chance.randbytes(chance.randrange(400)),
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + chance.randbytes(40),
            PREFACE * 50,
            b"",
        ]
    )
