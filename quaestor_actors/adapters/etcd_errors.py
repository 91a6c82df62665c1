"""What etcd's refusals and gRPC's failures mean to somebody who uses a store, in words for people.

The texts are those of etcd's `api/v3rpc/rpctypes/error.go`; clients have to tell most cases apart by them.
"""

from __future__ import annotations

import grpc

from quaestor_actors.adapters.health_link import brief
from quaestor_actors.core.spec import STORE_PASSWORD_VARIABLE, STORE_USER_VARIABLE
from quaestor_actors.core.store import LeaseNotFoundError, StoreDeniedError, StoreError, StoreUnavailableError

_SERVER = "etcdserver: "
_NO_USER = "user name is empty"
_TOKEN_REFUSED = ("invalid auth token", "revision of auth store is old", _NO_USER)
_REASONS_TO_LEAVE = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        # No etcd at all, or a broken one.
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DATA_LOSS,
    }
)


def is_reason_to_leave(error: grpc.aio.AioRpcError) -> bool:
    """Tell whether another endpoint may do better than the one that failed so."""
    # "leader changed" interrupts one read; whoever says so already knows the new leader.
    return error.code() in _REASONS_TO_LEAVE and _details(error) != "leader changed"


def is_token_refused(error: grpc.aio.AioRpcError) -> bool:
    """Tell whether another token may help: it is unknown (any more), or there was none."""
    return error.code() is grpc.StatusCode.UNAUTHENTICATED or _details(error) in _TOKEN_REFUSED


def is_authentication_off(error: grpc.aio.AioRpcError) -> bool:
    """Tell whether users do not matter to this etcd."""
    return _details(error) == "authentication is not enabled"


def silence(address: str, timeout_s: float) -> StoreUnavailableError:
    """Return the error for an endpoint that does not answer."""
    return StoreUnavailableError(f"no answer from {address} within {timeout_s:g} s")


def store_error(error: grpc.aio.AioRpcError, *, address: str, timeout_s: float) -> StoreError:
    """Return the failure of a call as the port's error."""
    details = _details(error)
    match error.code():
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return silence(address, timeout_s)
        case grpc.StatusCode.UNAVAILABLE if (error.details() or "").startswith(_SERVER):
            return StoreUnavailableError(f"{address} cannot decide: {details}")
        case grpc.StatusCode.UNAVAILABLE:
            # gRPC's text is a chain of causes; the last one is what a person can act on.
            return StoreUnavailableError(f"no connection to {address}: {details.rsplit(': ', maxsplit=1)[-1]}")
        case grpc.StatusCode.NOT_FOUND if details == "requested lease not found":
            return LeaseNotFoundError(f"{address} has no such lease")
        case grpc.StatusCode.INVALID_ARGUMENT if details == _NO_USER:
            remedy = f"name them in the configuration, or by {STORE_USER_VARIABLE} and {STORE_PASSWORD_VARIABLE}"
            return StoreDeniedError(f"{address} wants a user and a password: {remedy}")
        case grpc.StatusCode.PERMISSION_DENIED | grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.INVALID_ARGUMENT:
            return StoreDeniedError(f"{address} refuses: {details}")
        case code:
            return StoreUnavailableError(f"{address} fails: {code.name}: {details}")


def _details(error: grpc.aio.AioRpcError) -> str:
    return brief(error.details()).removeprefix(_SERVER)
