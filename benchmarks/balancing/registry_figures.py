"""What is found out about a balancer that follows a registry, and the tables that show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from balancing.goals import Goal
from balancing.statistic import quantile

_MS_PER_S = 1_000
_BYTES_PER_MB = 1_000_000
_BYTES_PER_KB = 1_000

QUIET, ASKED = "nobody asks", "16 callers ask"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstView:
    """How the balancer came to know everything. Seconds from its start, the first two alone."""

    list_s: float
    """How long etcd takes to list everything, asked by somebody else."""
    processor_s: float
    """Of all of the balancer's processes, until it served."""
    follows_s: float
    """The registry knows all, and has told it."""
    health_s: float
    """The last location's health began to be watched."""
    loads_s: float
    """The last location's load began to be watched."""
    serving_s: float
    """The balancer says SERVING."""
    all_s: float
    """Every location was seen in the answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How long one change took, in seconds from before it was sent to etcd."""

    written_s: float
    seen_s: float
    """Until it was seen in the answers."""
    asked_s: float | None = None
    """Until the new location's health was asked for: the balancer's actor had it by then."""


@dataclass(slots=True, kw_only=True)
class Found:
    """Everything with one number of locations."""

    locations: int
    first_view: FirstView | None = None
    memory: dict[str, int] = field(default_factory=dict)
    """Proportional bytes of the actors by their names."""
    idle_percent: float | None = None
    changes: dict[tuple[str, str], list[Change]] = field(default_factory=dict)
    """By who asks meanwhile, and `put` or `delete`."""

    def quantile_ms(self, asker: str, kind: str, share: float) -> float | None:
        """Return how long changes took until they were seen, or None if none was made."""
        changes = self.changes.get((asker, kind))
        return quantile([each.seen_s for each in changes], share) * _MS_PER_S if changes else None


FIRST_VIEW_HEAD = (
    f"{'':9}{'seconds from the start until':>45}{'alone':>8}{'':>11}\n"
    f"{'locations':>9}{'follows':>9}{'health':>9}{'loads':>9}{'SERVING':>9}{'all':>9}{'list s':>8}{'processor s':>13}"
)


def first_view_line(found: Found) -> str:
    """Return the row of the first table."""
    view = found.first_view
    if view is None:
        return f"{found.locations:>9,}        not measured"
    times = (view.follows_s, view.health_s, view.loads_s, view.serving_s, view.all_s)
    cells = "".join(f"{each:>9.2f}" for each in times)
    return f"{found.locations:>9,}{cells}{view.list_s:>8.2f}{view.processor_s:>13.1f}"


REST_HEAD = (
    f"{'':9}{'PSS, MB':>20}{'KB per location':>20}{'idle':>8}\n"
    f"{'locations':>9}{'registry':>10}{'balancer':>10}{'registry':>10}{'balancer':>10}{'% core':>8}"
)


def rest_line(found: Found, least: Found) -> str:
    """Return the row of the second table: what it costs beside the run with the fewest locations."""
    cells = [f"{found.locations:>9,}"]
    names = ("registry", "balancer")
    cells += [f"{found.memory.get(name, 0) / _BYTES_PER_MB:>10.1f}" for name in names]
    more = found.locations - least.locations
    for name in names:
        grown = found.memory.get(name, 0) - least.memory.get(name, 0)
        cells.append(f"{grown / _BYTES_PER_KB / more:>10.1f}" if more else f"{'-':>10}")
    cells.append(f"{'-':>8}" if found.idle_percent is None else f"{found.idle_percent:>8.2f}")
    return "".join(cells)


CHANGES_HEAD = (
    f"{'':9}{'':16}{'etcd wrote, ms':>16}{'delete: out, ms':>17}{'put: asked, ms':>17}{'put: in, ms':>16}\n"
    f"{'locations':>9}{'':16}" + f"{'p50':>8}{'p99':>8}" + f"{'p50':>9}{'p99':>8}" * 2 + f"{'p50':>8}{'p99':>8}"
)


def change_line(found: Found, asker: str) -> str:
    """Return the row of the third table."""
    puts, deletes = found.changes.get((asker, "put"), []), found.changes.get((asker, "delete"), [])
    columns: Sequence[tuple[list[float], int]] = (
        ([each.written_s for each in (*puts, *deletes)], 8),
        ([each.seen_s for each in deletes], 9),
        ([each.asked_s for each in puts if each.asked_s is not None], 9),
        ([each.seen_s for each in puts], 8),
    )
    cells = [f"{found.locations:>9,}  {asker:14}"]
    for samples, width in columns:
        for share, wide in ((0.5, width), (0.99, 8)):
            cells.append(f"{quantile(samples, share) * _MS_PER_S:>{wide}.1f}" if samples else f"{'-':>{wide}}")
    return "".join(cells)


def goals_of(most: Found) -> list[Goal]:
    """Return what is promised for this number of locations."""
    goals = []
    for kind, what in (("delete", "deregistered, out of"), ("put", "registered, in")):
        for asker in (QUIET, ASKED):
            title = f"{what} the answers with {most.locations:,} locations, {asker}: p99"
            goals.append(Goal(title=title, limit=100, unit="ms", measured=most.quantile_ms(asker, kind, 0.99)))
    return goals
