"""What is counted where it happens, and in which file and order: those who count and who reads agree on it here."""

from __future__ import annotations

from quaestor_actors.core.histogram import DISCOVER

SUFFIX = ".tally"
"""Of the files."""

METHODS = ("DiscoverServices", "DiscoverTopServices")
"""Of the balancer, in the order of the numbers kept of them: a histogram each, and how many answers were empty."""

EMPTY_SLOT = DISCOVER.size
"""Of the empty answers, among the numbers of one method."""

OF_METHOD = DISCOVER.size + 1
"""How many numbers are kept of one method."""


def restarts_file(agent: str) -> str:
    """Return where the supervisor of an agent counts restarts: for each member, by its number, one of each kind."""
    return f"{agent}.restarts{SUFFIX}"


def probes_file(agent: str) -> str:
    """Return where the prober of an agent counts health checks: one histogram."""
    return f"{agent}.probes{SUFFIX}"


def discover_file(frontend: int) -> str:
    """Return where a process of the balancer counts requests."""
    return f"discover-{frontend}{SUFFIX}"
