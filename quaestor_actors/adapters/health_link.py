"""One connection to one server, and what the server says about the health of its services over it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from quaestor_actors.adapters.openings import Openings
from quaestor_actors.core.member import Health
from quaestor_actors.errors import OperationError

FIRST_POLL_S = 0.05
"""A server without `Watch` that does not serve yet is asked again after this time, then after twice as long,
..."""

HUNG_PAUSE_S = 0.02
"""Before a hung server is asked again. A server may also answer DEADLINE_EXCEEDED itself, and at once."""

HEARTBEAT_SPREAD = 0.25
"""By which share of the period a `Check` may come earlier."""

OPENING_PATIENCE_S = 0.5
"""A server that has not said everything by then does not keep others from being connected to."""

_MAX_DETAIL = 200

_CHANNEL_OPTIONS = (
    # A new connection for each link: a shared one would share its reconnect back-off, too.
    ("grpc.use_local_subchannel_pool", 1),
    # We decide ourselves when to try again.
    ("grpc.enable_retries", 0),
    # Members and locations are neighbours; a proxy of the environment is for other traffic.
    ("grpc.enable_http_proxy", 0),
    # Verdicts and load reports are tiny, whatever a faulty peer sends.
    ("grpc.max_receive_message_length", 65_536),
)

_WATCH_REFUSED = frozenset(
    {
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
    }
)


Credentials = Callable[[], grpc.ChannelCredentials]

Server = tuple[str, Credentials | None]
"""An address, and how it is connected to; credentials are the same if they are the same object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthTarget:
    """What is to be watched."""

    address: str
    """`host:port`."""
    service_names: tuple[str, ...] = ()
    """All must serve; none means the server as a whole (`""`)."""
    credentials: Credentials | None = None
    """Called for each new connection, as their files may change; None means plain text."""

    @property
    def server(self) -> Server:
        """Whose health it is: targets of the same server can have one connection."""
        return self.address, self.credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthTiming:
    """How often and how patiently servers are asked. All in seconds."""

    response_timeout_s: float
    """Deadline of a `Check`; a server that does not answer within it hangs."""
    heartbeat_interval_s: float
    """Period of the `Check` that finds a hung server although nothing breaks."""
    check_interval_s: float = 1.0
    """Period of the `Check` that stands in for `Watch` where a server has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceHealth:
    """The verdict on one service of a server."""

    service_name: str
    health: Health
    detail: str
    """For people."""


class _Disconnected(Exception):  # noqa: N818 - it ends a session, which is no error
    """The connection is gone; the link has taken note of why."""


class HealthLink:
    """Keeps one connection to a server for ever, and its latest verdicts. Lives on one asyncio loop."""

    def __init__(
        self,
        *,
        server: Server,
        timing: HealthTiming,
        openings: Openings,
        pause: Callable[[float], float],
        changed: Callable[[Collection[str]], None],
        on_check: Callable[[float], None] | None = None,
    ) -> None:
        """Prepare the link; `run` works it.

        Args:
            server: Where the services are.
            timing: How often and how patiently.
            openings: Who else connects for the first time; it is measured in services.
            pause: Given for how long the server has been away, how long to wait before the next try.
            changed: Called with the names of the services whose verdicts may have changed.
            on_check: Called with the seconds that a `Check` took.
        """
        self.channel: grpc.aio.Channel | None = None
        """The present connection, for other calls to the same server."""
        self._address, self._credentials = server
        self._timing = timing
        self._openings = openings
        self._opening: int = 0
        """How much of the openings is ours now."""
        self._pause = pause
        self._changed = changed
        self._on_check = on_check
        self._names: dict[str, asyncio.Task[None] | None] = {}
        """The services, and who follows each during a session."""
        self._asking: dict[str, asyncio.Task[None]] = {}
        """Who stands in for a watch that says nothing."""
        self._answers: dict[str, ServiceHealth] = {}
        self._session_tasks: asyncio.TaskGroup | None = None
        self._stub: Any = None
        self._lost: str | None = None
        self._lost_at: float | None = None
        self._is_silent = False
        self._is_dropped = False

    def follow(self, name: str) -> None:
        """Follow the health of a service, too; "" is the server as a whole."""
        if name not in self._names:
            self._names[name] = None
            self._start_following(name)

    def forget(self, name: str) -> None:
        """Follow a service no longer."""
        task = self._names.pop(name)
        self._answers.pop(name, None)
        if task is not None:
            task.cancel()

    def drop(self) -> None:
        """Let `run` end at its next step; to be followed by the cancellation of its task."""
        self._is_dropped = True

    @property
    def is_lost(self) -> bool:
        """Whether there is no working connection, and no first answer on a new one."""
        return self._lost is not None

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong with the server, as far as is known."""
        return self._lost is None and not self._is_silent

    def verdict(self, name: str) -> ServiceHealth | None:
        """Return the verdict on a service that is followed; None until it is known."""
        if self._lost is not None:
            return ServiceHealth(service_name=name, health=Health.UNREACHABLE, detail=self._lost)
        if self._is_silent:
            detail = f"no answer within {self._timing.response_timeout_s:g} s"
            return ServiceHealth(service_name=name, health=Health.TIMEOUT, detail=detail)
        return self._answers.get(name)

    async def run(self) -> None:
        """Connect, listen until the connection is lost, and again, until dropped and cancelled."""
        loop = asyncio.get_running_loop()
        size = len(self._names)
        await self._openings.enter(size)
        self._opening = size
        patience = loop.call_later(OPENING_PATIENCE_S, self._opened)
        try:
            # A task group that is cancelled while a task of it fails forgets the cancellation: hence the flag.
            while not self._is_dropped:
                await self._session()
                if self._lost_at is None:
                    self._lost_at = loop.time()
                await asyncio.sleep(self._pause(loop.time() - self._lost_at))
        finally:
            patience.cancel()
            self._opened()

    def _opened(self) -> None:
        """Let others connect."""
        size, self._opening = self._opening, 0
        if size:
            self._openings.leave(size)

    async def _session(self) -> None:
        self._answers.clear()
        self._is_silent = False
        try:
            channel = _open(self._address, self._credentials)
        except OperationError as error:
            self._lose(str(error))
            return
        self.channel = channel
        self._stub = health_pb2_grpc.HealthStub(channel)
        try:
            async with asyncio.TaskGroup() as tasks:
                self._session_tasks = tasks
                for name in self._names:
                    self._start_following(name)
                tasks.create_task(self._beat(self._stub))
                tasks.create_task(self._await_loss(channel))
        except* _Disconnected:
            pass  # `_disconnected` has told everybody.
        finally:
            self._session_tasks = self._stub = None
            self._names = dict.fromkeys(self._names)
            self.channel = None
            await channel.close()

    def _start_following(self, name: str) -> None:
        if self._session_tasks is not None:
            self._names[name] = self._session_tasks.create_task(self._follow(self._stub, name))

    async def _follow(self, stub: Any, name: str) -> None:
        call = stub.Watch(health_pb2.HealthCheckRequest(service=name))
        loop, patience_s = asyncio.get_running_loop(), self._timing.response_timeout_s
        impatience = loop.call_later(patience_s, self._ask_meanwhile, stub, name)
        try:
            async for response in call:
                impatience.cancel()
                self._stop_asking(name)
                self._heard(_judge(name, response.status))
        except grpc.aio.AioRpcError as error:
            if error.code() not in _WATCH_REFUSED:
                raise self._disconnected(error.details()) from error
        else:
            raise self._disconnected("the server ended the health watch")
        finally:
            impatience.cancel()
            self._stop_asking(name)
        await self._poll(stub, name)

    def _ask_meanwhile(self, stub: Any, name: str) -> None:
        """Ask until there is a word from a watch: a server with a thread for each may have none left for this one."""
        if self._session_tasks is not None:
            self._asking[name] = self._session_tasks.create_task(self._poll(stub, name))

    def _stop_asking(self, name: str) -> None:
        if (asking := self._asking.pop(name, None)) is not None:
            asking.cancel()

    async def _poll(self, stub: Any, name: str) -> None:
        interval = FIRST_POLL_S
        while True:
            verdict = await self._check(stub, name)
            if verdict is not None:
                self._heard(verdict)
            serves = verdict is not None and verdict.health is Health.SERVING
            interval = self._timing.check_interval_s if serves else interval * 2
            await asyncio.sleep(min(interval, self._timing.check_interval_s))

    async def _beat(self, stub: Any) -> None:
        while True:
            # None at all: the link is being dropped.
            if await self._check(stub, next(iter(self._names), "")) is None:
                # To keep asking costs little, and so the server is back the moment it goes on.
                await asyncio.sleep(HUNG_PAUSE_S)
                continue
            self._alive()
            # A thousand servers that were found at the same time are not to be asked at the same time for ever.
            spread = random.uniform(1 - HEARTBEAT_SPREAD, 1)  # noqa: S311 - no secret
            await asyncio.sleep(self._timing.heartbeat_interval_s * spread)

    async def _check(self, stub: Any, name: str) -> ServiceHealth | None:
        """Return the verdict, or None if there was no answer in time."""
        request = health_pb2.HealthCheckRequest(service=name)
        began = time.monotonic()
        try:
            response = await stub.Check(request, timeout=self._timing.response_timeout_s)
        except grpc.aio.AioRpcError as error:
            match error.code():
                case grpc.StatusCode.UNAVAILABLE:
                    raise self._disconnected(error.details()) from error
                case grpc.StatusCode.DEADLINE_EXCEEDED:
                    self._be_silent()
                    return None
                case grpc.StatusCode.NOT_FOUND:
                    return _judge(name, health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)
                case grpc.StatusCode.UNIMPLEMENTED:
                    detail = "the server does not implement grpc.health.v1.Health"
                case code:
                    detail = f"the health check failed: {code.name}: {brief(error.details())}"
            return ServiceHealth(service_name=name, health=Health.NOT_SERVING, detail=detail)
        finally:
            if self._on_check is not None:
                self._on_check(time.monotonic() - began)
        return _judge(name, response.status)

    async def _await_loss(self, channel: grpc.aio.Channel) -> None:
        """End the session when the connection breaks; a server without `Watch` has no stream to break."""
        state = channel.get_state(try_to_connect=True)
        while state is not grpc.ChannelConnectivity.READY:
            await channel.wait_for_state_change(state)
            state = channel.get_state()
        while state is grpc.ChannelConnectivity.READY:
            await channel.wait_for_state_change(state)
            state = channel.get_state()
        raise self._disconnected("closed by the server")

    def _heard(self, verdict: ServiceHealth) -> None:
        self._answers[verdict.service_name] = verdict
        self._alive(verdict.service_name)
        if self._opening and len(self._answers) == len(self._names):
            self._opened()

    def _alive(self, *names: str) -> None:
        """Take note that the server has spoken, of these services."""
        was_well = self.is_well
        self._is_silent = False
        self._lost = None
        self._lost_at = None
        if names or not was_well:
            self._changed(names if was_well else tuple(self._names))

    def _be_silent(self) -> None:
        self._opened()
        self._is_silent = True
        self._changed(tuple(self._names))

    def _disconnected(self, details: str | None) -> _Disconnected:
        # gRPC's text is a chain of causes; the last one is what a person can act on.
        cause = brief((details or "").rsplit(": ", maxsplit=1)[-1])
        self._lose(cause)
        return _Disconnected(cause)

    def _lose(self, cause: str) -> None:
        self._opened()
        # What ends now takes no more tasks; whoever comes is followed from the next session on.
        self._session_tasks = None
        self._lost = f"no connection to {self._address}: {brief(cause)}"
        self._changed(tuple(self._names))


def brief(details: str | None) -> str:
    """Return a peer's words as one short printable line; they may be anything."""
    text = "".join(letter if letter.isprintable() else " " for letter in details or "no reason given")
    return text if len(text) <= _MAX_DETAIL else f"{text[:_MAX_DETAIL]}..."


def _open(address: str, credentials: Credentials | None) -> grpc.aio.Channel:
    if credentials is None:
        return grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
    return grpc.aio.secure_channel(address, credentials(), options=_CHANNEL_OPTIONS)


def _judge(service_name: str, status: int) -> ServiceHealth:
    subject = f'service "{service_name}"' if service_name else "the server"
    match status:
        case health_pb2.HealthCheckResponse.SERVING:
            health, detail = Health.SERVING, "serving"
        case health_pb2.HealthCheckResponse.SERVICE_UNKNOWN:
            health, detail = Health.NOT_SERVING, f"{subject} is unknown to the server"
        case health_pb2.HealthCheckResponse.NOT_SERVING:
            health, detail = Health.NOT_SERVING, f"{subject} says NOT_SERVING"
        case _:
            health, detail = Health.NOT_SERVING, f"{subject} has the health status {status}"
    return ServiceHealth(service_name=service_name, health=health, detail=detail)
