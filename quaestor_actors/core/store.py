"""The port to the store that several machines share: etcd's model of keys, revisions, leases, watches and transactions.

A store is one ordered history: every change has a revision, greater than all before. What is written under a lease
vanishes with it, unless the lease is kept alive. `adapters.store_memory` and `adapters.store_etcd` implement this;
their behaviour is the same as far as the contract tests look.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from quaestor_actors.errors import QuaestorError

NO_LEASE = 0


class StoreError(QuaestorError):
    """An operation on a store failed; the message says why, for people."""


class StoreUnavailableError(StoreError):
    """Nobody answered in time, or whoever did cannot decide (no quorum). Whether a write took effect is unknown."""


class StoreDeniedError(StoreError):
    """The store refuses this user, or what the user asks for; asking again is of no use before somebody mends that."""


class LeaseNotFoundError(StoreError):
    """The lease has expired, was revoked, or the store has lost its data."""


class CompactedError(StoreError):
    """A watch asked for revisions that the store no longer has: list everything, and watch from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValue:
    """One key as the store has it."""

    key: str
    value: str
    create_revision: int
    """Of the change that made the key; another one after it was deleted and made again."""
    mod_revision: int
    """Of its last change."""
    lease: int = NO_LEASE


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All keys below a prefix at one revision."""

    revision: int
    entries: tuple[KeyValue, ...]
    """Sorted by key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """A key is no more, by whatever way: deleted, or its lease ended."""

    key: str
    mod_revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchBatch:
    """Changes in the order of their revisions; those of one transaction are never split.

    The first batch of a watch is empty: it says that the watch is established, and the store's revision then. A
    revision below the one that was watched from, less one, means that the store has lost data.
    """

    revision: int
    events: tuple[KeyValue | Deleted, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HasLease:
    """Condition: the key is there, and under this lease (`NO_LEASE`: under none)."""

    key: str
    lease: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HasRevision:
    """Condition: the key's last change was at this revision; 0: there is no such key."""

    key: str
    mod_revision: int


Condition = HasLease | HasRevision


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """Write a key; a lease that it had before is replaced."""

    key: str
    value: str
    lease: int = NO_LEASE


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Delete a key, if it is there."""

    key: str


Operation = Put | Delete


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a transaction."""

    succeeded: bool
    """Whether all conditions held, so that the operations took effect."""
    revision: int
    """The store's revision after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseState:
    """A lease as the store has it."""

    lease: int
    ttl_s: float
    """What it was granted for."""
    remaining_s: float
    """Until it ends, unless it is kept alive."""


MAX_OPERATIONS = 100
"""In one transaction; etcd's own limit is 128 by default."""


class Store(Protocol):
    """A store. Every method may raise `StoreUnavailableError` or `StoreDeniedError`; what else it raises, it says.

    All methods belong on one asyncio loop. None waits longer than a few seconds, but for `watch`.
    """

    @property
    def address(self) -> str:
        """Who is, or will be, asked: for people."""

    async def range(self, prefix: str) -> Listing:
        """Return all keys that begin with the prefix, as of the newest revision (linearizable)."""

    async def put(self, key: str, value: str, *, lease: int = NO_LEASE) -> int:
        """Write a key, and return the revision.

        Raises:
            LeaseNotFoundError: the lease is no more; nothing was written.
        """

    async def delete(self, key: str) -> bool:
        """Delete a key, and return whether it was there."""

    async def transact(self, operations: Sequence[Operation], *, conditions: Sequence[Condition] = ()) -> Outcome:
        """Do all operations at one revision if all conditions hold, else nothing.

        Args:
            operations: At most `MAX_OPERATIONS`, no key twice.
            conditions: All must hold; none: always.

        Raises:
            LeaseNotFoundError: a lease of a put is no more; nothing was done.
        """

    def watch(self, prefix: str, *, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Yield all changes below the prefix from a revision on, the past ones first.

        It ends by an error alone: it is not resumed by itself. Close it (`aclose`) to end it earlier.

        Raises:
            CompactedError: the revision is compacted.
        """

    async def grant(self, ttl_s: float) -> LeaseState:
        """Make a lease; the store may round its time up."""

    async def keep_alive(self, lease: int) -> float:
        """Make a lease last its whole time again, and return that.

        Raises:
            LeaseNotFoundError: it is no more.
        """

    async def lease_state(self, lease: int) -> LeaseState:
        """Return how long a lease lasts.

        Raises:
            LeaseNotFoundError: it is no more.
        """

    async def revoke(self, lease: int) -> None:
        """End a lease and delete its keys at one revision.

        Raises:
            LeaseNotFoundError: it is no more.
        """

    async def close(self) -> None:
        """Let go of everything; watches end."""
