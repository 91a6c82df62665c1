"""What etcd may answer beside what was asked for: foreign bytes, and refusals that mean this or that."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from pyetcd import etcdrpc
from support.etcd import EtcdCluster, run_etcd
from support.stores import events_of, on_loop, open_etcd, watching

from quaestor_actors.adapters.etcd_errors import is_reason_to_leave, is_token_refused, store_error
from quaestor_actors.adapters.store_etcd import EtcdStore
from quaestor_actors.core.spec import StoreSpec
from quaestor_actors.core.store import (
    Deleted,
    KeyValue,
    LeaseNotFoundError,
    Put,
    StoreDeniedError,
    StoreError,
    StoreUnavailableError,
    WatchBatch,
)

Code = grpc.StatusCode


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    with run_etcd(tmp_path_factory.mktemp("etcd")) as running:
        yield running


@on_loop
async def test__foreign_bytes__are_listed_and_watched_with_escapes(cluster: EtcdCluster) -> None:
    async with open_etcd(cluster.spec()) as store:
        revision = await store.put("foreign/ours", "1")
        # Lone surrogates are how Python gives a program arguments that are not UTF-8.
        cluster.ctl("put", "foreign/\udcff", "\udcfe")
        cluster.ctl("del", "foreign/\udcff")
        cluster.ctl("put", "foreign/\udcff", "\udcfe")
        listing = await store.range("foreign/")
        assert [(entry.key, entry.value) for entry in listing.entries] == [
            ("foreign/\\xff", "\\xfe"),
            ("foreign/ours", "1"),
        ]
        async with watching(store, "foreign/", from_revision=revision + 1) as (watch, _):
            events = await events_of(watch, 3)
        assert [(type(event), event.key) for event in events] == [
            (KeyValue, "foreign/\\xff"),
            (Deleted, "foreign/\\xff"),
            (KeyValue, "foreign/\\xff"),
        ]


@on_loop
async def test__value__that_is_too_large_is_denied(cluster: EtcdCluster) -> None:
    async with open_etcd(cluster.spec()) as store:
        with pytest.raises(StoreDeniedError, match=f"{store.address} refuses: request is too large"):
            await store.transact([Put(key="key", value="x" * 2_000_000)])


class OddEtcd(etcdrpc.KVServicer, etcdrpc.WatchServicer):  # type: ignore[misc] # pyetcd has no types
    """Answers what a watch needs first, and then does something else than to watch."""

    def __init__(self, *answers: Any, stays: bool) -> None:
        """Take what the stream of a watch brings, and whether it stays open after that."""
        self._answers = answers
        self._stays = stays

    def Range(self, _request: Any, _context: Any) -> Any:
        return etcdrpc.RangeResponse()

    def Watch(self, requests: Any, context: Any) -> Iterator[Any]:
        next(requests)
        ended = threading.Event()
        context.add_callback(ended.set)
        yield from self._answers
        if self._stays:
            ended.wait()


@contextmanager
def run_server(odd: OddEtcd) -> Iterator[StoreSpec]:
    # Not of grpc.aio: one such must not outlive its loop, and the last to hold it is garbage after that.
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    etcdrpc.add_KVServicer_to_server(odd, server)
    etcdrpc.add_WatchServicer_to_server(odd, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield StoreSpec(endpoints=(("127.0.0.1", port),))
    finally:
        server.stop(None).wait()


async def batches_of(store: EtcdStore) -> list[WatchBatch]:
    return [batch async for batch in store.watch("key", from_revision=1)]


CREATED = etcdrpc.WatchResponse(created=True)


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (OddEtcd(stays=True), "no answer from .* within 0.2 s"),
        (OddEtcd(stays=False), "has ended a stream"),
        (OddEtcd(CREATED, stays=False), "has ended a stream"),
        (OddEtcd(CREATED, etcdrpc.WatchResponse(canceled=True), stays=True), "ended a watch: no reason given"),
        (OddEtcd(etcdrpc.WatchResponse(canceled=True, cancel_reason="why"), stays=True), "ended a watch: why"),
    ],
    ids=["is silent", "ends", "ends later", "is cancelled later", "is cancelled"],
)
def test__watch__that_is_none__is_an_error(odd: OddEtcd, message: str) -> None:
    @on_loop
    async def story() -> None:
        with run_server(odd) as spec:
            async with open_etcd(spec, timeout_s=0.2) as store:
                with pytest.raises(StoreUnavailableError, match=message):
                    await batches_of(store)

    story()


def failure(code: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)


@pytest.mark.parametrize(
    ("code", "details", "kind", "message", "leaves"),
    [
        (Code.DEADLINE_EXCEEDED, "Deadline Exceeded", StoreUnavailableError, "no answer from a:1 within 2 s", True),
        (Code.UNAVAILABLE, "all: last: ipv4:1: reset", StoreUnavailableError, "no connection to a:1: reset", True),
        (Code.UNAVAILABLE, "etcdserver: no leader", StoreUnavailableError, "a:1 cannot decide: no leader", True),
        (
            Code.UNAVAILABLE,
            "etcdserver: request timed out",
            StoreUnavailableError,
            "a:1 cannot decide: request timed out",
            True,
        ),
        (
            Code.UNAVAILABLE,
            "etcdserver: leader changed",
            StoreUnavailableError,
            "a:1 cannot decide: leader changed",
            False,
        ),
        (
            Code.RESOURCE_EXHAUSTED,
            "etcdserver: mvcc: database space exceeded",
            StoreUnavailableError,
            "a:1 fails: RESOURCE_EXHAUSTED: mvcc: database space exceeded",
            False,
        ),
        (Code.NOT_FOUND, "etcdserver: requested lease not found", LeaseNotFoundError, "a:1 has no such lease", False),
        (Code.UNAUTHENTICATED, "etcdserver: invalid auth token", StoreDeniedError, "a:1 refuses: invalid", False),
        (Code.PERMISSION_DENIED, "etcdserver: permission denied", StoreDeniedError, "a:1 refuses: perm", False),
        (Code.UNIMPLEMENTED, "unknown\x1b[31m", StoreUnavailableError, "a:1 fails: UNIMPLEMENTED: unknown [31m", True),
    ],
)
def test__failures__mean_what_the_port_says(
    code: grpc.StatusCode, details: str, kind: type[StoreError], message: str, *, leaves: bool
) -> None:
    error = failure(code, details)
    said = store_error(error, address="a:1", timeout_s=2)
    assert type(said) is kind
    assert str(said).startswith(message)
    assert is_reason_to_leave(error) is leaves


@pytest.mark.parametrize(
    ("code", "details", "refused"),
    [
        (Code.UNAUTHENTICATED, "etcdserver: invalid auth token", True),
        (Code.INVALID_ARGUMENT, "etcdserver: user name is empty", True),
        (Code.INVALID_ARGUMENT, "etcdserver: revision of auth store is old", True),
        (Code.PERMISSION_DENIED, "etcdserver: permission denied", False),
        (Code.INVALID_ARGUMENT, "etcdserver: request is too large", False),
    ],
)
def test__token__is_replaced_when_another_may_help(code: grpc.StatusCode, details: str, *, refused: bool) -> None:
    assert is_token_refused(failure(code, details)) is refused
