"""What is asked of a store by whoever holds a lease there and follows its keys, and what comes of that."""

from __future__ import annotations

from dataclasses import dataclass

from quaestor_actors.core.store import Listing, WatchBatch

# What happens


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseHeld:
    """A lease was granted, or kept alive."""

    lease: int
    ttl_s: float
    """What the store lets it last from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseGone:
    """A lease is no more."""

    lease: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseFailed:
    """The store did not say anything about the lease."""

    reason: str
    refused: bool = False
    """It will not before somebody has mended something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The keys were listed."""

    number: int
    listing: Listing


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A watch has told something."""

    number: int
    batch: WatchBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowingFailed:
    """A list did not succeed, or a watch has ended."""

    number: int
    reason: str
    compacted: bool = False
    """The revision that was asked for is too old."""
    refused: bool = False


@dataclass(frozen=True, slots=True)
class ClockAdvanced:
    """A deadline may have passed."""


# What is to be done


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantLease:
    """Answer: LeaseHeld or LeaseFailed."""

    ttl_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAlive:
    """Answer: LeaseHeld, LeaseGone or LeaseFailed."""

    lease: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoke:
    """No answer: a lease that is left ends by itself."""

    lease: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAll:
    """Answer: Listed or FollowingFailed. The list or watch before it ends."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Answer: Watched, again and again, and FollowingFailed at the end. The list or watch before it ends."""

    number: int
    from_revision: int
