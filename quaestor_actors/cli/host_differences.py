"""What hosts of one cluster do not have in common: their configuration, their version, what was scaled by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quaestor_actors.actors.view import HostView, TreeView

APPLY = "put the one that is meant there, and run `quaestor apply` there"


def difference_lines(hosts: Sequence[HostView]) -> tuple[str, ...]:
    """Return, for people, in what those hosts that answer differ; nothing when they do not, as while all is well.

    Args:
        hosts: of one cluster, in the order of the configuration.
    """
    trees = {host.name: host.tree for host in hosts if host.tree is not None and host.is_current}
    return (*_configurations(trees), *_versions(trees), *_scaled(trees))


def _configurations(trees: dict[str, TreeView]) -> list[str]:
    usual, *others = _groups(trees, lambda tree: tree.configuration) or [[]]
    if others and len(usual) == 1:
        return [f"{_listed(list(trees))} have different configurations: {APPLY}"]
    return [f"{_listed(names)} {_has(names)} another configuration than {_listed(usual)}: {APPLY}" for names in others]


def _versions(trees: dict[str, TreeView]) -> list[str]:
    groups = _groups(trees, lambda tree: tree.version)
    if len(groups) < 2:  # noqa: PLR2004 - one or none is no difference
        return []
    return ["; ".join(f"{_listed(names)} {_run(names)} quaestor {trees[names[0]].version}" for names in groups)]


def _scaled(trees: dict[str, TreeView]) -> list[str]:
    return [
        f"{name} has another number of {_listed(tree.scaled)} than its configuration says, as scaled by hand"
        for name, tree in trees.items()
        if tree.scaled
    ]


def _groups(trees: dict[str, TreeView], by: Callable[[TreeView], str]) -> list[list[str]]:
    """Return the hosts that have something in common, the largest group first; who says nothing is in none."""
    found: dict[str, list[str]] = {}
    for name, tree in trees.items():
        if said := by(tree):
            found.setdefault(said, []).append(name)
    return sorted(found.values(), key=len, reverse=True)


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _has(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _run(names: Sequence[str]) -> str:
    return "runs" if len(names) == 1 else "run"
