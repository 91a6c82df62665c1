"""One connection to one etcd server: its calls, their deadlines, and who we are on it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import grpc
from pyetcd import etcdrpc

from quaestor_actors.adapters.etcd_errors import is_authentication_off, is_token_refused
from quaestor_actors.adapters.etcd_login import Login
from quaestor_actors.adapters.tls import channel_credentials
from quaestor_actors.core.spec import StoreSpec
from quaestor_actors.core.store import StoreDeniedError, StoreUnavailableError
from quaestor_actors.errors import OperationError

KEEPALIVE_S = 6.0
"""A connection over which nothing comes is pinged this often; etcd ends one that is pinged every 5 s or more often."""

_CHANNEL_OPTIONS = (
    # A connection of its own: a shared one would be the hung one again, with its back-off.
    ("grpc.use_local_subchannel_pool", 1),
    # The caller decides when to try again.
    ("grpc.enable_retries", 0),
    # etcd is a neighbour; a proxy of the environment is for other traffic.
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.keepalive_time_ms", int(KEEPALIVE_S * 1000)),
    ("grpc.keepalive_timeout_ms", 1000),
    # The same for the pings that gRPC sends of its own accord; they count as keepalive, too.
    ("grpc.http2.ping_timeout_ms", 1000),
    # A watch may hear nothing for days.
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", -1),
)

_NO_TOKEN = ""

Answer = TypeVar("Answer")
Metadata = tuple[tuple[str, str], ...]
Read = Callable[[], Awaitable[Any]]
"""Waits for the next message of a stream."""


class EtcdLink:
    """A channel to one endpoint, on one asyncio loop. All of its calls end when it is closed.

    Calls raise `grpc.aio.AioRpcError`, `TimeoutError`, or what says that the link was closed or that the store
    refuses the user.
    """

    def __init__(
        self, *, address: str, channel: grpc.aio.Channel, login: Login | None, timeout_s: float, log: logging.Logger
    ) -> None:
        """Take over the channel.

        Args:
            address: Whose; for people.
            channel: To be closed by `close`.
            login: None: no user, or the one that a client certificate names.
            timeout_s: Deadline of everything that is one question and one answer, unless a call says otherwise.
            log: For what concerns the login.
        """
        self.address = address
        self.kv = etcdrpc.KVStub(channel)
        self.lease = etcdrpc.LeaseStub(channel)
        self.watch = etcdrpc.WatchStub(channel)
        self._auth = etcdrpc.AuthStub(channel)
        self._channel = channel
        self._login = login
        self._timeout_s = timeout_s
        self._log = log
        self._token: str | None = None
        self._authenticating = asyncio.Lock()
        self._calls: set[Any] = set()
        self._lost: str | None = None
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ask(self, rpc: Any, request: Any, *, timeout_s: float | None = None) -> Any:
        """Make a call with one answer."""
        return await self._with_token(partial(self._ask, rpc, request, timeout_s or self._timeout_s))

    async def ask_stream(self, rpc: Any, request: Any, *, timeout_s: float) -> Any:
        """Make a call that is a stream, for its first answer within that time."""
        return await self._with_token(partial(self._ask_stream, rpc, request, timeout_s))

    @asynccontextmanager
    async def stream(self, rpc: Any, request: Any, *metadata: tuple[str, str]) -> AsyncIterator[Read]:
        """Keep a stream open that begins with this request; it has no deadline."""
        token = await self._current_token()
        async with self._stream(rpc, request, (*_metadata(token), *metadata), timeout_s=None) as read:
            yield read

    async def close(self, reason: str) -> None:
        """End the connection; whoever is waiting for an answer gets `StoreUnavailableError` with the reason."""
        if self._lost is not None:
            return
        self._lost = reason
        self._gone.set_result(None)
        # gRPC would find them by a search through the stacks of all tasks, and not all of them.
        for call in tuple(self._calls):
            call.cancel()
        await self._channel.close()

    async def _with_token(self, send: Callable[[Metadata], Awaitable[Answer]]) -> Answer:
        """Send with our token, and once more with a new one if that is refused: it ends, like what etcd remembers."""
        token = await self._current_token()
        try:
            return await send(_metadata(token))
        except grpc.aio.AioRpcError as error:
            if self._login is None or not is_token_refused(error):
                raise
        return await send(_metadata(await self._current_token(refused=token)))

    async def _current_token(self, *, refused: str | None = None) -> str:
        """Return a token other than the one that was refused; of several callers, one authenticates."""
        if self._login is None:
            return _NO_TOKEN
        async with self._authenticating:
            if self._token == refused:
                self._token = await self._authenticate(self._login)
            return self._token or _NO_TOKEN

    async def _authenticate(self, login: Login) -> str:
        request = etcdrpc.AuthenticateRequest(name=login.user, password=login.read_password())
        try:
            answer = await self._ask(self._auth.Authenticate, request, self._timeout_s, ())
        except grpc.aio.AioRpcError as error:
            if is_authentication_off(error):
                self._log.warning("etcd at %s lets everybody in: authentication is not enabled", self.address)
                return _NO_TOKEN
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                raise StoreDeniedError(f"{self.address} refuses the user {login.user}, or the password") from error
            raise
        return str(answer.token)

    async def _ask(self, rpc: Any, request: Any, timeout_s: float, metadata: Metadata) -> Any:
        self._check()
        call = rpc(request, timeout=timeout_s, metadata=metadata)
        self._calls.add(call)
        try:
            return await self._unless_lost(call)
        finally:
            self._calls.discard(call)

    async def _ask_stream(self, rpc: Any, request: Any, timeout_s: float, metadata: Metadata) -> Any:
        async with self._stream(rpc, request, metadata, timeout_s=timeout_s) as read:
            return await read()

    @asynccontextmanager
    async def _stream(
        self, rpc: Any, request: Any, metadata: Metadata, *, timeout_s: float | None
    ) -> AsyncIterator[Read]:
        self._check()
        call = rpc(timeout=timeout_s, metadata=metadata)
        self._calls.add(call)
        try:
            await self._unless_lost(call.write(request))
            yield partial(self._read, call)
        finally:
            self._calls.discard(call)
            call.cancel()

    async def _read(self, call: Any) -> Any:
        self._check()
        answer = await self._unless_lost(call.read())
        if answer is grpc.aio.EOF:
            raise StoreUnavailableError(f"{self.address} has ended a stream")
        return answer

    async def _unless_lost(self, answer: Awaitable[Answer]) -> Answer:
        # Not the answer alone: a stream that is cancelled before it has begun never gives one (grpc.aio).
        waiting = asyncio.ensure_future(answer)
        try:
            both: set[asyncio.Future[Any]] = {waiting, self._gone}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                self._check()
            return await waiting
        except asyncio.CancelledError:
            # gRPC raises this for a call that was cancelled, too, and nobody wants to end the caller's task then.
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                self._check()
            raise
        finally:
            waiting.cancel()

    def _check(self) -> None:
        if self._lost is not None:
            raise StoreUnavailableError(self._lost)


def open_channel(spec: StoreSpec, address: str) -> grpc.aio.Channel:
    """Return a new channel to one endpoint, with the TLS files as they are now; nothing is connected yet.

    Raises:
        StoreDeniedError: A file is missing or unusable.
    """
    if not spec.use_tls:
        return grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
    try:
        credentials = channel_credentials(
            ca_certificate_file=spec.tls.ca_certificate_file,
            client_certificate=spec.tls.client_certificate,
            client_private_key_file=spec.tls.client_private_key_file,
        )
    except OperationError as error:
        raise StoreDeniedError(str(error)) from error
    return grpc.aio.secure_channel(address, credentials, options=_CHANNEL_OPTIONS)


def _metadata(token: str) -> Metadata:
    return (("token", token),) if token else ()
