"""What the registry has, for people: entries, who has registered them, and what has changed between two looks at it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from quaestor_actors.actors.view import RegistrationView
from quaestor_actors.core import location_key
from quaestor_actors.core.location import Location
from quaestor_actors.core.owner_record import Owner
from quaestor_actors.core.store import NO_LEASE, KeyValue

UNKNOWN = "unknown"
"""Who has registered what is under no lease, or under one without a record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseLeft:
    """The lease of an entry, and how much is left of it."""

    lease: int | None
    """None: whoever told it does not know which."""
    left_s: float
    ttl_s: float | None
    """What it was granted for, where known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One registered location."""

    location: Location
    owner: str
    """Who registered it, without the pid, which may change while nothing else does."""
    record: Owner | None = None
    """None: no more than `owner` is known."""
    lease: LeaseLeft | None = None
    """None: it is under no lease, or nobody asked."""

    @property
    def key(self) -> str:
        """Where it is, or would be, in a store."""
        return location_key.key_of(self.location)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Everything that is registered."""

    source: str
    """Who was asked: `etcd at HOST:PORT`, or `cluster NAME`."""
    entries: tuple[Entry, ...]
    """Sorted as people look for them."""
    strangers: tuple[str, ...] = ()
    """Keys among those of locations that are not the key of one."""
    has_leases: bool
    """Whether an entry without a lease has none; else nobody knows."""


class ChangeKind(StrEnum):
    """What has become of an entry."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    """Somebody else has registered it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry that is not as it was."""

    kind: ChangeKind
    entry: Entry
    """As it is, or as it last was."""


def in_order(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return entries by service, host and port."""
    return tuple(sorted(entries, key=_place))


def owner_of(lease: int, owners: Mapping[int, Owner]) -> tuple[str, Owner | None]:
    """Return who holds a lease, in words and, where there is one, as the record says it."""
    record = owners.get(lease) if lease != NO_LEASE else None
    return (UNKNOWN if record is None else f"{record.cluster} on {record.host}"), record


def of_stored(stored: KeyValue, owners: Mapping[int, Owner], lease: LeaseLeft | None = None) -> Entry | None:
    """Return what a key of the store stands for; None if it is not the key of a location.

    Args:
        stored: the key.
        owners: who holds which lease.
        lease: its lease, if somebody asked.
    """
    location = location_key.location_of(stored.key)
    if location is None:
        return None
    owner, record = owner_of(stored.lease, owners)
    return Entry(location=location, owner=owner, record=record, lease=lease)


def of_view(view: RegistrationView) -> Entry:
    """Return what a running cluster tells of one location."""
    location = Location(
        scope=view.scope, service_name=view.service, host_name=view.host, port=view.port, use_tls=view.use_tls
    )
    left_s = view.lease_left_s
    lease = None if left_s is None else LeaseLeft(lease=None, left_s=left_s, ttl_s=None)
    return Entry(location=location, owner=view.owner, lease=lease)


def differences(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> list[Change]:
    """Return what makes one look at the registry, by key, into a later one: first what is gone, then what is there."""
    gone = in_order(entry for key, entry in before.items() if key not in after)
    there = in_order(after.values())
    removed = [Change(kind=ChangeKind.REMOVED, entry=entry) for entry in gone]
    others = (difference(before.get(entry.key), entry) for entry in there)
    return [*removed, *(change for change in others if change is not None)]


def difference(before: Entry | None, after: Entry) -> Change | None:
    """Return what makes an entry, or none, into a later one; None if people would see no difference."""
    if before is None:
        return Change(kind=ChangeKind.ADDED, entry=after)
    if before.owner != after.owner:
        return Change(kind=ChangeKind.CHANGED, entry=after)
    return None


def _place(entry: Entry) -> tuple[str, str, int, str, bool]:
    location = entry.location
    return location.service_name, location.host_name, location.port, location.scope, location.use_tls
