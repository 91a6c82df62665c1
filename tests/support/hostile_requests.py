"""gRPC requests that no honest client sends: garbage as messages, wrong methods, abused metadata, broken-off calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from random import Random
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from quaestor_actors.rpc import load_reporting_pb2, service_discovery_pb2

TIMEOUT_S = 10.0

KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


@dataclass(frozen=True)
class Method:
    """A method of a server, with messages that it takes."""

    path: str
    kind: str
    examples: tuple[bytes, ...]


def _of(path: str, kind: str, *examples: Message) -> Method:
    return Method(path, kind, tuple(each.SerializeToString() for each in examples))


def _discovery(name: str) -> Method:
    request = service_discovery_pb2.DiscoverServicesRequest
    examples = (
        request(service_name="Worker"),
        request(scope="x", service_name="\u65e5", max_count=1),
        request(max_count=-1, service_name="x" * 1025),
    )
    return _of(f"/Quaestor.ServiceDiscovery.ServiceDiscoveryGrpc/{name}", "unary_unary", *examples)


def _health(name: str, kind: str) -> Method:
    request = health_pb2.HealthCheckRequest
    return _of(f"/grpc.health.v1.Health/{name}", kind, request(), request(service="Worker"), request(service="nobody"))


def _load(name: str, kind: str) -> Method:
    request = load_reporting_pb2.LoadReportRequest
    examples = request(service_name="Worker"), request(scope="x", service_name="y" * 2000)
    return _of(f"/Quaestor.LoadReporting.LoadReportingGrpc/{name}", kind, *examples)


def _reflection() -> Method:
    request = reflection_pb2.ServerReflectionRequest
    extension = reflection_pb2.ExtensionRequest
    return _of(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "stream_stream",
        request(list_services=""),
        request(file_containing_symbol="grpc.health.v1.Health"),
        request(file_by_filename="../../etc/passwd"),
        request(all_extension_numbers_of_type="grpc.health.v1.HealthCheckRequest"),
        request(file_containing_extension=extension(containing_type="x", extension_number=-1)),
    )


OF_FRONTEND = (
    _discovery("DiscoverServices"),
    _discovery("DiscoverTopServices"),
    _health("Check", "unary_unary"),
    _health("Watch", "unary_stream"),
    _reflection(),
)
OF_WORKER = (
    _load("ReportLoad", "unary_unary"),
    _load("WatchLoad", "unary_stream"),
    _health("Check", "unary_unary"),
    _health("Watch", "unary_stream"),
    _reflection(),
)

PATHS = (
    "/",
    "/x",
    "nothing",
    "/grpc.health.v1.Health/",
    "/grpc.health.v1.Health/check",
    "//Check",
    "/a/b/c",
    "/\u65e5/x",
)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def mutated(method: Method, chance: Random) -> bytes:
    """Return what may once have been a request of this method."""
    good = chance.choice(method.examples)
    at = chance.randrange(len(good) + 1)
    field = chance.choice([1, 2, 3, 4, 15, 536870911])
    return chance.choice(
        [
            good,
            good[:at],
            good[:at] + chance.randbytes(chance.randrange(1, 9)) + good[at:],
            good[:at] + bytes(byte ^ 1 << chance.randrange(8) for byte in good[at : at + 1]) + good[at + 1 :],
            chance.randbytes(chance.randrange(60)),
            # Fields that it does not have, or has otherwise, once or very often.
            good + _varint(field << 3 | chance.randrange(8)) + chance.randbytes(chance.randrange(12)),
            good * chance.randrange(2, 200),
            # Text that is none, and that does not end.
            _varint(field << 3 | 2) + b"\x04\xff\xfe\xed\xa0",
            _varint(field << 3 | 2) + _varint(chance.choice([2**31 - 1, 2**32, 2**63])) + b"x",
            # Nested deeply, by groups and by messages of unknown fields.
            _varint(99 << 3 | 3) * chance.choice([10, 99, 101, 5000])
            + _varint(99 << 3 | 4) * chance.choice([0, 10, 5000]),
            b"\xff" * 11,
            # Over the frontend's limit and, gRPC's own, that of a worker.
            bytes(chance.choice([65_536, 65_537, 4_194_305])) if chance.random() < 0.2 else b"\0",
        ]
    )


def _metadata(chance: Random) -> Sequence[tuple[str, str | bytes]] | None:
    many = [(f"k{number}", "v" * chance.randrange(200)) for number in range(chance.randrange(120))]
    return chance.choice(
        [
            None,
            None,
            many,
            [("x-bin", chance.randbytes(chance.randrange(9000)))],
            [("x", "v" * chance.choice([1, 7000, 20_000]))],
            [("grpc-timeout", "1n"), ("grpc-encoding", "gzip"), ("te", "nothing"), ("content-type", "text/html")],
            [("authorization", "Basic " + "x" * 3000), ("host", "elsewhere")],
        ]
    )


def _raw(channel: grpc.Channel, path: str, kind: str) -> Any:
    make: Callable[..., Any] = getattr(channel, kind)
    return make(path, request_serializer=None, response_deserializer=None)


def send_one(channel: grpc.Channel, methods: Sequence[Method], chance: Random) -> tuple[grpc.StatusCode, str]:
    """Send a hostile request of some kind, and return what was answered."""
    method = chance.choice(methods)
    path = chance.choice(PATHS) if chance.random() < 0.1 else method.path
    # A client may take a method for one of another kind; but gRPC waits as long as it does for a first message.
    kind = chance.choice(KINDS) if chance.random() < 0.2 else method.kind
    if "Watch" in path and kind.endswith("unary"):
        # The client would wait for the end of what has none.
        kind = method.kind
    messages = [mutated(method, chance) for _ in range(chance.randrange(1, 4))]
    request = iter(messages) if kind.startswith("stream") else messages[0]
    call = _raw(channel, path, kind)
    try:
        if kind.endswith("unary"):
            _, done = call.with_call(request, timeout=TIMEOUT_S, metadata=_metadata(chance))
            return done.code(), ""
        stream = call(request, timeout=TIMEOUT_S, metadata=_metadata(chance))
        # Watches end never.
        list(islice(stream, 1 if "Watch" in path else None))
        stream.cancel()
    except grpc.RpcError as error:
        return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


def break_off(channel: grpc.Channel, methods: Sequence[Method], chance: Random) -> None:
    """Begin a few calls and leave them at once, or in the middle of what they stream for ever."""
    method = chance.choice(methods)
    call = _raw(channel, method.path, method.kind)
    for _ in range(chance.randrange(1, 10)):
        if method.kind == "unary_unary":
            call.future(mutated(method, chance), timeout=TIMEOUT_S).cancel()
        elif method.kind == "unary_stream":
            call(chance.choice(method.examples), timeout=TIMEOUT_S).cancel()
        else:
            stream = call(_endless(method, chance), timeout=TIMEOUT_S)
            read_on(stream, chance.choice([0, 1, 50]))
            stream.cancel()


def _endless(method: Method, chance: Random) -> Iterator[bytes]:
    return repeat(chance.choice(method.examples))


def read_on(stream: Any, count: int) -> None:
    """Read some of a stream."""
    for _ in islice(stream, count):
        pass
