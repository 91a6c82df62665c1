"""From registered locations to lists, text and JSON: pure functions, data in, text out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from quaestor_actors.cli.listing import SCHEMA_VERSION, Column, Listing, Tier
from quaestor_actors.cli.registry_entries import Change, ChangeKind, Contents, Entry, LeaseLeft
from quaestor_actors.cli.table import printable
from quaestor_actors.core.location import Location

_SIGNS = {ChangeKind.ADDED: "+", ChangeKind.REMOVED: "-", ChangeKind.CHANGED: "~"}


def contents_listing(contents: Contents, *, notes: tuple[str, ...] = ()) -> Listing[Registered]:
    """Return the entries; `notes` are added to what there is to say about them."""
    said = [] if contents.entries else [f"{printable(contents.source)}: nothing is registered"]
    if contents.strangers:
        said.append(strangers_text(contents.strangers))
    return Listing(
        columns=_COLUMNS,
        rows=[Registered(entry=entry, has_known_lease=contents.has_leases) for entry in contents.entries],
        document=_document(contents),
        notes=(*said, *notes),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A row of the list."""

    entry: Entry
    has_known_lease: bool
    """Whether an entry without a lease has none; else nobody knows."""


_COLUMNS: tuple[Column[Registered], ...] = (
    Column(title="SERVICE", text=lambda one: one.entry.location.service_name),
    Column(title="ADDRESS", text=lambda one: one.entry.location.address),
    Column(
        title="TLS",
        text=lambda one: "yes" if one.entry.location.use_tls else "no",
        tier=Tier.CONDENSED,
        is_telling=lambda one: one.entry.location.use_tls,
    ),
    Column(
        title="SCOPE",
        text=lambda one: one.entry.location.scope or "-",
        exact=lambda one: one.entry.location.scope,
        tier=Tier.CONDENSED,
        is_telling=lambda one: bool(one.entry.location.scope),
    ),
    Column(title="OWNER", text=lambda one: _owner_text(one.entry), takes_rest=True),
    Column(
        title="LEASE",
        text=lambda one: _lease_text(one.entry.lease, is_known=one.has_known_lease),
        tier=Tier.CONDENSED,
        is_telling=lambda one: one.has_known_lease or one.entry.lease is not None,
    ),
    Column(title="KEY", text=lambda one: one.entry.key, tier=Tier.WIDE),
)


def strangers_text(strangers: tuple[str, ...]) -> str:
    """Return how many keys are no locations, with one of them."""
    number = "1 key is no location" if len(strangers) == 1 else f"{len(strangers)} keys are no locations"
    return f"{number}, e.g. {printable(strangers[0])}"


def _document(contents: Contents) -> dict[str, Any]:
    return {
        "schemaVersion": SCHEMA_VERSION,
        "source": contents.source,
        "has_leases": contents.has_leases,
        "registrations": [{**_entry_fields(entry), "lease": _lease_fields(entry.lease)} for entry in contents.entries],
        "strangers": list(contents.strangers),
    }


def change_text(change: Change, at: datetime) -> str:
    """Return one line for a change."""
    return (
        f"{at:%H:%M:%S} {_SIGNS[change.kind]} {location_text(change.entry.location)} by {printable(change.entry.owner)}"
    )


def change_json(change: Change, at: datetime) -> str:
    """Return one line of JSON for a change."""
    time = at.isoformat(timespec="milliseconds")
    return json.dumps(
        {"schemaVersion": SCHEMA_VERSION, "time": time, "change": change.kind.value, **_entry_fields(change.entry)}
    )


def location_text(location: Location) -> str:
    """Return a location the way people say it: `Worker at 10.0.0.7:5161 (TLS, scope blue)`."""
    marks = [*(["TLS"] * location.use_tls), *([f"scope {location.scope}"] * bool(location.scope))]
    text = f"{location.service_name} at {location.address}" + (f" ({', '.join(marks)})" if marks else "")
    return printable(text)


def _owner_text(entry: Entry) -> str:
    return entry.owner if entry.record is None else f"{entry.owner}, pid {entry.record.pid}"


def _lease_text(lease: LeaseLeft | None, *, is_known: bool) -> str:
    if lease is None:
        return "none" if is_known else "-"
    left = f"{round(lease.left_s, 1):g}s left"
    return left if lease.ttl_s is None else f"{left} of {lease.ttl_s:g}s"


def _entry_fields(entry: Entry) -> dict[str, Any]:
    location = entry.location
    return {
        "key": entry.key,
        "scope": location.scope,
        "service": location.service_name,
        "host": location.host_name,
        "port": location.port,
        "use_tls": location.use_tls,
        "owner": entry.owner,
        "owner_record": None if entry.record is None else asdict(entry.record),
    }


def _lease_fields(lease: LeaseLeft | None) -> dict[str, Any] | None:
    if lease is None:
        return None
    # As etcdctl writes it.
    lease_id = None if lease.lease is None else f"{lease.lease:016x}"
    return {"id": lease_id, "left_s": lease.left_s, "ttl_s": lease.ttl_s}
