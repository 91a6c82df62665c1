"""Who is inside a synchronous server, and nobody else while it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc

from quaestor_actors.worker.counting import Count, CountedMethods, behaviour_of, counted, with_behaviour
from quaestor_actors.worker.own_threads import OnThreads

ENDING = "the server is ending"


class Door(grpc.ServerInterceptor):
    """Lets requests in until it is closed, and health and its like for ever. Must be the first interceptor.

    gRPC has a door of its own, which a server closes on the fingers of whoever is in it: such a call is told
    CANCELLED, which no client tries again elsewhere. And it knows no end but a fixed time, because a watcher's
    stream ends never.
    """

    def __init__(self, refusers: ThreadPoolExecutor) -> None:
        """Begin open; refusals run on these threads, so that they need not wait for the requests that run."""
        self._is_open = True
        self._inside = _Inside()
        self._methods = CountedMethods(None)
        # This kind of method asks for no request before it answers, and its answer suits callers of every kind.
        self._refusal: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(
            OnThreads(_refuse, refusers)
        )

    def close(self) -> None:
        """Refuse whoever comes from now on with UNAVAILABLE."""
        self._is_open = False

    def wait_empty(self, timeout_s: float) -> bool:
        """Return when all work is done and all answers are sent, or after the timeout; return whether they are."""
        return self._inside.wait_empty(timeout_s)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Refuse a request, or have it worked on."""
        if not self._methods.has(handler_call_details.method):
            return continuation(handler_call_details)
        # Counted before the look at the door, so that whoever finds it open is waited for.
        count = Count(self._inside)
        if not self._is_open:
            return self._refusal
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        return counted(with_behaviour(handler, _until_sent(behaviour_of(handler), self._inside)), count)


class _Inside:
    """How many are inside."""

    def __init__(self) -> None:
        self._number = 0
        self._changed = threading.Condition()

    def start_request(self) -> None:
        with self._changed:
            self._number += 1

    def end_request(self) -> None:
        with self._changed:
            self._number -= 1
            self._changed.notify_all()

    def wait_empty(self, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._number == 0, timeout_s)


def _until_sent(behaviour: Callable[..., Any], inside: _Inside) -> Callable[..., Any]:
    """Count a call once more, until gRPC has sent its answer."""

    def counted_until_sent(request: Any, context: grpc.ServicerContext) -> Any:
        sending = Count(inside)
        if not context.add_callback(sending.end):
            sending.end()
        return behaviour(request, context)

    return counted_until_sent


def _refuse(_request: Any, context: grpc.ServicerContext) -> NoReturn:
    context.abort(grpc.StatusCode.UNAVAILABLE, ENDING)
    raise AssertionError("abort() raises")
