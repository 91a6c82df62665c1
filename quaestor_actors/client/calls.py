"""What a generated stub calls: each kind of rpc, led to a location at every call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from quaestor_actors.client.attempts import Attempts
from quaestor_actors.client.router import Router

Bind = Callable[[grpc.Channel], Any]
"""Makes gRPC's own callable of the rpc on a channel."""


class UnaryResponse:
    """An rpc that is answered with one message: `UnaryUnaryMultiCallable` and `StreamUnaryMultiCallable`."""

    def __init__(self, router: Router, bind: Bind, *, max_tries: int) -> None:
        """Lead calls by this router."""
        self._router = router
        self._bind = bind
        self._max_tries = max_tries

    def __call__(self, request: Any, timeout: float | None = None, *terms: Any, **named_terms: Any) -> Any:
        """Return the response."""
        return self.with_call(request, timeout, *terms, **named_terms)[0]

    def with_call(self, request: Any, timeout: float | None = None, *terms: Any, **named_terms: Any) -> Any:
        """Return the response, and the call of the try that it came from."""
        terms_of_call = _terms(*terms, **named_terms)
        attempts = Attempts(max_tries=self._max_tries, timeout_s=timeout, now=time.monotonic())
        while True:
            connection = self._router.take(attempts)
            try:
                remaining_s = attempts.remaining_s(time.monotonic())
                return self._bind(connection.channel).with_call(request, timeout=remaining_s, **terms_of_call)
            except grpc.RpcError as error:
                code = error.code()
                if code is grpc.StatusCode.UNAVAILABLE:
                    self._router.retire(connection)
                if not attempts.may_try_again(code, connection.location, time.monotonic()):
                    raise
            finally:
                self._router.give_back(connection)

    def future(self, request: Any, timeout: float | None = None, *terms: Any, **named_terms: Any) -> Any:
        """Start a call that is not tried again, and return it."""
        terms_of_call = _terms(*terms, **named_terms)
        attempts = Attempts(max_tries=1, timeout_s=timeout, now=time.monotonic())
        return self._router.start(
            attempts,
            lambda channel, remaining_s: self._bind(channel).future(request, timeout=remaining_s, **terms_of_call),
        )[0]


class StreamStream:
    """An rpc with streams both ways: `StreamStreamMultiCallable`."""

    def __init__(self, router: Router, bind: Bind) -> None:
        """Lead calls by this router."""
        self._router = router
        self._bind = bind

    def __call__(self, request_iterator: Any, timeout: float | None = None, *terms: Any, **named_terms: Any) -> Any:
        """Start a call, and return it."""
        terms_of_call = _terms(*terms, **named_terms)
        attempts = Attempts(max_tries=1, timeout_s=timeout, now=time.monotonic())
        return self._router.start(
            attempts,
            lambda channel, remaining_s: self._bind(channel)(request_iterator, timeout=remaining_s, **terms_of_call),
        )[0]


class UnaryStream:
    """An rpc that is answered with a stream: `UnaryStreamMultiCallable`."""

    def __init__(self, router: Router, bind: Bind, *, max_tries: int) -> None:
        """Lead calls by this router."""
        self._router = router
        self._bind = bind
        self._max_tries = max_tries

    def __call__(self, request: Any, timeout: float | None = None, *terms: Any, **named_terms: Any) -> RetriedStream:
        """Start a call, and return it."""
        terms_of_call = _terms(*terms, **named_terms)
        attempts = Attempts(max_tries=self._max_tries, timeout_s=timeout, now=time.monotonic())
        return RetriedStream(
            self._router,
            attempts,
            lambda channel, remaining_s: self._bind(channel)(request, timeout=remaining_s, **terms_of_call),
        )


class RetriedStream(grpc.Call):
    """A stream of responses that may move to another location as long as nothing of it was told.

    Told is a message, and whatever is known of one try only: its status and its metadata.
    """

    def __init__(self, router: Router, attempts: Attempts, start: Callable[[grpc.Channel, float | None], Any]) -> None:
        """Start the first try."""
        self._router = router
        self._attempts = attempts
        self._start = start
        # Between a try that failed and the next one, `cancel` must find neither.
        self._lock = threading.Lock()
        self._is_settled = False
        self._call, self._connection = router.start(attempts, start)

    def __iter__(self) -> Iterator[Any]:
        """Return the stream itself."""
        return self

    def __next__(self) -> Any:
        """Return the next message; before the first one, try again elsewhere if nobody was there."""
        while not self._is_settled:
            try:
                message = next(self._call)
            except StopIteration:
                self._is_settled = True
                raise
            except grpc.RpcError as error:
                if not self._may_try_again(error.code()):
                    self._is_settled = True
                    raise
                self._try_again()
            else:
                self._is_settled = True
                return message
        return next(self._call)

    def cancel(self) -> bool:
        """Cancel the call, whichever try it is at."""
        with self._lock:
            self._is_settled = True
            return bool(self._call.cancel())

    def is_active(self) -> bool:
        """Return whether there may be more."""
        return not self._is_settled or bool(self._call.is_active())

    def time_remaining(self) -> float:
        """Return the seconds until the deadline; None, as gRPC has it, if there is none."""
        return self._call.time_remaining()  # type: ignore[no-any-return] # the stubs know no None

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Have the callback called when the call ends; return False if it has ended."""
        return bool(self._settled().add_callback(callback))

    def initial_metadata(self) -> Any:
        """Wait for the server's first metadata, and return it."""
        return self._settled().initial_metadata()

    def trailing_metadata(self) -> Any:
        """Wait for the end, and return the server's last metadata."""
        return self._settled().trailing_metadata()

    def code(self) -> grpc.StatusCode:
        """Wait for the end, and return the status."""
        return self._settled().code()  # type: ignore[no-any-return] # calls are Any: gRPC has many kinds

    def details(self) -> str:
        """Wait for the end, and return what the server said about the status."""
        return self._settled().details()  # type: ignore[no-any-return] # calls are Any: gRPC has many kinds

    def _settled(self) -> Any:
        with self._lock:
            self._is_settled = True
            return self._call

    def _may_try_again(self, code: grpc.StatusCode) -> bool:
        if code is grpc.StatusCode.UNAVAILABLE:
            self._router.retire(self._connection)
        may = self._attempts.may_try_again(code, self._connection.location, time.monotonic())
        return may and not self._is_settled

    def _try_again(self) -> None:
        call, connection = self._router.start(self._attempts, self._start)
        with self._lock:
            if self._is_settled:
                # Cancelled meanwhile: the failed try is what is left to tell of.
                call.cancel()
                return
            self._call, self._connection = call, connection


def _terms(
    metadata: Any = None,
    credentials: grpc.CallCredentials | None = None,
    wait_for_ready: bool | None = None,  # noqa: FBT001 - gRPC's signature
    compression: grpc.Compression | None = None,
) -> dict[str, Any]:
    """Return gRPC's further arguments of a call, by name.

    To wait for one location until it is ready would be to wait in front of a closed door while others are open.
    """
    del wait_for_ready
    return {"metadata": metadata, "credentials": credentials, "compression": compression}
