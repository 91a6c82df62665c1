"""The store that several machines share: etcd, through its API v3.

Of the package `etcd-sdk-python` (imported as `pyetcd`) only the generated stubs are used, with `grpc.aio`. Its own
client works with threads, and in an outage it gets in the way: an endpoint that failed once is not asked again for
minutes, watches end silently or block each other, keeping a dead lease alive succeeds, and an expired token stays.

One endpoint is asked at a time. When it fails, its connection is closed, watches included, and the next call goes to
the next endpoint. Nothing is retried here, but for a login that has expired: whoever uses the store knows better what
to do over.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
from pyetcd import etcdrpc

from quaestor_actors.adapters.etcd_errors import is_reason_to_leave, silence, store_error
from quaestor_actors.adapters.etcd_link import EtcdLink, Read, open_channel
from quaestor_actors.adapters.etcd_login import login
from quaestor_actors.adapters.etcd_messages import (
    change,
    delete_request,
    key_value,
    prefix_range,
    put_request,
    transaction_request,
    watch_request,
)
from quaestor_actors.adapters.health_link import brief
from quaestor_actors.core.location import join_address
from quaestor_actors.core.spec import StoreSpec
from quaestor_actors.core.store import (
    MAX_OPERATIONS,
    NO_LEASE,
    CompactedError,
    Condition,
    Delete,
    KeyValue,
    LeaseNotFoundError,
    LeaseState,
    Listing,
    Operation,
    Outcome,
    Put,
    StoreDeniedError,
    StoreError,
    StoreUnavailableError,
    WatchBatch,
)

RESPONSE_TIMEOUT_S = 2.0

WRITE_TIMEOUT_S = 1.0
"""Less than a new leader's election and a second take: what was on its way to a lost one is never answered."""

PAGE_KEYS = 5_000
"""So many keys are listed by one call."""

_NEEDS_LEADER = ("hasleader", "true")
"""Without it a server that is cut off from the others keeps a watch open in silence."""


