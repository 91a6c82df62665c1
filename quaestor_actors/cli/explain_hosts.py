"""Explaining a member or an agent of one of several hosts, on any of them."""

from __future__ import annotations

from dataclasses import replace

from quaestor_actors.actors.records_messages import EventsReply, EventsRequest, OutputReply, OutputRequest
from quaestor_actors.actors.view import HostView, TreeView
from quaestor_actors.cli.asking import running_cluster
from quaestor_actors.cli.asking_hosts import why_not
from quaestor_actors.cli.explain import EVENTS, LINES, agent_of, shown_lines, what_tree_says, with_own_records
from quaestor_actors.cli.explain_actor import ExplainedActor, actor_of
from quaestor_actors.cli.explain_rendering import Explained
from quaestor_actors.cli.host_records import HostRecords
from quaestor_actors.cli.render import Shown
from quaestor_actors.core.host_selector import split
from quaestor_actors.errors import ConflictError, OperationError


def find_out_on_hosts(shown: Shown, text: str) -> Explained | ExplainedActor:
    """Return what is known of somebody: `Worker/2@a3`; without a host of the one of this host, or of the only one.

    Raises:
        ConflictError: there is nobody of that name, or on several other hosts.
        OperationError: nothing is known of the host.
        NotRunningError: this host's own root has ended, or does not answer.
    """
    who, host = _meant(shown, text)
    if host.tree is None:
        raise OperationError(f"nothing is known of {why_not(host)}")
    known = replace(what_tree_says(host.tree, who), host=host)
    if host.name == shown.own_host:
        return with_own_records(known, who)
    return _with_records(known, who) if host.is_current else known


def _meant(shown: Shown, text: str) -> tuple[str, HostView]:
    hosts = {host.name: host for host in shown.hosts}
    who, name = split(text, hosts)
    if name is not None:
        if name not in hosts:
            raise ConflictError(f"there is no host {name!r}; there are {', '.join(hosts)}")
        return who, hosts[name]
    found = [host for host in shown.hosts if host.tree is not None and _has(host.tree, who)]
    if len(found) > 1 and shown.own_host not in [host.name for host in found]:
        names = " or ".join(f"{who}@{host.name}" for host in found)
        raise ConflictError(f"{who!r} is on several hosts: write {names}")
    own = hosts[shown.own_host]
    return who, own if own in found or not found else found[0]


def _has(tree: TreeView, who: str) -> bool:
    is_agent = agent_of(tree, who.removesuffix("/*")) is not None
    return is_agent or any(each.member == who for each in tree.members) or actor_of(tree, who) is not None


def _with_records(known: Explained | ExplainedActor, who: str) -> Explained | ExplainedActor:
    assert known.host is not None  # noqa: S101 - set by the caller
    name = known.host.name
    records = HostRecords(running_cluster(known.cluster))
    said = records.ask({name: EventsRequest(request_id="", selectors=(who,), count=EVENTS)}).get(name)
    if isinstance(said, EventsReply):
        known = replace(known, events=tuple(reversed(said.events)))
    if isinstance(known, ExplainedActor) or known.member is None:
        return known
    written = records.ask({name: OutputRequest(request_id="", selectors=(who,), count=LINES)}).get(name)
    if isinstance(written, OutputReply) and written.outputs:
        (output,) = written.outputs
        known = replace(known, output=shown_lines(output.lines), output_path=f"{output.path} on {name}")
    return known
