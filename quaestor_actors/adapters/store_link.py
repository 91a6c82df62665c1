"""Does what a registrar or a host of several wants of a store, on a thread of its own, and tells what came of that.

Of several stores the first one that answers is used, from then on and for good.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from typing import Any, assert_never

from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.core import owner_record
from quaestor_actors.core.coordination_state import Change, Changed, ChangeFailed
from quaestor_actors.core.owner_record import Owner
from quaestor_actors.core.registrar_state import Write, WriteDone, WriteFailed
from quaestor_actors.core.store import (
    CompactedError,
    Delete,
    HasLease,
    LeaseNotFoundError,
    Put,
    Store,
    StoreDeniedError,
    StoreError,
)
from quaestor_actors.core.store_work import (
    FollowingFailed,
    GrantLease,
    KeepAlive,
    LeaseFailed,
    LeaseGone,
    LeaseHeld,
    ListAll,
    Listed,
    Revoke,
    Watch,
    Watched,
)

StoreEffect = GrantLease | KeepAlive | Revoke | ListAll | Watch | Write | Change


class StoreLink:
    """The way to a store. The methods belong on the owner's thread; nothing is created before `start`."""

    def __init__(
        self,
        stores: Sequence[Store],
        *,
        prefix: str,
        owner: Owner | None,
        on_event: Callable[[Any], None],
        on_crash: Callable[[BaseException], None],
    ) -> None:
        """Prepare the link.

        Args:
            stores: At least one; they are closed with the link.
            prefix: Of the keys that are followed.
            owner: Who is said to hold the leases; None: the store is not told.
            on_event: Called on the link's thread with what came of each effect, which says what that can be; must not
                block.
            on_crash: Called on the link's thread with an error that nobody expected.
        """
        self._loop = LoopThread(name="store", on_crash=on_crash)
        self._work = _Work(stores, prefix=prefix, owner=owner, on_event=on_event)

    def start(self) -> None:
        """Start the thread."""
        self._loop.start()

    def perform(self, effect: StoreEffect) -> None:
        """Begin to do what is wanted; what comes of it is told as events."""
        self._loop.post(lambda: self._work.begin(self._loop, effect))

    def stop(self) -> None:
        """Let go of the store and end the thread; what is under way is not finished. A second call does nothing."""
        if self._loop.is_running:
            self._loop.call(self._work.close()).result()
            self._loop.stop()


