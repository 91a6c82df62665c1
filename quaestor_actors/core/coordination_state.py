"""What one host knows of the hosts of its cluster that share a store, what it hears, and what it wants done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from quaestor_actors.core.placement import Floating, Slot
from quaestor_actors.core.store import Condition, KeyValue, Operation
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
    """What a host goes by. Times are seconds."""

    cluster: str
    host: str
    """This one."""
    hosts: tuple[str, ...]
    """All of them, as they are configured."""
    floating: tuple[Floating, ...] = ()
    ttl_s: float = 10.0
    """Of the host's lease: others take over what it ran so long after its last word."""
    refresh_s: float = 1.0
    """The lease is kept alive this often."""

    @property
    def margin_s(self) -> float:
        """How long before its lease can end a host ends what floats on it.

        A tenth, for a clock that is wrong by a hundredth and for the kills to take effect, and half a second at least.
        """
        return max(0.5, self.ttl_s / 10)


class Following(StrEnum):
    """How far the host is in following the store."""

    NOTHING = "nothing"
    LISTING = "listing"
    WATCHING = "watching"


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """What a host is entitled to by its lease."""

    lease: int
    ends_at: float
    """By this host's clock since it was booted, on the safe side: counted from before the store was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordination:
    """Everything. Treat mappings as read-only; times are seconds of a clock that goes on while the machine sleeps."""

    term: Term | None = None
    lease_asked_at: float | None = None
    """When the question that is under way about the lease was sent."""
    lease_at: float = 0.0
    """When to ask again."""

    entries: Mapping[str, KeyValue] = field(default_factory=dict)
    """All keys of the cluster."""
    revision: int = 0
    following: Following = Following.NOTHING
    follow_number: int = 0
    """Of the list or watch that is under way; what belongs to an older one is dropped."""
    follow_at: float = 0.0
    is_current: bool = False
    """Whether `entries` is the store's content, but for what is on its way."""

    changing: int | None = None
    """Number of the change that is under way."""
    last_change: int = 0
    change_at: float = 0.0
    """Nothing is changed earlier, because it failed just now."""

    must_see: int = 0
    """Revision of the last change since `entries` were listed: before its echo nothing more is decided on."""

    granted: Mapping[Slot, int] = field(default_factory=dict)
    """Copies that may run on this host, each with its fencing token: greater than that of whoever ran it before."""
    grant: int = 0
    """Number of the last grant; greater than those of all predecessors."""
    has_granted: bool = False
    """Whether anything was granted, be it nothing, since this state was created."""
    running: frozenset[Slot] | None = None
    """Copies of which a process lives, or may be started, on this host; None: unknown."""
    heeded: int = 0
    """Number of the grant that `running` is the consequence of."""
    trouble: str | None = None
    """Why the store cannot be used at present."""
    is_leaving: bool = False
    """Whether the host is going to stop: it claims nothing more and does not coordinate."""


# What happens


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A change was made, or its conditions did not hold; the watch says what there is now."""

    number: int
    succeeded: bool
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFailed:
    """Whether a change was made is unknown."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningChanged:
    """These copies have a process on this host now, and no others."""

    running: frozenset[Slot]
    grant: int
    """Number of the last grant that everybody here has heeded."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """The host is going to stop; what floats on it is stopped first."""


Event = (
    ClockAdvanced
    | LeaseHeld
    | LeaseGone
    | LeaseFailed
    | Listed
    | Watched
    | FollowingFailed
    | Changed
    | ChangeFailed
    | RunningChanged
    | Leaving
)


# What is to be done


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Change the store in one transaction. Answer: Changed or ChangeFailed, also if the lease of a put is no more."""

    number: int
    operations: tuple[Operation, ...]
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """These copies may run here, and no others; whichever runs without being named is stopped in order.

    A process with another token than the named one counts as one that is not named.
    """

    number: int
    slots: Mapping[Slot, int]
    """With the fencing token of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """Others may run these from now on: end their processes at once, without asking them."""

    slots: frozenset[Slot]
    reason: str


Effect = GrantLease | KeepAlive | Revoke | ListAll | Watch | Change | Grant | Kill
