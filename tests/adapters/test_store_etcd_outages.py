"""etcd in trouble: killed, restarted, hung, without a quorum, wiped. A store never waits long, never falls silent."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.etcd import EtcdCluster, EtcdNode, run_etcd
from support.grpc_servers import TinyServer
from support.ports import free_port
from support.stores import events_of, next_batch, on_loop, open_etcd, until_answered, watching
from support.waiting import wait_until

from quaestor_actors.adapters.etcd_link import KEEPALIVE_S
from quaestor_actors.adapters.store_etcd import EtcdStore
from quaestor_actors.core.spec import StoreSpec
from quaestor_actors.core.store import (
    Deleted,
    KeyValue,
    LeaseNotFoundError,
    StoreUnavailableError,
)

TIMEOUT_S = 0.4
PATIENT_S = 10.0
"""Where an answer that is merely slow must not end a watch."""

BACK_S = 2.0
"""A store answers again so soon after etcd does."""

LEADERS_SEEN = "etcd_server_leader_changes_seen_total"

StartEtcd = Callable[..., EtcdCluster]


@pytest.fixture
def start_etcd(tmp_path: Path) -> Iterator[StartEtcd]:
    with ExitStack() as stack:
        yield lambda *flags, **options: stack.enter_context(run_etcd(tmp_path, *flags, **options))


def asked_first(cluster: EtcdCluster, first: EtcdNode) -> Any:
    """Return a specification whose first endpoint is this node."""
    others = [node for node in cluster.nodes if node is not first]
    return cluster.spec(endpoints=tuple(node.endpoint for node in (first, *others)))


async def ready(cluster: EtcdCluster) -> float:
    """Wait until all nodes are ready, and return when that was."""
    await asyncio.to_thread(cluster.expect_ready)
    return time.monotonic()


@on_loop
async def test__killed_etcd__is_said_to_be_away_and_answers_when_it_is_back(start_etcd: StartEtcd) -> None:
    cluster = start_etcd()
    (node,) = cluster.nodes
    async with open_etcd(cluster.spec()) as store:
        await store.put("key", "1")
        node.kill()
        for _ in range(20):
            with pytest.raises(StoreUnavailableError, match=f"no connection to {node.address}: ") as caught:
                await store.range("key")
        assert str(caught.value) == f"no connection to {node.address}: Connection refused"
        node.start()
        listing = asyncio.create_task(until_answered(lambda: store.range("key")))
        back = await ready(cluster)
        assert [entry.value for entry in (await listing).entries] == ["1"]
        assert time.monotonic() - back < BACK_S


@on_loop
async def test__watch__resumed_over_kills__misses_nothing(start_etcd: StartEtcd) -> None:
    # A single one, up to etcd 3.5.4, answers before it has written down what it answers (etcd issue 14370).
    cluster = start_etcd("--unsafe-no-fsync=false", size=3)
    number = 300
    heard: list[KeyValue | Deleted] = []

    async def follow(store: EtcdStore, revision: int) -> None:
        while len(heard) < number:
            try:
                async with watching(store, "key", from_revision=revision + 1) as (watch, _):
                    while len(heard) < number:
                        batch = await next_batch(watch)
                        heard.extend(batch.events)
                        revision = batch.revision
            except StoreUnavailableError:
                await asyncio.sleep(0)

    async with open_etcd(cluster.spec()) as writer, open_etcd(cluster.spec()) as reader:
        start = (await writer.range("key")).revision
        following = asyncio.create_task(follow(reader, start))
        for each in range(number):
            await until_answered(partial(writer.put, "key", str(each)))
            if each % 100 == 50:
                (asked,) = (node for node in cluster.nodes if node.address == reader.address)
                asked.kill()
                asked.start()
        await asyncio.wait_for(following, 20)
    # A put that was told to have failed may have been done, so the numbers may repeat; revisions have no gap.
    assert [event.mod_revision for event in heard] == list(range(start + 1, start + 1 + len(heard)))


@on_loop
async def test__hung_node__fails_in_time_and_another_is_asked(start_etcd: StartEtcd) -> None:
    cluster = start_etcd(size=3)
    hung, other, _ = cluster.nodes
    async with open_etcd(cluster.spec(), timeout_s=TIMEOUT_S) as store:
        revision = await until_answered(lambda: store.put("key", "1"))
        assert store.address == hung.address
        async with watching(store, "key", from_revision=revision + 1) as (watch, _):
            waiting = asyncio.create_task(next_batch(watch))
            hung.pause()
            before = time.monotonic()
            with pytest.raises(StoreUnavailableError) as caught:
                await store.range("key")
            assert time.monotonic() - before < TIMEOUT_S + BACK_S
            assert str(caught.value) == f"no answer from {hung.address} within {TIMEOUT_S:g} s"
            with pytest.raises(StoreUnavailableError, match="no answer from"):
                await waiting
        assert store.address == other.address
        await until_answered(lambda: store.put("key", "2"))
        async with watching(store, "key", from_revision=revision + 1) as (watch, _):
            assert (await events_of(watch, 1))[0].mod_revision > revision


@on_loop
async def test__calls__that_fail_together__change_the_endpoint_once(start_etcd: StartEtcd) -> None:
    cluster = start_etcd(size=3)
    first, other, _ = cluster.nodes
    async with open_etcd(cluster.spec()) as store:
        await until_answered(lambda: store.range("key"))
        assert store.address == first.address
        first.pause()
        # If each of them changed the endpoint, it would be the first one again.
        calls = [asyncio.create_task(store.range("key")) for _ in range(10 * len(cluster.nodes))]
        await asyncio.wait(calls, timeout=0.05)
        first.kill()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} == {StoreUnavailableError}
        assert store.address == other.address


@on_loop
async def test__watch__of_a_node_that_hangs_from_the_start__fails_in_time(start_etcd: StartEtcd) -> None:
    cluster = start_etcd()
    cluster.nodes[0].pause()
    async with open_etcd(cluster.spec(), timeout_s=TIMEOUT_S) as store:
        with pytest.raises(StoreUnavailableError, match=f"no answer from {store.address} within"):
            await anext(store.watch("key", from_revision=1))
        assert store.address == cluster.nodes[0].address


@on_loop
async def test__watch__alone_on_a_hung_node__is_ended_by_a_ping(start_etcd: StartEtcd) -> None:
    cluster = start_etcd()
    async with open_etcd(cluster.spec()) as store, watching(store, "key", from_revision=1) as (watch, _):
        cluster.nodes[0].pause()
        with pytest.raises(StoreUnavailableError, match="no connection to"):
            await next_batch(watch, 2 * KEEPALIVE_S)


@pytest.mark.parametrize("way", ["pause", "kill"])
def test__lost_quorum__ends_watches_and_fails_calls_until_it_is_back(start_etcd: StartEtcd, way: str) -> None:
    cluster = start_etcd(size=3)

    @on_loop
    async def story() -> None:
        left, *others = cluster.nodes
        async with open_etcd(cluster.spec(endpoints=(left.endpoint,)), timeout_s=TIMEOUT_S) as store:
            revision = await until_answered(lambda: store.put("key", "1"))
            async with watching(store, "key", from_revision=revision + 1) as (watch, _):
                for node in others:
                    getattr(node, way)()
                with pytest.raises(StoreUnavailableError, match="no leader"):
                    await next_batch(watch)
            with pytest.raises(StoreUnavailableError):
                await store.put("key", "2")
            for node in others:
                node.resume() if way == "pause" else node.start()
            written = asyncio.create_task(until_answered(lambda: store.put("key", "3")))
            back = await ready(cluster)
            await written
            assert time.monotonic() - back < BACK_S

    story()


@on_loop
async def test__killed_leader__is_not_noticed_on_another_node(start_etcd: StartEtcd) -> None:
    cluster = start_etcd(size=3)
    leader = cluster.leader()
    follower = next(node for node in cluster.nodes if node is not leader)
    async with open_etcd(asked_first(cluster, follower), timeout_s=PATIENT_S) as store:
        lease = await until_answered(lambda: store.grant(10))
        revision = await until_answered(lambda: store.put("key", "1", lease=lease.lease))
        async with watching(store, "key", from_revision=revision + 1) as (watch, _):
            before = follower.metric(LEADERS_SEEN)
            leader.kill()
            # What was on its way to the leader is lost and times out; but not what comes later.
            await asyncio.to_thread(wait_until, lambda: follower.metric(LEADERS_SEEN) > before, 5, "a new leader")
            await until_answered(lambda: store.put("key", "2", lease=lease.lease))
            await until_answered(lambda: store.keep_alive(lease.lease))
            assert (await next_batch(watch)).revision == revision + 1
        assert store.address == follower.address


@on_loop
async def test__wiped_etcd__shows_a_lower_revision_and_no_leases(start_etcd: StartEtcd) -> None:
    cluster = start_etcd()
    (node,) = cluster.nodes
    async with open_etcd(cluster.spec()) as store:
        lease = (await store.grant(60)).lease
        for _ in range(5):
            revision = await store.put("key", "", lease=lease)
        node.kill()
        node.wipe()
        node.start()
        await ready(cluster)
        await until_answered(lambda: store.range("key"))
        async with watching(store, "key", from_revision=revision + 1) as (_, first):
            assert first < revision
        with pytest.raises(LeaseNotFoundError):
            await store.keep_alive(lease)
        with pytest.raises(LeaseNotFoundError):
            await store.put("key", "", lease=lease)


@on_loop
async def test__node_that_lags__does_not_look_wiped(start_etcd: StartEtcd) -> None:
    cluster = start_etcd(size=3)
    other = cluster.leader()
    lagging = next(node for node in cluster.nodes if node is not other)
    one = cluster.spec(endpoints=(lagging.endpoint,))
    async with open_etcd(asked_first(cluster, other)) as writer, open_etcd(one) as store:
        await until_answered(lambda: store.range("key"))
        lagging.pause()
        for _ in range(10):
            await asyncio.gather(*(until_answered(lambda: writer.put("key", "x" * 1000)) for _ in range(100)))
        revision = (await until_answered(lambda: writer.range("key"))).revision
        lagging.resume()
        async with watching(store, "key", from_revision=revision + 1) as (_, first):
            assert first >= revision


@on_loop
async def test__closed_watches__leave_no_call_behind(start_etcd: StartEtcd) -> None:
    (node,) = (cluster := start_etcd()).nodes

    def watchers() -> float:
        return node.metric("etcd_debugging_mvcc_watch_stream_total")

    async with open_etcd(cluster.spec()) as store:
        for _ in range(3):
            async with watching(store, "key", from_revision=1) as (watch, _):
                assert await asyncio.to_thread(watchers) == 1
                waiting = asyncio.create_task(next_batch(watch))
                await asyncio.wait([waiting], timeout=0.01)
                waiting.cancel()
                await asyncio.wait([waiting])
            await asyncio.to_thread(wait_until, lambda: watchers() == 0, 5, "no watch on the server")


@on_loop
async def test__endpoint_that_is_no_etcd__is_passed_over(start_etcd: StartEtcd) -> None:
    cluster = start_etcd()
    with TinyServer() as stranger, socket.create_server(("127.0.0.1", 0)) as silent:
        addresses = [stranger.port, silent.getsockname()[1], free_port(), cluster.nodes[0].plan.client_port]
        spec = cluster.spec(endpoints=tuple(("127.0.0.1", each) for each in addresses))
        async with open_etcd(spec, timeout_s=TIMEOUT_S) as store:
            for reason in ("UNIMPLEMENTED", "no answer", "Connection refused"):
                with pytest.raises(StoreUnavailableError, match=reason) as caught:
                    await store.range("key")
                assert "debug_error_string" not in str(caught.value)
            await store.range("key")
            assert store.address == cluster.nodes[0].address


@on_loop
async def test__stream__that_never_begins__fails_in_time_and_with_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        spec = StoreSpec(endpoints=(silent.getsockname(),))
        async with open_etcd(spec, timeout_s=TIMEOUT_S) as store:
            with pytest.raises(StoreUnavailableError, match="no answer"):
                await store.keep_alive(1)
        async with open_etcd(spec, timeout_s=PATIENT_S) as store:
            waiting = asyncio.create_task(store.keep_alive(1))
            await asyncio.wait([waiting], timeout=0.05)
            before = time.monotonic()
            await store.close()
            with pytest.raises(StoreUnavailableError, match="closed"):
                await waiting
            assert time.monotonic() - before < BACK_S