class _Work:
    """What runs on the loop."""

    def __init__(
        self, stores: Sequence[Store], *, prefix: str, owner: Owner | None, on_event: Callable[[Any], None]
    ) -> None:
        self._stores = list(stores)
        self._has_answered = False
        self._prefix = prefix
        self._owner = None if owner is None else owner_record.encode(owner)
        self._tell = on_event
        self._following: asyncio.Task[None] | None = None
        self._log = logging.getLogger("store")

    @property
    def store(self) -> Store:
        return self._stores[0]

    def begin(self, loop: LoopThread, effect: StoreEffect) -> None:
        match effect:
            case ListAll() | Watch():
                if self._following is not None:
                    self._following.cancel()
                self._following = loop.spawn(self._list(effect) if isinstance(effect, ListAll) else self._watch(effect))
            case GrantLease():
                loop.spawn(self._grant(effect))
            case KeepAlive():
                loop.spawn(self._keep_alive(effect))
            case Revoke():
                loop.spawn(self._revoke(effect))
            case Write():
                loop.spawn(self._write(effect))
            case Change():
                loop.spawn(self._change(effect))
            case _:
                assert_never(effect)

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
        for store in self._stores:
            await store.close()

    async def _grant(self, effect: GrantLease) -> None:
        store = self.store
        try:
            granted = await store.grant(effect.ttl_s)
            self._heard(store)
            if self._owner is not None:
                await self._sign(store, granted.lease, self._owner)
        except StoreError as error:
            self._failed(store)
            self._tell(LeaseFailed(reason=str(error), refused=isinstance(error, StoreDeniedError)))
        else:
            self._tell(LeaseHeld(lease=granted.lease, ttl_s=granted.ttl_s))

    async def _sign(self, store: Store, lease: int, owner: str) -> None:
        try:
            await store.put(owner_record.key_of(lease), owner, lease=lease)
        except StoreDeniedError as error:
            # Who may write locations alone can register all the same; people just do not see who it was.
            self._log.warning("others cannot see who registers here: %s", error)

    async def _keep_alive(self, effect: KeepAlive) -> None:
        store = self.store
        try:
            ttl_s = await store.keep_alive(effect.lease)
        except LeaseNotFoundError:
            self._tell(LeaseGone(lease=effect.lease))
        except StoreError as error:
            self._failed(store)
            self._tell(LeaseFailed(reason=str(error), refused=isinstance(error, StoreDeniedError)))
        else:
            self._heard(store)
            self._tell(LeaseHeld(lease=effect.lease, ttl_s=ttl_s))

    async def _revoke(self, effect: Revoke) -> None:
        # One that is not revoked ends by itself, a little later.
        with suppress(StoreError):
            await self.store.revoke(effect.lease)

    async def _list(self, effect: ListAll) -> None:
        store = self.store
        try:
            listing = await store.range(self._prefix)
        except StoreError as error:
            self._failed(store)
            refused = isinstance(error, StoreDeniedError)
            self._tell(FollowingFailed(number=effect.number, reason=str(error), refused=refused))
        else:
            self._heard(store)
            self._tell(Listed(number=effect.number, listing=listing))

    async def _watch(self, effect: Watch) -> None:
        reason, compacted, refused = "the watch has ended", False, False
        try:
            async with aclosing(self.store.watch(self._prefix, from_revision=effect.from_revision)) as batches:
                async for batch in batches:
                    self._tell(Watched(number=effect.number, batch=batch))
        except CompactedError as error:
            reason, compacted = str(error), True
        except StoreError as error:
            reason, refused = str(error), isinstance(error, StoreDeniedError)
        self._tell(FollowingFailed(number=effect.number, reason=reason, compacted=compacted, refused=refused))

    async def _write(self, effect: Write) -> None:
        put = tuple(key for key, _ in effect.puts)
        removed = tuple(key for key, _ in effect.removals)
        revision = 0
        try:
            await self._remove(effect)
            if effect.puts:
                puts = [Put(key=key, value=value, lease=effect.lease) for key, value in effect.puts]
                revision = (await self.store.transact(puts)).revision
        except LeaseNotFoundError as error:
            self._tell(WriteFailed(keys=put + removed, reason=str(error), gone=effect.lease))
        except StoreError as error:
            refused = isinstance(error, StoreDeniedError)
            self._tell(WriteFailed(keys=put + removed, reason=str(error), refused=refused))
        else:
            self._tell(WriteDone(lease=effect.lease, put=put, revision=revision, removed=removed))

    async def _change(self, effect: Change) -> None:
        try:
            outcome = await self.store.transact(effect.operations, conditions=effect.conditions)
        except StoreError as error:
            # Also for a put whose lease is gone: whoever keeps that lease alive learns it there.
            self._tell(ChangeFailed(number=effect.number, reason=str(error)))
        else:
            self._tell(Changed(number=effect.number, succeeded=outcome.succeeded, revision=outcome.revision))

    async def _remove(self, effect: Write) -> None:
        deletes = [Delete(key=key) for key, _ in effect.removals]
        conditions = [HasLease(key=key, lease=lease) for key, lease in effect.removals]
        if not deletes or (await self.store.transact(deletes, conditions=conditions)).succeeded:
            return
        # One of them has gone to somebody else, or is gone; that must not keep the others.
        for delete, condition in zip(deletes, conditions, strict=True):
            await self.store.transact([delete], conditions=[condition])

    def _heard(self, store: Store) -> None:
        if not self._has_answered and store is self.store:
            self._has_answered = True

    def _failed(self, store: Store) -> None:
        """Go on to the next store, unless one has answered."""
        if not self._has_answered and store is self.store:
            self._stores.append(self._stores.pop(0))
