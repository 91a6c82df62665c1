"""Requests that are no messages are the client's fault, and it is told so: INVALID_ARGUMENT.

By itself an asyncio server of gRPC tells UNKNOWN, and the text of an exception.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError

Context = grpc.aio.ServicerContext[Any, Any]

_UNDECODABLE: Final = object()
"""Stands for such a request on its way to where it can be answered."""


class Services:
    """Stands in for a server while services are added to it: their handlers, each with this rule."""

    def __init__(self, server: grpc.aio.Server) -> None:
        """Add to this server."""
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Add handlers; called by what gRPC generates."""
        self._server.add_generic_rpc_handlers([_Tolerant(handler) for handler in handlers])

    def add_registered_method_handlers(self, service_name: str, handlers: Mapping[str, Any]) -> None:
        """Add the same handlers on a shorter way, which newer versions have; called by what gRPC generates."""
        tolerant = {name: _tolerant(handler) for name, handler in handlers.items()}
        self._server.add_registered_method_handlers(service_name, tolerant)


class _Tolerant(grpc.GenericRpcHandler):
    def __init__(self, inner: grpc.GenericRpcHandler) -> None:
        self._inner = inner
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        method = handler_call_details.method
        if method not in self._handlers:
            handler = self._inner.service(handler_call_details)
            if handler is None:
                return None
            self._handlers[method] = _tolerant(handler)
        return self._handlers[method]


def _tolerant(handler: Any) -> grpc.RpcMethodHandler[Any, Any]:
    """Return the same method with the rule; of the four kinds of methods the balancer has these three."""
    codecs = {
        "request_deserializer": _decoder(handler.request_deserializer),
        "response_serializer": handler.response_serializer,
    }
    if handler.request_streaming:
        return grpc.stream_stream_rpc_method_handler(_conversation(handler.stream_stream), **codecs)
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(_answers(handler.unary_stream), **codecs)
    return grpc.unary_unary_rpc_method_handler(_answer(handler.unary_unary), **codecs)


def _decoder(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def decode_or_tell(raw: bytes) -> Any:
        try:
            return decode(raw)
        except DecodeError:
            return _UNDECODABLE

    return decode_or_tell


async def _refuse(context: Context) -> None:
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the request is not a message of this method")


def _answer(behaviour: Callable[..., Any]) -> Callable[..., Any]:
    async def answer(request: Any, context: Context) -> Any:
        if request is _UNDECODABLE:
            await _refuse(context)
        return await behaviour(request, context)

    return answer


def _answers(behaviour: Callable[..., Any]) -> Callable[..., Any]:
    async def answers(request: Any, context: Context) -> AsyncIterator[Any]:
        if request is _UNDECODABLE:
            await _refuse(context)
        async with aclosing(behaviour(request, context)) as stream:
            async for each in stream:
                yield each

    return answers


def _conversation(behaviour: Callable[..., Any]) -> Callable[..., Any]:
    async def messages(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
        async for request in requests:
            if request is _UNDECODABLE:
                await _refuse(context)
            yield request

    async def conversation(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
        async with aclosing(behaviour(messages(requests, context), context)) as stream:
            async for each in stream:
                yield each

    return conversation