class EtcdStore:
    """Implements `core.store.Store`. After `close`, everything raises `StoreUnavailableError`.

    What etcd refuses for another reason than the user is `StoreDeniedError`, too, such as a value that is too large.
    """

    def __init__(
        self,
        spec: StoreSpec,
        *,
        environ: Mapping[str, str],
        log: logging.Logger,
        response_timeout_s: float = RESPONSE_TIMEOUT_S,
        keep_alive_timeout_s: float | None = None,
    ) -> None:
        """Prepare the store; nothing is opened or read before the first call.

        Args:
            spec: Where etcd is, and how it is reached.
            environ: Has the user and the password, unless the specification names them.
            log: For changes of the endpoint.
            response_timeout_s: Deadline of each call to etcd; changes have `WRITE_TIMEOUT_S` at the most.
            keep_alive_timeout_s: Deadline of keeping a lease alive, which writes nothing; None: the same.
        """
        self._spec = spec
        self._environ = environ
        self._log = log
        self._timeout_s = response_timeout_s
        self._write_timeout_s = min(response_timeout_s, WRITE_TIMEOUT_S)
        self._keep_alive_timeout_s = keep_alive_timeout_s or response_timeout_s
        self._addresses = tuple(join_address(host, port) for host, port in spec.endpoints)
        self._turn = 0
        """How often an endpoint was left."""
        self._link: EtcdLink | None = None
        self._has_answered = False
        """Whether the present endpoint has."""
        self._is_closed = False

    @property
    def address(self) -> str:
        """Who is, or will be, asked: for people."""
        return self._addresses[self._turn % len(self._addresses)]

    async def range(self, prefix: str) -> Listing:
        """Return all keys that begin with the prefix, as of the newest revision (linearizable)."""
        first, end = prefix_range(prefix)
        entries: list[KeyValue] = []
        revision = 0
        while True:
            page = await self._read_page(first, end, revision)
            revision = revision or page.header.revision
            entries.extend(map(key_value, page.kvs))
            if not page.more:
                # Keys that are not UTF-8 may be elsewhere among the bytes than among the texts.
                return Listing(revision=revision, entries=tuple(sorted(entries, key=lambda entry: entry.key)))
            first = page.kvs[-1].key + b"\0"

    async def put(self, key: str, value: str, *, lease: int = NO_LEASE) -> int:
        """Write a key, and return the revision.

        Raises:
            LeaseNotFoundError: the lease is no more; nothing was written.
        """
        answer = await self._change(lambda link: link.kv.Put, put_request(Put(key=key, value=value, lease=lease)))
        return int(answer.header.revision)

    async def delete(self, key: str) -> bool:
        """Delete a key, and return whether it was there."""
        answer = await self._change(lambda link: link.kv.DeleteRange, delete_request(Delete(key=key)))
        return bool(answer.deleted)

    async def transact(self, operations: Sequence[Operation], *, conditions: Sequence[Condition] = ()) -> Outcome:
        """Do all operations at one revision if all conditions hold, else nothing.

        Raises:
            StoreDeniedError: There are too many operations, or a key is in two of them.
            LeaseNotFoundError: a lease of a put is no more; nothing was done.
        """
        if len(operations) > MAX_OPERATIONS:
            raise StoreDeniedError(f"too many operations in a transaction: {len(operations)}, not {MAX_OPERATIONS}")
        answer = await self._change(lambda link: link.kv.Txn, transaction_request(operations, conditions))
        return Outcome(succeeded=answer.succeeded, revision=answer.header.revision)

    async def watch(self, prefix: str, *, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Yield all changes below the prefix from a revision on, the past ones first.

        The revision of a batch with changes is that of its last change, which may be less than what etcd has reached:
        a long past comes in several batches.

        Raises:
            CompactedError: the revision is compacted.
        """
        async with self._asking() as link:
            # Brings a server that lags up to date, which would look as if data were lost; and has a login that has
            # expired renewed, which a watch takes for a lack of permission.
            first, end = prefix_range(prefix)
            await link.ask(link.kv.Range, etcdrpc.RangeRequest(key=first, range_end=end, count_only=True))
            async with AsyncExitStack() as stack:
                stream = link.stream(link.watch.Watch, watch_request(prefix, from_revision), _NEEDS_LEADER)
                async with asyncio.timeout(self._timeout_s):
                    read = await stack.enter_async_context(stream)
                    created = await self._next(link, read)
                yield WatchBatch(revision=created.header.revision)
                while True:
                    answer = await self._next(link, read)
                    if answer.events:
                        events = tuple(map(change, answer.events))
                        yield WatchBatch(revision=events[-1].mod_revision, events=events)

    async def grant(self, ttl_s: float) -> LeaseState:
        """Make a lease; etcd counts in whole seconds, and rounds up to a little more than its election timeout."""
        request = etcdrpc.LeaseGrantRequest(TTL=max(1, math.ceil(ttl_s)))
        answer = await self._change(lambda link: link.lease.LeaseGrant, request)
        return LeaseState(lease=answer.ID, ttl_s=float(answer.TTL), remaining_s=float(answer.TTL))

    async def keep_alive(self, lease: int) -> float:
        """Make a lease last its whole time again, and return that.

        Raises:
            LeaseNotFoundError: it is no more.
        """
        timeout_s = self._keep_alive_timeout_s
        async with self._asking(timeout_s) as link:
            request = etcdrpc.LeaseKeepAliveRequest(ID=lease)
            answer = await link.ask_stream(link.lease.LeaseKeepAlive, request, timeout_s=timeout_s)
            if answer.TTL <= 0:
                raise _no_lease(link, lease)
            return float(answer.TTL)

    async def lease_state(self, lease: int) -> LeaseState:
        """Return how long a lease lasts.

        Raises:
            LeaseNotFoundError: it is no more.
        """
        async with self._asking() as link:
            answer = await link.ask(link.lease.LeaseTimeToLive, etcdrpc.LeaseTimeToLiveRequest(ID=lease))
            if answer.TTL < 0:
                raise _no_lease(link, lease)
            return LeaseState(lease=lease, ttl_s=float(answer.grantedTTL), remaining_s=float(answer.TTL))

    async def revoke(self, lease: int) -> None:
        """End a lease and delete its keys at one revision.

        Raises:
            LeaseNotFoundError: it is no more.
        """
        await self._change(lambda link: link.lease.LeaseRevoke, etcdrpc.LeaseRevokeRequest(ID=lease))

    async def close(self) -> None:
        """Let go of everything; watches end."""
        self._is_closed = True
        link, self._link = self._link, None
        if link is not None:
            await link.close(f"the connection to {link.address} was closed")

    async def _change(self, rpc: Callable[[EtcdLink], Any], request: Any) -> Any:
        async with self._asking(self._write_timeout_s) as link:
            return await link.ask(rpc(link), request, timeout_s=self._write_timeout_s)

    async def _read_page(self, first: bytes, end: bytes, revision: int) -> Any:
        request = etcdrpc.RangeRequest(key=first, range_end=end, limit=PAGE_KEYS, revision=revision)
        async with self._asking() as link:
            return await link.ask(link.kv.Range, request)

    async def _next(self, link: EtcdLink, read: Read) -> Any:
        answer = await read()
        if answer.compact_revision:
            raise CompactedError(f"the revision is compacted; the oldest one known is {answer.compact_revision}")
        if answer.canceled:
            raise StoreUnavailableError(f"{link.address} has ended a watch: {brief(answer.cancel_reason)}")
        return answer

    @asynccontextmanager
    async def _asking(self, timeout_s: float | None = None) -> AsyncIterator[EtcdLink]:
        """Give the link for some calls; failures become the port's errors, and the endpoint that failed is left."""
        timeout_s = timeout_s or self._timeout_s
        link = self._open()
        try:
            yield link
        except TimeoutError as error:
            failure: StoreError = silence(link.address, timeout_s)
            await self._leave(link, failure)
            raise failure from error
        except grpc.aio.AioRpcError as error:
            failure = store_error(error, address=link.address, timeout_s=timeout_s)
            if is_reason_to_leave(error):
                await self._leave(link, failure)
            raise failure from error
        if link is self._link and not self._has_answered:
            self._has_answered = True
            self._log.info("etcd answers at %s", link.address)

    def _open(self) -> EtcdLink:
        if self._is_closed:
            raise StoreUnavailableError("the connection to etcd was closed")
        if self._link is None:
            self._has_answered = False
            self._link = EtcdLink(
                address=self.address,
                channel=open_channel(self._spec, self.address),
                login=login(self._spec, self._environ),
                timeout_s=self._timeout_s,
                log=self._log,
            )
        return self._link

    async def _leave(self, link: EtcdLink, failure: StoreError) -> None:
        # Of several calls that fail together the first one changes the endpoint; the others had the old one.
        if self._link is link:
            self._link = None
            self._turn += 1
            self._log.debug("%s; the next call goes to %s", failure, self.address)
        await link.close(str(failure))


def _no_lease(link: EtcdLink, lease: int) -> LeaseNotFoundError:
    return LeaseNotFoundError(f"{link.address} has no lease {lease:x}")
