"""Asking all hosts of a cluster, through the root actor of the one that this machine is."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from quaestor_actors.actors.hosts_messages import EVERY_HOST, HostsReply, HostsRequest
from quaestor_actors.actors.status_messages import StatusRequest
from quaestor_actors.actors.view import HostView
from quaestor_actors.adapters import runtime_directory
from quaestor_actors.cli.asking import ask_root
from quaestor_actors.cli.render import Shown
from quaestor_actors.core.host_selector import ChosenOnHosts, HostMembers, choose
from quaestor_actors.errors import ConflictError, NotRunningError, OperationError

PATIENCE_S = 3.0
"""How long an actor that is just being replaced is waited for."""
POLL_S = 0.1


def ask_hosts(directory: Path, asks: Iterable[tuple[str, Any]]) -> HostsReply:
    """Have the roots of hosts asked, and return what has come within a second.

    Args:
        directory: the cluster's runtime directory.
        asks: hosts by name, and what each is asked; their `request_id` is filled in on the way.

    Raises:
        NotRunningError: this host's own root has ended or does not answer, or does not know the others at the moment.
    """
    wanted = tuple(asks)
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        reply = ask_root(directory, lambda request_id: HostsRequest(request_id=request_id, asks=wanted), HostsReply)
        if reply.hosts:
            return reply
        if time.monotonic() >= give_up_at:
            raise NotRunningError(
                f"the cluster {directory.name!r} does not know its other hosts at the moment, as the actor for them is "
                "being replaced; try again"
            )
        time.sleep(POLL_S)


def ask_status_of_hosts(directory: Path) -> HostsReply:
    """Return how all hosts are, as far as they answer, and otherwise what is known of them last.

    Raises:
        NotRunningError: this host's own root has ended, or does not answer.
    """
    return ask_hosts(directory, [(EVERY_HOST, StatusRequest(request_id=""))])


def fetch_hosts(directory: Path) -> Shown:
    """Return what all hosts show, as far as they answer, and otherwise what they have shown last.

    Raises:
        NotRunningError: this host's own root has ended, or does not answer.
    """
    reply = ask_status_of_hosts(directory)
    tree = next((host.tree for host in reply.hosts if host.name == reply.own), None)
    if tree is None:
        raise NotRunningError(f"the cluster {directory.name!r} does not answer on this host")
    return Shown(
        tree=tree,
        launcher_pid=runtime_directory.launcher_of(directory),
        now=time.time(),
        own_host=reply.own,
        hosts=reply.hosts,
    )


def chosen_on(hosts: Iterable[HostView], selectors: Iterable[str], *, cluster: str, undone: str) -> ChosenOnHosts:
    """Return the members that selectors name on the hosts that can be reached.

    Args:
        hosts: with what they have said last.
        selectors: as the operator wrote them.
        cluster: its name.
        undone: what follows if somebody cannot be found, as the end of the message.

    Raises:
        ConflictError: a selector names nobody.
        OperationError: a selector names only members of a host that cannot be reached.
    """
    views = {host.name: host for host in hosts}
    chosen = choose(selectors, {name: members_of(view) for name, view in views.items()})
    if chosen.unknown:
        names = ", ".join(repr(each) for each in chosen.unknown)
        raise ConflictError(f"the cluster {cluster!r} has no member {names}{undone} (`quaestor status` shows them)")
    if chosen.out_of_reach:
        text, host = chosen.out_of_reach[0]
        raise OperationError(f"{text!r} is on {why_not(views[host])}{undone}")
    return chosen


def members_of(host: HostView) -> HostMembers:
    """Return who is on a host, as it has said last."""
    members = None if host.tree is None else tuple(member.member for member in host.tree.members)
    return HostMembers(members=members, is_reachable=host.is_current)


def why_not(host: HostView) -> str:
    """Return, for people, why a host cannot be reached."""
    state = "" if host.state == "joined" else f" is {host.state}"
    return f"{host.name}, which{state or ' is there'}: {host.reason}"
