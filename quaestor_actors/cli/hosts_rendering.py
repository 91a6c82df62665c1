"""The hosts of a cluster as a list: pure functions, what they say in, a list out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from quaestor_actors.actors.view import HostView
from quaestor_actors.cli.host_differences import difference_lines
from quaestor_actors.cli.listing import SCHEMA_VERSION, Column, Listing, Tier
from quaestor_actors.cli.render import NOTHING, Shown, age, since_column, state_column
from quaestor_actors.cli.render_hosts import coordinator_of, host_document


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingHost:
    """A host, and what part it has."""

    view: HostView
    coordinates: bool | None
    """None: it is not known who does."""

    @property
    def members(self) -> str:
        """How many of its members serve, of how many."""
        if self.view.tree is None:
            return NOTHING
        members = self.view.tree.members
        return f"{sum(member.state == 'serving' for member in members)}/{len(members)}"

    def why(self, now: float) -> str:
        """Return what there is to say about it."""
        is_old = not self.view.is_current and self.view.tree_at is not None
        last = f"members as of {age(now - (self.view.tree_at or now))} ago" if is_old else ""
        return "; ".join(filter(None, (self.view.reason, last)))


def hosts_listing(shown: Shown) -> Listing[StandingHost]:
    """Return the hosts in the order of the configuration."""
    coordinator = coordinator_of(shown)
    rows = [
        StandingHost(view=host, coordinates=None if coordinator is None else host.name == coordinator)
        for host in shown.hosts
    ]
    return _listing(
        rows,
        cluster=shown.tree.cluster,
        own=shown.own_host,
        coordinator=coordinator,
        differences=difference_lines(shown.hosts),
        now=shown.now,
    )


def no_hosts_listing(cluster: str) -> Listing[StandingHost]:
    """Return the hosts of a cluster that is on one machine."""
    return _listing((), cluster=cluster, own="", coordinator=None, differences=(), now=0.0)


def _listing(
    rows: Sequence[StandingHost],
    *,
    cluster: str,
    own: str,
    coordinator: str | None,
    differences: tuple[str, ...],
    now: float,
) -> Listing[StandingHost]:
    return Listing(
        columns=_columns(now),
        rows=rows,
        document={
            "schemaVersion": SCHEMA_VERSION,
            "cluster": cluster,
            "host": own,
            "coordinator": coordinator,
            "differences": list(differences),
            "hosts": [_document(row, now) for row in rows],
        },
        head=differences,
        notes=() if rows else (f"the cluster {cluster!r} is on this machine alone",),
    )


def _document(row: StandingHost, now: float) -> dict[str, Any]:
    members = None if row.view.tree is None else row.view.tree.members
    return {
        **host_document(row.view, now),
        "members": None if members is None else len(members),
        "serving": None if members is None else sum(member.state == "serving" for member in members),
        "coordinates": row.coordinates,
    }


def _columns(now: float) -> tuple[Column[StandingHost], ...]:
    return (
        Column(title="HOST", text=lambda one: one.view.name),
        Column(title="ADDRESS", text=lambda one: one.view.address, tier=Tier.FULL),
        state_column(lambda one: one.view.state),
        since_column(lambda one: one.view.since, now, tier=Tier.CONDENSED),
        Column(title="MEMBERS", text=lambda one: one.members),
        Column(
            title="COORDINATOR",
            text=lambda one: {True: "yes", False: NOTHING, None: "?"}[one.coordinates],
            tier=Tier.CONDENSED,
        ),
        Column(title="WHY", text=lambda one: one.why(now), takes_rest=True),
    )
