"""Names that a shell completes on a command line: of running clusters, their members, and the services they know.

A shell that completes waits for the answer, and has no place for an error: where nobody answers there are no names.
"""

from __future__ import annotations

import os

import click

from quaestor_actors.errors import QuaestorError


def cluster_names(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of the clusters that run here."""
    # Only a shell that completes pays for these, here and below.
    from quaestor_actors.adapters import runtime_directory
    from quaestor_actors.system.running import running_in

    names = [directory.name for directory in running_in(runtime_directory.base_directory(os.environ))]
    return [name for name in names if name.startswith(incomplete)]


def selector_names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the members and agents of the running cluster."""
    from quaestor_actors.cli.inspect import fetch_tree
    from quaestor_actors.cli.render import members_in_order

    try:
        shown = fetch_tree(context.params.get("name"))
    except QuaestorError:
        return []
    trees = {host.name: host.tree for host in shown.hosts if host.tree is not None} or {"": shown.tree}
    members = dict.fromkeys(member.member for tree in trees.values() for member in members_in_order(tree))
    agents = dict.fromkeys(member.rpartition("/")[0] for member in members)
    on_hosts = [f"{member.member}@{host}" for host, tree in trees.items() if host for member in members_in_order(tree)]
    return [name for name in (*agents, *members, *on_hosts) if name.startswith(incomplete)]


def agent_names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the agents of the running cluster."""
    from quaestor_actors.cli.inspect import fetch_here

    try:
        tree = fetch_here(context.params.get("name")).tree
    except QuaestorError:
        return []
    return [agent.agent for agent in tree.agents if agent.agent.startswith(incomplete)]


def service_names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the services that the balancers of the running cluster are told of."""
    from quaestor_actors.cli.asking import running_cluster
    from quaestor_actors.cli.registry_cluster import ask_contents

    try:
        entries = ask_contents(running_cluster(context.params.get("name"))).entries
    except QuaestorError:
        return []
    names = dict.fromkeys(entry.location.service_name for entry in entries)
    return [name for name in names if name.startswith(incomplete)]
