"""Each kind of rpc, led to a location at every call: interceptors that make the call on another channel.

gRPC's own intercepted calls give the callers all that they expect of a call while its location is still looked
for: they can be awaited, iterated, written to and cancelled.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from quaestor_actors.client.aio.router import Router
from quaestor_actors.client.attempts import Attempts

Bind = Callable[[grpc.aio.Channel], Any]
"""Makes gRPC's own callable of an rpc on a channel."""


class Leader:
    """Makes calls where the router leads them. `binds` is by the method name that the interceptors see."""

    def __init__(self, router: Router, *, max_tries: int) -> None:
        """Try calls without a stream of requests at most this often."""
        self._router = router
        self._max_tries = max_tries
        self.binds: dict[str, Bind] = {}

    async def unary_unary(self, details: grpc.aio.ClientCallDetails, request: Any) -> Any:
        """Return the call once it has ended."""
        attempts = self._attempts(details, max_tries=self._max_tries)
        while True:
            connection = await self._router.take(attempts)
            try:
                call = self._start(details, connection.channel, attempts, request)
                await call
            except grpc.aio.AioRpcError as error:
                if not self._may_try_again(error, connection, attempts):
                    return call
            else:
                return call
            finally:
                self._router.give_back(connection)

    async def unary_stream(self, details: grpc.aio.ClientCallDetails, request: Any) -> Any:
        """Return the call once its first message is there, or its end."""
        attempts = self._attempts(details, max_tries=self._max_tries)
        while True:
            call, connection = await self._started(details, attempts, request)
            try:
                first = await call.read()
            except grpc.aio.AioRpcError as error:
                if not self._may_try_again(error, connection, attempts):
                    # Not the call itself: gRPC lets what was read once be read only, and not iterated over.
                    return _ReadAhead(call, [])
            except BaseException:
                call.cancel()
                raise
            else:
                return _ReadAhead(call, [first])

    async def stream(self, details: grpc.aio.ClientCallDetails, requests: Any) -> Any:
        """Return a call with a stream of requests. One try: the stream is used up after it."""
        call, _ = await self._started(details, self._attempts(details, max_tries=1), requests)
        return call

    def _attempts(self, details: grpc.aio.ClientCallDetails, *, max_tries: int) -> Attempts:
        return Attempts(max_tries=max_tries, timeout_s=details.timeout, now=time.monotonic())

    def _start(
        self, details: grpc.aio.ClientCallDetails, channel: grpc.aio.Channel, attempts: Attempts, request: Any
    ) -> Any:
        return self.binds[_text(details.method)](channel)(
            request,
            timeout=attempts.remaining_s(time.monotonic()),
            metadata=details.metadata,
            credentials=details.credentials,
        )

    async def _started(self, details: grpc.aio.ClientCallDetails, attempts: Attempts, request: Any) -> Any:
        connection = await self._router.take(attempts)
        try:
            call = self._start(details, connection.channel, attempts, request)
        except BaseException:
            self._router.give_back(connection)
            raise
        self._router.give_back_at_end(connection, call)
        return call, connection

    def _may_try_again(self, error: grpc.aio.AioRpcError, connection: Any, attempts: Attempts) -> bool:
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            self._router.retire(connection)
        return attempts.may_try_again(error.code(), connection.location, time.monotonic())


def interceptors(leader: Leader) -> list[grpc.aio.ClientInterceptor]:
    """Return an interceptor for each kind of rpc; gRPC takes an object for one kind only."""
    return [_UnaryUnary(leader), _UnaryStream(leader), _StreamUnary(leader), _StreamStream(leader)]


class _Interceptor:
    def __init__(self, leader: Leader) -> None:
        self._leader = leader


class _UnaryUnary(_Interceptor, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self, _continuation: Any, client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        return await self._leader.unary_unary(client_call_details, request)


class _UnaryStream(_Interceptor, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self, _continuation: Any, client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        return await self._leader.unary_stream(client_call_details, request)


class _StreamUnary(_Interceptor, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self, _continuation: Any, client_call_details: grpc.aio.ClientCallDetails, request_iterator: Any
    ) -> Any:
        return await self._leader.stream(client_call_details, request_iterator)


class _StreamStream(_Interceptor, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(
        self, _continuation: Any, client_call_details: grpc.aio.ClientCallDetails, request_iterator: Any
    ) -> Any:
        return await self._leader.stream(client_call_details, request_iterator)


class _ReadAhead(grpc.aio.UnaryStreamCall[Any, Any]):
    """A call whose first message, or end, was read already."""

    def __init__(self, call: Any, read: list[Any]) -> None:
        self._call = call
        self._read = read

    async def read(self) -> Any:
        return self._read.pop() if self._read else await self._call.read()

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (message := await self.read()) is not grpc.aio.EOF:
            yield message

    def cancel(self) -> bool:
        return bool(self._call.cancel())

    def cancelled(self) -> bool:
        return bool(self._call.cancelled())

    def done(self) -> bool:
        return bool(self._call.done())

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._call.add_done_callback(callback)

    def time_remaining(self) -> float | None:
        return self._call.time_remaining()  # type: ignore[no-any-return] # calls are Any: gRPC has many kinds

    async def initial_metadata(self) -> grpc.aio.Metadata:
        return await self._call.initial_metadata()  # type: ignore[no-any-return] # see above

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        return await self._call.trailing_metadata()  # type: ignore[no-any-return] # see above

    async def code(self) -> grpc.StatusCode:
        return await self._call.code()  # type: ignore[no-any-return] # see above

    async def details(self) -> str:
        return await self._call.details()  # type: ignore[no-any-return] # see above

    async def debug_error_string(self) -> str | None:
        return await self._call.debug_error_string()  # type: ignore[no-any-return] # see above

    async def wait_for_connection(self) -> None:
        await self._call.wait_for_connection()


def _text(method: str | bytes) -> str:
    return method.decode() if isinstance(method, bytes) else method
