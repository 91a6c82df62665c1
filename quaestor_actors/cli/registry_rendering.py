"""From registered locations to text and JSON: pure functions, data in, text out.

Anybody who may write to the store chooses what is printed here, so nothing of it reaches a terminal as a command.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from quaestor_actors.cli.registry_entries import Change, ChangeKind, Contents, Entry, LeaseLeft
from quaestor_actors.cli.render import SCHEMA_VERSION, table
from quaestor_actors.core.location import Location

_SIGNS = {ChangeKind.ADDED: "+", ChangeKind.REMOVED: "-", ChangeKind.CHANGED: "~"}


def contents_text(contents: Contents) -> str:
    """Return the table of entries; columns in which nobody would find anything are left out."""
    entries = contents.entries
    has_scopes = any(entry.location.scope for entry in entries)
    has_tls = any(entry.location.use_tls for entry in entries)
    has_leases = contents.has_leases or any(entry.lease for entry in entries)
    header = ["SERVICE", "ADDRESS", *(["TLS"] * has_tls), *(["SCOPE"] * has_scopes), "OWNER", *(["LEASE"] * has_leases)]
    rows = []
    for entry in entries:
        location = entry.location
        row = [location.service_name, location.address]
        if has_tls:
            row.append("yes" if location.use_tls else "no")
        if has_scopes:
            row.append(location.scope or "-")
        row.append(entry.owner if entry.record is None else f"{entry.owner}, pid {entry.record.pid}")
        if has_leases:
            row.append(_lease_text(entry.lease, is_known=contents.has_leases))
        rows.append([printable(cell) for cell in row])
    return table(header, rows)


def strangers_text(strangers: tuple[str, ...]) -> str:
    """Return how many keys are no locations, with one of them."""
    number = "1 key is no location" if len(strangers) == 1 else f"{len(strangers)} keys are no locations"
    return f"{number}, e.g. {printable(strangers[0])}"


def contents_json(contents: Contents) -> str:
    """Return everything as one JSON document; fields are only ever added within a version."""
    document = {
        "version": SCHEMA_VERSION,
        "source": contents.source,
        "has_leases": contents.has_leases,
        "registrations": [{**_entry_fields(entry), "lease": _lease_fields(entry.lease)} for entry in contents.entries],
        "strangers": list(contents.strangers),
    }
    return json.dumps(document, indent=2)


def change_text(change: Change, at: datetime) -> str:
    """Return one line for a change."""
    return (
        f"{at:%H:%M:%S} {_SIGNS[change.kind]} {location_text(change.entry.location)} by {printable(change.entry.owner)}"
    )


def change_json(change: Change, at: datetime) -> str:
    """Return one line of JSON for a change."""
    time = at.isoformat(timespec="milliseconds")
    return json.dumps(
        {"version": SCHEMA_VERSION, "time": time, "change": change.kind.value, **_entry_fields(change.entry)}
    )


def location_text(location: Location) -> str:
    """Return a location the way people say it: `Worker at 10.0.0.7:5161 (TLS, scope blue)`."""
    marks = [*(["TLS"] * location.use_tls), *([f"scope {location.scope}"] * bool(location.scope))]
    text = f"{location.service_name} at {location.address}" + (f" ({', '.join(marks)})" if marks else "")
    return printable(text)


def printable(text: str) -> str:
    """Return a text with escapes in place of what would not be seen, or would command a terminal."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


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
