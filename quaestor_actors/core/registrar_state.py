"""What the registrar knows, what it hears of, and what it has done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from quaestor_actors.core.location import ClientTls, Location, Registration
from quaestor_actors.core.store import NO_LEASE
from quaestor_actors.core.store_work import (
    ClockAdvanced,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How long things take. Times are seconds."""

    ttl_s: float = 10.0
    """Of the lease: what is registered here vanishes so long after this registrar did."""
    refresh_s: float = 1.0
    """The lease is kept alive this often, which also finds out that the store does not answer."""
    first_view_wait_s: float = 3.0
    """Followers are told what there is without the store if it has not answered by then."""
    hold_s: float = 3.0
    """What vanishes right after an outage is kept so long: whoever registered it has had an outage, too."""
    tls: Mapping[str, ClientTls] = field(default_factory=lambda: MappingProxyType({}))
    """How the locations of other registrars are connected to, by service name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One location as the store has it."""

    location: Location
    incarnation: int
    """Another one when the key was deleted and made again: the process behind it may be another."""
    create_revision: int
    mod_revision: int
    lease: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A location of others that vanished from the store right after an outage."""

    registration: Registration
    until: float


class Following(StrEnum):
    """How far the registrar is in following the store."""

    NOTHING = "nothing"
    """Nothing is under way; what to do next is due at a time."""
    LISTING = "listing"
    BEGINNING = "beginning"
    """A watch was asked for, and is not established yet."""
    WATCHING = "watching"


class Standing(StrEnum):
    """How the registrar stands with the store, for people."""

    CONNECTING = "connecting"
    """It was not heard yet, and nobody was told anything."""
    FALLBACK = "fallback"
    """It was never heard; followers were told what there is without it."""
    FOLLOWING = "following"
    DEGRADED = "degraded"
    """It was lost; followers keep what they were told last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """The store cannot be used at present."""

    since: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registrar:
    """Everything. Treat mappings as read-only; times are seconds of the caller's monotonic clock."""

    own: Mapping[str, Registration] = field(default_factory=dict)
    """What serves on this machine, by key."""
    is_complete: bool = False
    """Whether all owners have told what they have; before, nothing is deleted."""
    fallback: tuple[Registration, ...] = ()
    """In effect until the store is heard for the first time."""

    stored: Mapping[str, Stored] = field(default_factory=dict)
    """The locations in the store, by key."""
    revision: int = 0
    """Of the last change that was heard of."""
    is_informed: bool = False
    """Whether the store was ever heard."""
    following: Following = Following.NOTHING
    follow_at: float = 0.0
    follow_number: int = 0
    """Of the list or watch that is under way; what belongs to an older one is dropped."""
    must_list: bool = True
    """Whether a watch would not do."""
    carried: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Of those whose incarnation goes on from before, by key: `create_revision` and incarnation; for a successor."""
    garbage: bool = False
    """Whether people were told of keys that are not those of locations."""

    lease: int = NO_LEASE
    mine: frozenset[int] = frozenset()
    """All leases this registrar, and its predecessor here, have had."""
    former: int = NO_LEASE
    """A predecessor's lease: nothing is to be left under it."""
    lease_is_sound: bool = False
    """Whether the last that was heard of the lease is good."""
    lease_busy: bool = False
    lease_at: float = 0.0

    dirty: frozenset[str] = frozenset()
    """Keys that may have to be written or deleted."""
    written: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    """Under which lease, and when, keys were written last."""
    writing: bool = False
    removing: Mapping[str, Stored] = field(default_factory=dict)
    """What the last write was to delete, as it was in the store then."""
    write_is_sound: bool = True
    """Whether the last write has succeeded."""
    write_at: float = 0.0
    """Nothing is written earlier, because it failed just now."""
    rewrite_at: float | None = None
    """When a key may be written again that was written, and lost, just now."""

    trouble: Trouble | None = None
    hold_until: float = 0.0
    """What vanishes before this time is held."""
    held: Mapping[Location, Held] = field(default_factory=dict)

    view: Mapping[Location, Registration] | None = None
    """What followers know; None: nothing was told yet."""
    begun_at: float = 0.0


# What happens


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnChanged:
    """What serves on this machine is something else now."""

    added: tuple[Registration, ...] = ()
    """New, or in place of another at the same location."""
    removed: tuple[Location, ...] = ()


@dataclass(frozen=True, slots=True)
class OwnComplete:
    """All owners have told what they have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteDone:
    """What was to be written and removed has been."""

    lease: int
    """Under which the keys were put."""
    put: tuple[str, ...]
    revision: int
    """Of the puts; any without."""
    removed: tuple[str, ...]
    """Keys that are not under a lease of ours any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFailed:
    """Nothing, a part or all of it was written."""

    keys: tuple[str, ...]
    reason: str
    gone: int = NO_LEASE
    """The lease that is no more, if that is why."""
    refused: bool = False


Event = (
    OwnChanged
    | OwnComplete
    | LeaseHeld
    | LeaseGone
    | LeaseFailed
    | Listed
    | Watched
    | FollowingFailed
    | WriteDone
    | WriteFailed
    | ClockAdvanced
)


# What is to be done


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Answer: WriteDone or WriteFailed."""

    lease: int
    puts: tuple[tuple[str, str], ...]
    """Keys and values, to be written under the lease."""
    removals: tuple[tuple[str, int], ...]
    """Keys that are to be deleted if they are under this lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Tell followers what to add, or replace, and what to remove; `whole`: what they had before is void."""

    whole: bool
    added: tuple[Registration, ...] = ()
    removed: tuple[Location, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Warn:
    """Tell people."""

    text: str


Effect = GrantLease | KeepAlive | Revoke | ListAll | Watch | Write | Tell | Warn
