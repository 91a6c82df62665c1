"""The members by what is wrong with them and what they take: pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from quaestor_actors.actors.view import LoadView, MemberView
from quaestor_actors.adapters.session_usage import Usage
from quaestor_actors.cli.listing import Column, Listing, Tier
from quaestor_actors.cli.render import (
    NOTHING,
    Shown,
    members_in_order,
    number,
    since_column,
    state_column,
    status_listing,
)
from quaestor_actors.cli.render_hosts import HostMember, members_of_hosts, status_of_hosts
from quaestor_actors.core.location import join_address

_WRONG_FIRST = (
    *("failed", "unknown", "backing_off", "degraded", "starting", "pending", "draining", "stopping"),
    *("drained", "stopped", "serving"),
)
_UNITS = (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10))
_FEW = 10
"""Less than this many of a unit have a decimal."""


class Order(StrEnum):
    """Who comes first."""

    WRONG = "what is wrong"
    """Then who takes most of a processor."""
    CPU = "CPU"
    MEMORY = "memory"
    LOAD = "load"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The machine on which this is run."""

    load_average: float
    """Of the last minute: how many processes run or want to."""
    processors: int
    memory_percent: float | None
    """Used share, 0..100; None: the kernel does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What is known beside the status."""

    usages: Mapping[int, Usage]
    """Of members on this host, by their pids."""
    loads: Mapping[str, tuple[LoadView, ...]]
    """What the balancer of each host knows; of a cluster without other hosts the name is empty."""
    machine: Machine
    trouble: tuple[str, ...] = ()
    """What could not be found out, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopRow:
    """One member, and what it takes."""

    member: MemberView
    host: str
    """On which of several hosts; empty: there are no others."""
    state: str
    since: float
    reason: str
    cpu_percent: float | None
    memory_bytes: int | None
    load: float | None


def top_listing(shown: Shown, measured: Measured, order: Order = Order.WRONG) -> Listing[TopRow]:
    """Return the summary of the status, what the machine does, and the members, those first that need somebody."""
    status: Listing[Any] = status_of_hosts(shown) if shown.hosts else status_listing(shown)
    rows = _rows(shown, measured)
    return Listing(
        columns=_columns(shown.now),
        rows=sorted(rows, key=_KEYS[order]),
        document=_document(status.document, rows, measured),
        head=(*status.head, _machine_line(measured.machine, rows), *measured.trouble),
    )


def _rows(shown: Shown, measured: Measured) -> list[TopRow]:
    loads = {(host, address): load for host, views in measured.loads.items() for address, load in _busiest(views)}
    if shown.hosts:
        return [_row(one, measured, loads, is_here=one.host.name == shown.own_host) for one in _of_hosts(shown)]
    return [
        TopRow(
            member=member,
            host="",
            state=member.state,
            since=member.since,
            reason=member.reason,
            **_taken(member, measured.usages),
            load=_load_of(member, "", loads),
        )
        for member in members_in_order(shown.tree)
    ]


def _of_hosts(shown: Shown) -> list[HostMember]:
    return members_of_hosts(shown.hosts)


def _row(one: HostMember, measured: Measured, loads: Mapping[tuple[str, str], float], *, is_here: bool) -> TopRow:
    return TopRow(
        member=one.member,
        host=one.host.name,
        state=one.state,
        since=one.since,
        reason=one.reason,
        **_taken(one.member, measured.usages if is_here else {}),
        load=_load_of(one.member, one.host.name, loads),
    )


def _taken(member: MemberView, usages: Mapping[int, Usage]) -> dict[str, Any]:
    usage = None if member.pid is None else usages.get(member.pid)
    return {
        "cpu_percent": None if usage is None else usage.cpu_percent,
        "memory_bytes": None if usage is None else usage.memory_bytes,
    }


def _busiest(views: tuple[LoadView, ...]) -> list[tuple[str, float]]:
    """Return the load at each address: of a server with several services that of the busiest one."""
    found: dict[str, float] = {}
    for view in views:
        if view.load is not None:
            found[view.address] = max(view.load, found.get(view.address, 0.0))
    return list(found.items())


def _load_of(member: MemberView, host: str, loads: Mapping[tuple[str, str], float]) -> float | None:
    return None if member.port is None else loads.get((host, join_address(member.host, member.port)))


def _wrong_first(row: TopRow) -> tuple[int, float]:
    place = _WRONG_FIRST.index(row.state) if row.state in _WRONG_FIRST else 0
    return place, -(row.cpu_percent or 0.0)


_KEYS: Mapping[Order, Callable[[TopRow], Any]] = {
    Order.WRONG: _wrong_first,
    Order.CPU: lambda row: -(row.cpu_percent or 0.0),
    Order.MEMORY: lambda row: -(row.memory_bytes or 0),
    Order.LOAD: lambda row: -(row.load or 0.0),
}


def _columns(now: float) -> tuple[Column[TopRow], ...]:
    return (
        Column(title="MEMBER", text=lambda row: row.member.member),
        Column(title="HOST", text=lambda row: row.host or NOTHING, is_telling=lambda row: bool(row.host)),
        state_column(lambda row: row.state),
        since_column(lambda row: row.since, now, tier=Tier.FULL),
        Column(title="CPU%", text=lambda row: _decimal(row.cpu_percent, digits=1)),
        Column(title="MEM", text=lambda row: _size(row.memory_bytes), exact=lambda row: number(row.memory_bytes)),
        Column(title="LOAD", text=lambda row: _decimal(row.load), tier=Tier.CONDENSED),
        Column(title="PID", text=lambda row: number(row.member.pid), tier=Tier.FULL),
        Column(title="RESTARTS", text=lambda row: str(row.member.restarts), tier=Tier.CONDENSED),
        Column(title="WHY", text=lambda row: row.reason, takes_rest=True),
    )


def _decimal(value: float | None, *, digits: int = 2) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"


def _size(count: int | None) -> str:
    """Return a number of bytes in three letters or four, as top(1) has it: `9.5M`, `120M`."""
    if count is None:
        return NOTHING
    for unit, least in _UNITS:
        if count >= least:
            return f"{count / least:.{1 if count < _FEW * least else 0}f}{unit}"
    return str(count)


def _machine_line(machine: Machine, rows: list[TopRow]) -> str:
    memory = "" if machine.memory_percent is None else f", memory {machine.memory_percent:.0f}% used"
    processors = f"{machine.processors} processor{'s' if machine.processors > 1 else ''}"
    cpu = [row.cpu_percent for row in rows if row.cpu_percent is not None]
    taken = f"CPU {sum(cpu):.1f}%, " if cpu else ""
    total = _size(sum(row.memory_bytes for row in rows if row.memory_bytes is not None))
    here = "this host" if any(row.host for row in rows) else "this machine"
    return f"{here}: load {machine.load_average:.2f} on {processors}{memory}; members: {taken}{total}"


def _document(status: Mapping[str, Any], rows: list[TopRow], measured: Measured) -> dict[str, Any]:
    # The same members in the same order.
    members = [
        {**member, "cpu_percent": _rounded(row.cpu_percent), "memory_bytes": row.memory_bytes, "load": row.load}
        for member, row in zip(status["members"], rows, strict=True)
    ]
    return {**status, "members": members, "machine": asdict(measured.machine)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
