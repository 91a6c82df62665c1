"""Requests that count themselves: an interceptor of a server tells a service's load of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, Protocol

import grpc

from quaestor_actors.rpc import load_reporting_pb2, process_admin_pb2
from quaestor_actors.worker.load import ServiceLoad
from quaestor_actors.worker.own_threads import OnThreads, threads_of

CONTROL_PACKAGES = ("grpc.health.", "grpc.reflection.", "grpc.channelz.")
"""gRPC's own services."""

CONTROL_SERVICES = frozenset(
    service.full_name
    for file in (load_reporting_pb2.DESCRIPTOR, process_admin_pb2.DESCRIPTOR)
    for service in file.services_by_name.values()
)
"""Ours; a balancer that watches is no load."""


class CountedMethods:
    """Which methods count as requests of a service."""

    def __init__(self, methods: Collection[str] | None) -> None:
        """Choose them.

        Args:
            methods: Names of methods, `/package.Service/Method`, or of services, `package.Service`, for all of
                theirs. None: every method but those of health, load, administration and reflection.

        Raises:
            TypeError: it is one text instead of several.
        """
        if isinstance(methods, str):
            raise TypeError(f"methods must be a collection of names, got the text {methods!r}")
        self._methods = None if methods is None else frozenset(methods)

    def has(self, method: str) -> bool:
        """Return whether calls of a method, `/package.Service/Method`, count."""
        service = method.removeprefix("/").rpartition("/")[0]
        if self._methods is not None:
            return method in self._methods or service in self._methods
        return service not in CONTROL_SERVICES and not service.startswith(CONTROL_PACKAGES)


class CountRequests(grpc.ServerInterceptor):
    """Counts the requests of a synchronous server, from their arrival to the end of the work on them.

    A request that waits for a free thread counts already; one whose client has left counts until its code returns,
    because until then it holds a thread. Requests that fail or are cancelled are counted like others.

    Example:
        load = ServiceLoad(request_capacity=4)
        server = WorkerServer(port=5161, loads={"Greeter": load}, interceptors=[CountRequests(load)])
    """

    def __init__(self, load: ServiceLoad, methods: Collection[str] | None = None) -> None:
        """Count on one load; `methods` is as in `CountedMethods`, by default everything but health and its like."""
        self._load = load
        self._methods = CountedMethods(methods)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Have a request counted."""
        handler = continuation(handler_call_details)
        if handler is None or not self._methods.has(handler_call_details.method):
            return handler
        return counted(handler, Count(self._load))


class Counter(Protocol):
    """What counts requests: a `ServiceLoad` is one."""

    def start_request(self) -> None:
        """Count one more."""

    def end_request(self) -> None:
        """Count one less."""


class Count:
    """One request, counted from now until `end`, or until nobody knows of it any more.

    gRPC tells nobody of a call that ends before its turn comes: it just drops the function that was to be called.
    """

    def __init__(self, counter: Counter) -> None:
        """Begin."""
        self._is_over = False
        self._counter = counter
        counter.start_request()

    def end(self) -> None:
        """Count it no longer; again does nothing."""
        if self._is_over:
            return
        self._is_over = True
        self._counter.end_request()

    def __del__(self) -> None:
        self.end()


def counted(handler: grpc.RpcMethodHandler[Any, Any], count: Count) -> grpc.RpcMethodHandler[Any, Any]:
    """Return the same method, for one call that counts until the work on it has ended."""
    wrap = _stream if handler.response_streaming else _answer
    return with_behaviour(handler, wrap(behaviour_of(handler), count))


def _answer(behaviour: Callable[..., Any], count: Count) -> Callable[..., Any]:
    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return behaviour(request, context)
        finally:
            count.end()

    return answer


def _stream(behaviour: Callable[..., Any], count: Count) -> Callable[..., Any]:
    def answers(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        # A cancelled stream is dropped where it stands, which closes a generator.
        try:
            yield from behaviour(request, context)
        finally:
            count.end()

    return answers


def behaviour_of(handler: grpc.RpcMethodHandler[Any, Any]) -> Callable[..., Any]:
    """Return the function that does a method's work, whichever of the four kinds it is."""
    name, _ = _KINDS[_kind_of(handler)]
    behaviour: Callable[..., Any] = getattr(handler, name)
    return behaviour


def with_behaviour(
    handler: grpc.RpcMethodHandler[Any, Any], behaviour: Callable[..., Any]
) -> grpc.RpcMethodHandler[Any, Any]:
    """Return the same method with another function to do its work, on the same threads."""
    threads = threads_of(behaviour_of(handler))
    _, make = _KINDS[_kind_of(handler)]
    return make(
        behaviour if threads is None else OnThreads(behaviour, threads),
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )


def _kind_of(handler: grpc.RpcMethodHandler[Any, Any]) -> tuple[bool, bool]:
    return bool(handler.request_streaming), bool(handler.response_streaming)


_KINDS: dict[tuple[bool, bool], tuple[str, Callable[..., grpc.RpcMethodHandler[Any, Any]]]] = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}
"""By whether requests and answers are streams: where a handler keeps its function, and how such a handler is made."""
