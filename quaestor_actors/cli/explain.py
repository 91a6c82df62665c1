"""`quaestor explain`: how a member or an agent is, why, and what happens next, on one screen."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from quaestor_actors.actors.view import AgentView, MemberView, TreeView
from quaestor_actors.adapters import proc_stat
from quaestor_actors.cli.events_reading import ClusterEvents, chosen
from quaestor_actors.cli.explain_rendering import Explained, explain_listing
from quaestor_actors.cli.forms import Form
from quaestor_actors.cli.inspect import fetch_tree
from quaestor_actors.cli.listing import Listing
from quaestor_actors.cli.log_directories import log_directory_of
from quaestor_actors.cli.logs_reading import last_lines, output_files
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

    MEMBER is a member (Worker/2) or an agent (Worker). The last lines that a member wrote are shown, too.

    Example: quaestor explain Worker/2
    """

    def look() -> Listing[Event]:
        width = output.screen().width
        return explain_listing(find_out(who, name), width=width, is_wide=output.form is Form.WIDE)

    output.show(look)


def find_out(who: str, name: str | None) -> Explained:
    """Return what is known of a member or an agent of a running cluster.

    Raises:
        NotRunningError: no such cluster runs, or it does not answer.
        ConflictError: it has no such member or agent.
    """
    shown = fetch_tree(name)
    tree, directory = shown.tree, log_directory_of(shown.tree.cluster)
    member = next((each for each in tree.members if each.member == who), None)
    agent = _agent_of(tree, who.removesuffix("/*") if member is None else who.rpartition("/")[0])
    if agent is None:
        raise ConflictError(_unknown(tree, who))
    path = None if member is None else output_files(directory).get(who)
    found = chosen(ClusterEvents(directory).added(), [who], count=EVENTS)
    return Explained(
        cluster=tree.cluster,
        agent=agent,
        member=member,
        members=tuple(each for each in members_in_order(tree) if each.member.rpartition("/")[0] == agent.agent),
        supervisor=next((each for each in tree.actors if each.name == f"agent/{agent.agent}"), None),
        started=None if member is None else _started(member),
        events=tuple(reversed(found)),
        output=() if path is None else _said_last(path),
        output_path=None if path is None else str(path),
        now=time.time(),
    )


def _agent_of(tree: TreeView, agent_type: str) -> AgentView | None:
    return next((each for each in tree.agents if each.agent == agent_type), None)


def _unknown(tree: TreeView, who: str) -> str:
    agents = [each.agent for each in tree.agents]
    members = [each.member for each in members_in_order(tree)]
    there = ", ".join((*agents, *members)) or "nobody"
    return f"the cluster {tree.cluster!r} has no member or agent {who!r}; there are: {there}"


def _started(member: MemberView) -> float | None:
    ticks = None if member.pid is None else proc_stat.start_ticks(member.pid)
    if ticks is None:
        return None
    # Starts of processes are counted from the boot, with the time that the machine slept.
    since_boot_s = ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot_s)


def _said_last(path: Path) -> tuple[str, ...]:
    return tuple(line.decode(errors="replace").expandtabs() for line in last_lines(path, LINES))
