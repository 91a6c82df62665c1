"""What `core.store` speaks of, as messages of etcd's API v3, and back.

Our keys and values are UTF-8. Others may have written anything: what is not UTF-8 is shown with backslash escapes, so
that it can be listed and logged. It then equals no key that has no backslash.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, assert_never

from pyetcd import etcdrpc
from pyetcd.etcdrpc import kv_pb2

from quaestor_actors.core.store import (
    NO_LEASE,
    Condition,
    Delete,
    Deleted,
    HasLease,
    HasRevision,
    KeyValue,
    Operation,
    Put,
)

_FIRST_KEY = b"\0"
_NO_END = b"\0"
"""As the end of a range: there is none."""


def prefix_range(prefix: str) -> tuple[bytes, bytes]:
    """Return the first key and the end, exclusive, of all keys that begin with a prefix."""
    first = prefix.encode()
    if not first:
        return _FIRST_KEY, _NO_END
    # The last byte of UTF-8 is never 255.
    return first, first[:-1] + bytes([first[-1] + 1])


def put_request(put: Put) -> Any:
    """Return the request that writes a key."""
    return etcdrpc.PutRequest(key=put.key.encode(), value=put.value.encode(), lease=put.lease)


def delete_request(delete: Delete) -> Any:
    """Return the request that deletes a key."""
    return etcdrpc.DeleteRangeRequest(key=delete.key.encode())


def transaction_request(operations: Sequence[Operation], conditions: Sequence[Condition]) -> Any:
    """Return the request for a transaction."""
    return etcdrpc.TxnRequest(
        compare=[compare for condition in conditions for compare in _compares(condition)],
        success=[_request_op(operation) for operation in operations],
    )


def watch_request(prefix: str, from_revision: int) -> Any:
    """Return the request that creates a watch."""
    first, end = prefix_range(prefix)
    # 0 would mean: from now on.
    creation = etcdrpc.WatchCreateRequest(key=first, range_end=end, start_revision=max(from_revision, 1))
    return etcdrpc.WatchRequest(create_request=creation)


def key_value(message: Any) -> KeyValue:
    """Return a key as etcd has it."""
    return KeyValue(
        key=_text(message.key),
        value=_text(message.value),
        create_revision=message.create_revision,
        mod_revision=message.mod_revision,
        lease=message.lease,
    )


def change(event: Any) -> KeyValue | Deleted:
    """Return one event of a watch."""
    if event.type == kv_pb2.Event.DELETE:
        return Deleted(key=_text(event.kv.key), mod_revision=event.kv.mod_revision)
    return key_value(event.kv)


def _compares(condition: Condition) -> Iterator[Any]:
    key = condition.key.encode()
    match condition:
        case HasLease():
            yield etcdrpc.Compare(key=key, target=etcdrpc.Compare.LEASE, lease=condition.lease)
            if condition.lease == NO_LEASE:
                # To etcd, a key that is not there is under no lease.
                greater, version = etcdrpc.Compare.GREATER, etcdrpc.Compare.VERSION
                yield etcdrpc.Compare(key=key, result=greater, target=version, version=0)
        case HasRevision():
            yield etcdrpc.Compare(key=key, target=etcdrpc.Compare.MOD, mod_revision=condition.mod_revision)
        case _:
            assert_never(condition)


def _request_op(operation: Operation) -> Any:
    match operation:
        case Put():
            return etcdrpc.RequestOp(request_put=put_request(operation))
        case Delete():
            return etcdrpc.RequestOp(request_delete_range=delete_request(operation))
        case _:
            assert_never(operation)


def _text(raw: bytes) -> str:
    return raw.decode(errors="backslashreplace")
