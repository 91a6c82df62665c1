"""Requests that count themselves, on an asyncio server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

import grpc
import grpc.aio

from quaestor_actors.worker.aio.call_task import call_task
from quaestor_actors.worker.counting import CountedMethods
from quaestor_actors.worker.load import ServiceLoad


class CountRequests(grpc.aio.ServerInterceptor):
    """Counts the requests of an asyncio server, from their arrival to the end of their calls.

    Requests that fail or are cancelled are counted like others. A method that is no coroutine, which gRPC runs on a
    thread, counts no longer when its client has left, although the thread may still be at work.
    """

    def __init__(self, load: ServiceLoad, methods: Collection[str] | None = None) -> None:
        """Count on one load; `methods` is as in `CountedMethods`, by default everything but health and its like."""
        self._load = load
        self._methods = CountedMethods(methods)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Have a request counted."""
        handler = await continuation(handler_call_details)
        if handler is None or not self._methods.has(handler_call_details.method):
            return handler
        self._load.start_request()
        call_task().add_done_callback(lambda _: self._load.end_request())
        return handler
