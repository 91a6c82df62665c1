"""Who is inside an asyncio server, and nobody else while it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from quaestor_actors.worker.aio.call_task import call_task
from quaestor_actors.worker.counting import CountedMethods
from quaestor_actors.worker.door import ENDING


class Door(grpc.aio.ServerInterceptor):
    """Lets requests in until it is closed, and health and its like for ever. Must be the first interceptor.

    gRPC has a door of its own, which an asyncio server closes on the fingers of whoever is in it: such a call is told
    CANCELLED, which no client tries again elsewhere, or is never told anything.
    """

    def __init__(self) -> None:
        """Begin open."""
        self._is_open = True
        self._inside: set[asyncio.Task[Any]] = set()
        self._methods = CountedMethods(None)
        # This kind of method asks for no request before it answers, and its answer suits callers of every kind.
        self._refusal: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(_refuse)

    def close(self) -> None:
        """Refuse whoever comes from now on with UNAVAILABLE."""
        self._is_open = False

    async def wait_empty(self, timeout_s: float) -> None:
        """Return when all work is done and all answers are sent, or after the timeout."""
        if self._inside:
            await asyncio.wait(self._inside, timeout=timeout_s)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Refuse a request, or have it worked on."""
        if self._methods.has(handler_call_details.method):
            if not self._is_open:
                return self._refusal
            task = call_task()
            self._inside.add(task)
            task.add_done_callback(self._inside.discard)
        return await continuation(handler_call_details)


async def _refuse(_requests: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    await context.abort(grpc.StatusCode.UNAVAILABLE, ENDING)
