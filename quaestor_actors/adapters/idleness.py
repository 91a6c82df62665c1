"""Tells when a server has no request running, by asking for its load again and again.

It is asked of a server that is to be stopped and gets no new requests. So what cannot be known must not hold up the
stop: a service that does not report its load counts as idle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

import grpc

from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.health_link import brief
from quaestor_actors.errors import OperationError
from quaestor_actors.rpc import load_reporting_pb2, load_reporting_pb2_grpc

ANSWER_S = 1.0
"""Deadline of one question."""

EAGER_S = 2.0
EAGER_PAUSE_S = 0.1
PATIENT_PAUSE_S = 0.5
"""Between two rounds of questions: eager for the first while, patient from then on."""

ROUNDS_PER_S = 500
"""All servers together are asked at most this often; with more of them the pauses grow."""

_CHANNEL_OPTIONS = (
    # A new connection: a shared one would share its reconnect back-off, too.
    ("grpc.use_local_subchannel_pool", 1),
    # We decide ourselves when to ask again.
    ("grpc.enable_retries", 0),
    # Members are neighbours; a proxy of the environment is for other traffic.
    ("grpc.enable_http_proxy", 0),
    # Load reports are tiny, whatever a faulty peer sends.
    ("grpc.max_receive_message_length", 65_536),
)

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleTarget:
    """The server that is asked."""

    address: str
    """`host:port`."""
    service_names: tuple[str, ...] = ()
    """All must be idle; with none there is nothing to ask, and the server counts as idle at once."""
    scope: str = ""
    """Goes with every question."""
    credentials: Callable[[], grpc.ChannelCredentials] | None = None
    """None means plain text."""


class IdlenessWatch(Generic[Key]):
    """Asks any number of servers, and says of each once that it is idle.

    All methods belong on the loop (`LoopThread.post`). `on_idle` is called there, never before `add` has returned,
    with the key and a line for people; then the key is forgotten. It is not called for a target that was removed.
    """

    def __init__(self, *, loop: LoopThread, on_idle: Callable[[Key, str], None]) -> None:
        """Ask nobody yet."""
        self._loop = loop
        self._on_idle = on_idle
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def add(self, key: Key, target: IdleTarget) -> None:
        """Ask a server under the caller's own key; what was asked under this key before is dropped."""
        self.remove(key)
        self._tasks[key] = self._loop.spawn(self._watch(key, target))

    def remove(self, key: Key) -> None:
        """Ask no more; nothing happens if the key is unknown."""
        task = self._tasks.pop(key, None)
        if task is None:
            return
        task.cancel()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Ask nobody any more, and return when all connections are closed."""
        for key in list(self._tasks):
            self.remove(key)
        if self._ending:
            await asyncio.wait(list(self._ending))

    async def _watch(self, key: Key, target: IdleTarget) -> None:
        try:
            detail = await self._until_idle(target) if target.service_names else "there is no service to ask"
        except OperationError as error:
            detail = f"no connection to {target.address}: {error}"
        del self._tasks[key]
        self._on_idle(key, detail)

    async def _until_idle(self, target: IdleTarget) -> str:
        started = self._loop.time()
        async with _open(target) as channel:
            stub = load_reporting_pb2_grpc.LoadReportingGrpcStub(channel)
            while True:
                loads = await asyncio.gather(*(_ask(stub, target, name) for name in target.service_names))
                if not any(load.current_requests for load in loads):
                    return "; ".join(load.unknown for load in loads if load.unknown) or "no request is running"
                is_eager = self._loop.time() - started < EAGER_S
                pause = EAGER_PAUSE_S if is_eager else PATIENT_PAUSE_S
                await asyncio.sleep(max(pause, len(self._tasks) / ROUNDS_PER_S))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    current_requests: int = 0
    unknown: str = ""
    """Why nothing is known about the requests."""


async def _ask(stub: load_reporting_pb2_grpc.LoadReportingGrpcAsyncStub, target: IdleTarget, name: str) -> _Load:
    request = load_reporting_pb2.LoadReportRequest(scope=target.scope, service_name=name)
    try:
        response = await stub.ReportLoad(request, timeout=ANSWER_S)
    except grpc.aio.AioRpcError as error:
        return _Load(unknown=f'service "{name}" does not report its load: {_reason(target, error)}')
    return _Load(current_requests=max(0, response.server_stats.current_requests))


def _reason(target: IdleTarget, error: grpc.aio.AioRpcError) -> str:
    match error.code():
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"no answer within {ANSWER_S:g} s"
        case grpc.StatusCode.UNAVAILABLE:
            # gRPC's text is a chain of causes; the last one is what a person can act on.
            cause = (error.details() or "").rsplit(": ", maxsplit=1)[-1]
            return f"no connection to {target.address}: {brief(cause)}"
        case grpc.StatusCode.UNIMPLEMENTED:
            return "the server does not implement Quaestor.LoadReporting.LoadReportingGrpc"
        case grpc.StatusCode.OUT_OF_RANGE:
            return "it is not offered for monitoring"
        case code:
            return f"{code.name}: {brief(error.details())}"


def _open(target: IdleTarget) -> grpc.aio.Channel:
    if target.credentials is None:
        return grpc.aio.insecure_channel(target.address, options=_CHANNEL_OPTIONS)
    return grpc.aio.secure_channel(target.address, target.credentials(), options=_CHANNEL_OPTIONS)
