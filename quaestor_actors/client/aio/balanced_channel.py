"""A channel whose calls go where the balancer says, one by one, for asyncio."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import grpc

from quaestor_actors.client.aio.balancers import Balancers
from quaestor_actors.client.aio.calls import Leader, interceptors
from quaestor_actors.client.aio.router import Router
from quaestor_actors.client.balanced_channel import NO_CONNECTIVITY, Options
from quaestor_actors.client.connections import LOCATION_OPTIONS, Connections
from quaestor_actors.client.service_location import ServiceLocation


def balanced_channel(
    service: str,
    balancers: Balancers,
    *,
    credentials: grpc.ChannelCredentials | None = None,
    options: Options = (),
    max_tries: int = 3,
    stick_s: float = 0.0,
    idle_s: float = 60.0,
) -> grpc.aio.Channel:
    """Return a channel for generated stubs, each of whose calls goes to the service's best location.

    All is as with `quaestor_actors.client.balanced_channel`, but for what asyncio brings along: it must be made and
    used on a running event loop, and nothing of a stream of responses, its metadata included, is told before its
    first message is there. gRPC's intercepted calls know no `time_remaining`.

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

    def connect(location: ServiceLocation) -> grpc.aio.Channel:
        if credentials is None:
            return grpc.aio.insecure_channel(location.address, options=all_options)
        return grpc.aio.secure_channel(location.address, credentials, options=all_options)

    connections = Connections(connect, idle_s=idle_s)
    return _BalancedChannel(
        Router(service=service, balancers=balancers, connections=connections, stick_s=stick_s), max_tries=max_tries
    )


class _BalancedChannel(grpc.aio.Channel):
    """Calls begin on a channel that never connects; its interceptors make them on channels to locations."""

    def __init__(self, router: Router, *, max_tries: int) -> None:
        self._router = router
        self._leader = Leader(router, max_tries=max_tries)
        self._names: dict[tuple[Any, ...], str] = {}
        self._entrance = grpc.aio.insecure_channel("localhost:0", interceptors=interceptors(self._leader))

    def unary_unary(self, method: str, *serializers: Any, **named: Any) -> Any:
        return self._entrance.unary_unary(self._name("unary_unary", method, serializers, named))

    def unary_stream(self, method: str, *serializers: Any, **named: Any) -> Any:
        return self._entrance.unary_stream(self._name("unary_stream", method, serializers, named))

    def stream_unary(self, method: str, *serializers: Any, **named: Any) -> Any:
        return self._entrance.stream_unary(self._name("stream_unary", method, serializers, named))

    def stream_stream(self, method: str, *serializers: Any, **named: Any) -> Any:
        return self._entrance.stream_stream(self._name("stream_stream", method, serializers, named))

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002 - gRPC's signature
        # Idle until it is closed: connections are made when calls need them.
        del try_to_connect
        return self._entrance.get_state()

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        raise NotImplementedError(NO_CONNECTIVITY)

    async def channel_ready(self) -> None:
        raise NotImplementedError(NO_CONNECTIVITY)

    async def close(self, grace: float | None = None) -> None:
        await self._router.close(grace)
        await self._entrance.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _name(self, kind: str, method: str, serializers: tuple[Any, ...], named: dict[str, Any]) -> str:
        # Interceptors see the method's name only, and two stubs may read one method's messages differently. Stubs
        # that are alike, say one for each call, share a name.
        key = (kind, method, serializers, frozenset(named.items()))
        name = self._names.setdefault(key, f"{method}#{len(self._names)}")
        self._leader.binds[name] = lambda channel: getattr(channel, kind)(method, *serializers, **named)
        return name
