"""A channel whose calls go where the balancer says, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

import grpc

from quaestor_actors.client.balancers import Balancers
from quaestor_actors.client.calls import StreamStream, UnaryResponse, UnaryStream
from quaestor_actors.client.connections import LOCATION_OPTIONS, Connections
from quaestor_actors.client.router import Router
from quaestor_actors.client.service_location import ServiceLocation

NO_CONNECTIVITY = "a balanced channel has no connectivity of its own: each call goes its own way"

Options = Iterable[tuple[str, Any]]
"""gRPC's channel options."""


def balanced_channel(
    service: str,
    balancers: Balancers,
    *,
    credentials: grpc.ChannelCredentials | None = None,
    options: Options = (),
    max_tries: int = 3,
    stick_s: float = 0.0,
    idle_s: float = 60.0,
) -> grpc.Channel:
    """Return a channel for generated stubs, each of whose calls goes to the service's best location.

    A call that fails with UNAVAILABLE before any response message came is tried again elsewhere, within its own
    deadline. That is right for calls which may be executed twice: a server that dies at work has perhaps done some
    of it. For others, set `max_tries` to 1. Never tried again are calls with a stream of requests, because the
    stream is used up, and futures. A stream of responses is tried again only while nothing but its messages was
    asked for: its status or metadata are of one try.

    If nobody can be asked or nobody offers the service, the call fails with a `ClientError`, which is a
    `grpc.RpcError` like any other. A future fails so at once, when it is made.

    Thread-safe. A process that is forked from one that has used it must not use it. `wait_for_ready` has no effect:
    a call waits for no particular location. The channel has no connectivity of its own, so `subscribe` is refused.

    Args:
        service: Name under which the service is registered.
        balancers: Stay open for at least as long as the channel; closing them is the caller's.
        credentials: For locations with TLS; None is plain text. A balancer does not say which is right.
        options: gRPC's channel options for the connections to locations.
        max_tries: How often a call is tried at most.
        stick_s: For how long calls go to the same location before the balancer is asked again; 0 is for one call.
        idle_s: Connections that no call used for this long are closed at the next call.

    Raises:
        ValueError: `max_tries` is below 1.
    """
    if max_tries < 1:
        raise ValueError(f"max_tries must be at least 1, got {max_tries!r}")
    all_options = (*LOCATION_OPTIONS, *options)

    def connect(location: ServiceLocation) -> grpc.Channel:
        if credentials is None:
            return grpc.insecure_channel(location.address, options=all_options)
        return grpc.secure_channel(location.address, credentials, options=all_options)

    connections = Connections(connect, idle_s=idle_s)
    return _BalancedChannel(
        Router(service=service, balancers=balancers, connections=connections, stick_s=stick_s), max_tries=max_tries
    )


class _BalancedChannel(grpc.Channel):
    """Makes callables that look for a channel when they are called."""

    def __init__(self, router: Router, *, max_tries: int) -> None:
        self._router = router
        self._max_tries = max_tries

    def unary_unary(self, method: str, *serializers: Any, **more: Any) -> Any:
        return UnaryResponse(
            self._router, lambda channel: channel.unary_unary(method, *serializers, **more), max_tries=self._max_tries
        )

    def unary_stream(self, method: str, *serializers: Any, **more: Any) -> Any:
        return UnaryStream(
            self._router, lambda channel: channel.unary_stream(method, *serializers, **more), max_tries=self._max_tries
        )

    def stream_unary(self, method: str, *serializers: Any, **more: Any) -> Any:
        # One try: the stream of requests is used up after it.
        return UnaryResponse(
            self._router, lambda channel: channel.stream_unary(method, *serializers, **more), max_tries=1
        )

    def stream_stream(self, method: str, *serializers: Any, **more: Any) -> Any:
        return StreamStream(self._router, lambda channel: channel.stream_stream(method, *serializers, **more))

    def subscribe(
        self,
        callback: Callable[[grpc.ChannelConnectivity], None],
        try_to_connect: bool = False,  # noqa: FBT001, FBT002 - gRPC's signature
    ) -> None:
        raise NotImplementedError(NO_CONNECTIVITY)

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        # Nothing was ever subscribed; as with gRPC's own channels, that is no error.
        pass

    def close(self) -> None:
        self._router.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
