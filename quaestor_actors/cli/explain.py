"""`quaestor explain`: how a member or an agent is, why, and what happens next, on one screen."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import replace

import click

from quaestor_actors.actors.view import AgentView, MemberView, TreeView
from quaestor_actors.adapters import proc_stat
from quaestor_actors.adapters.cluster_events import ClusterEvents, chosen
from quaestor_actors.adapters.member_output import last_lines, output_files
from quaestor_actors.cli.explain_actor import ExplainedActor, actor_listing, actor_of
from quaestor_actors.cli.explain_rendering import Explained, explain_listing
from quaestor_actors.cli.forms import Form
from quaestor_actors.cli.inspect import fetch_tree
from quaestor_actors.cli.listing import Listing
from quaestor_actors.cli.log_directories import log_directory_of
from quaestor_actors.cli.options import cluster_option
from quaestor_actors.cli.output import Output, output_options
from quaestor_actors.cli.render import members_in_order
from quaestor_actors.cli.running_names import selector_names
from quaestor_actors.core.event import Event
from quaestor_actors.errors import ConflictError

EVENTS = 10
LINES = 10


@click.command(short_help="Say on one screen how a member or an agent is, and why.")
@click.argument("who", metavar="MEMBER", shell_complete=selector_names)
@cluster_option
@output_options
def explain(who: str, name: str | None, output: Output) -> None:
    """Say how a member is, why, what its last check said, what happens next, and what has happened to it.

    MEMBER is a member (Worker/2), an agent (Worker) or an actor (Thermometer); of another one of several hosts
    Worker/2@a3. The last lines that a member wrote are shown, too.

    Example: quaestor explain Worker/2
    """

    def look() -> Listing[Event]:
        width, is_wide = output.screen().width, output.form is Form.WIDE
        known = find_out(who, name)
        if isinstance(known, ExplainedActor):
            return actor_listing(known, width=width, is_wide=is_wide)
        return explain_listing(known, width=width, is_wide=is_wide)

    output.show(look)


def find_out(who: str, name: str | None) -> Explained | ExplainedActor:
    """Return what is known of a member, an agent or an actor of a running cluster.

    Raises:
        NotRunningError: no such cluster runs, or it does not answer.
        ConflictError: it has nobody of that name.
    """
    shown = fetch_tree(name)
    if shown.hosts:
        from quaestor_actors.cli.explain_hosts import find_out_on_hosts

        return find_out_on_hosts(shown, who)
    known = what_tree_says(shown.tree, who)
    return with_own_records(known, who)


def what_tree_says(tree: TreeView, who: str) -> Explained | ExplainedActor:
    """Return what the tree of a host says of a member, an agent or an actor.

    Raises:
        ConflictError: there is nobody of that name.
    """
    member = next((each for each in tree.members if each.member == who), None)
    agent = agent_of(tree, who.removesuffix("/*") if member is None else who.rpartition("/")[0])
    if agent is None and (actor := actor_of(tree, who)) is not None:
        return ExplainedActor(cluster=tree.cluster, actor=actor, events=(), now=time.time())
    if agent is None:
        raise ConflictError(_unknown(tree, who))
    return Explained(
        cluster=tree.cluster,
        agent=agent,
        member=member,
        members=tuple(each for each in members_in_order(tree) if each.member.rpartition("/")[0] == agent.agent),
        supervisor=next((each for each in tree.actors if each.name == f"agent/{agent.agent}"), None),
        started=None,
        events=(),
        output=(),
        output_path=None,
        now=time.time(),
    )


def with_own_records(known: Explained | ExplainedActor, who: str) -> Explained | ExplainedActor:
    """Return it with what the files and the processes of this machine tell."""
    directory = log_directory_of(known.cluster)
    found = chosen(ClusterEvents(directory).added(), [who], count=EVENTS)
    if isinstance(known, ExplainedActor):
        return replace(known, events=tuple(reversed(found)))
    member = known.member
    path = None if member is None else output_files(directory).get(who)
    return replace(
        known,
        started=None if member is None else _started(member),
        events=tuple(reversed(found)),
        output=() if path is None else shown_lines(last_lines(path, LINES)),
        output_path=None if path is None else str(path),
    )


def agent_of(tree: TreeView, agent_type: str) -> AgentView | None:
    """Return an agent by its type."""
    return next((each for each in tree.agents if each.agent == agent_type), None)


def _unknown(tree: TreeView, who: str) -> str:
    agents = [each.agent for each in tree.agents]
    members = [each.member for each in members_in_order(tree)]
    actors = [each.name.removeprefix("actor/") for each in tree.actors if each.name.startswith("actor/")]
    there = ", ".join((*agents, *members, *actors)) or "nobody"
    return f"the cluster {tree.cluster!r} has no member or agent {who!r}; there are: {there}"


def _started(member: MemberView) -> float | None:
    ticks = None if member.pid is None else proc_stat.start_ticks(member.pid)
    if ticks is None:
        return None
    # Starts of processes are counted from the boot, with the time that the machine slept.
    since_boot_s = ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot_s)


def shown_lines(lines: Iterable[bytes]) -> tuple[str, ...]:
    """Return lines that a member has written as they are shown."""
    return tuple(line.decode(errors="replace").expandtabs() for line in lines)
