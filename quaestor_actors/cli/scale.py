"""`quaestor scale`: another number of members for an agent that runs."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import click

from quaestor_actors.actors.root_messages import ScaleReply, ScaleRequest
from quaestor_actors.actors.view import TreeView
from quaestor_actors.cli.asking import ask_root, own_host, running_cluster
from quaestor_actors.cli.control import wait_options
from quaestor_actors.cli.exit_codes import ExitCode
from quaestor_actors.cli.following import Order, follow
from quaestor_actors.cli.inspect import fetch_here
from quaestor_actors.cli.options import cluster_option
from quaestor_actors.cli.plan_wishes import wishes_of_plan
from quaestor_actors.cli.render import words
from quaestor_actors.cli.running_names import agent_names
from quaestor_actors.cli.wishes import Goal, Outcome
from quaestor_actors.core.host_selector import on_host
from quaestor_actors.core.scaling import Unscalable
from quaestor_actors.core.spec import ClusterSpec
from quaestor_actors.errors import ConflictError

TIMEOUT_S = 60.0


class _Count(click.IntRange):
    """As many as there are to be."""

    name = "number"


@click.command(short_help="Change the number of members of a running agent.")
@click.argument("agent", shell_complete=agent_names)
@click.argument("count", type=_Count(min=0), metavar="N")
@wait_options
@cluster_option
def scale(agent: str, count: int, name: str | None, *, no_wait: bool, timeout_s: float | None) -> None:
    """Change the number of members of a running agent; the configuration file stays as it is.

    It holds until the configuration is read again, or the cluster is started again. Members with the highest numbers
    go first. It ends when the new ones serve and the others are gone; after 60 s, or --timeout, it waits no longer. Of
    several hosts it concerns the one on which it is run, or the one that is named (Worker@a3).

    Example: quaestor scale Worker 6
    """
    directory = running_cluster(name)
    here = own_host(directory)
    agent, host = _told_apart(agent, here)
    elsewhere = "" if host.lower() == here.lower() else host
    before, reply = _scaled(directory, agent, elsewhere, count)
    if reply.refused is not None:
        _refuse(reply.refused, directory.name)
    who = on_host(agent, host)
    if not reply.plan.actions:
        click.echo(f"{who} has {_members(count)} already", err=True)
        return
    click.echo(
        f"{who} has {_members(count)} until the configuration is read again; `quaestor plan` shows what that changes",
        err=True,
    )
    if no_wait:
        for action in reply.plan.actions:
            click.echo(f"{action.verb} {action.subject}: requested")
        return
    # All that is to come is named by the plan.
    wished = wishes_of_plan(reply.plan, ClusterSpec(name=directory.name), before, host=elsewhere)
    limit_s = TIMEOUT_S if timeout_s is None else timeout_s
    follow(
        Order(
            title=f"scale {who} {count}",
            cluster=directory.name,
            wishes=wished,
            timeout_s=limit_s,
            reached=tell_of_change,
        )
    )


def _refuse(refused: Unscalable, cluster: str) -> NoReturn:
    if refused.is_unknown:
        raise ConflictError(f"{refused.reason} in the cluster {cluster!r}; nothing was done")
    click.echo(f"quaestor: {refused.reason}; nothing was done", err=True)
    raise click.exceptions.Exit(ExitCode.USAGE)


def _told_apart(text: str, here: str) -> tuple[str, str]:
    """Return the agent, and on which of several hosts; without hosts it is empty."""
    agent, at, host = text.rpartition("@")
    if not here or not at:
        return text, here
    return agent, host


def _scaled(directory: Path, agent: str, elsewhere: str, count: int) -> tuple[TreeView, ScaleReply]:
    """Return what there was before, and what the root says: the one here, or on another host."""
    if elsewhere:
        from quaestor_actors.cli.scale_hosts import scale_on_host

        return scale_on_host(directory, elsewhere, ScaleRequest(request_id="", agent=agent, count=count))
    before = fetch_here(directory.name).tree
    return before, ask_root(
        directory, lambda request_id: ScaleRequest(request_id=request_id, agent=agent, count=count), ScaleReply
    )


def tell_of_change(outcome: Outcome) -> None:
    """Print what has become of a member that a plan names."""
    verb = {Goal.GONE: "stop", Goal.RESTARTED: "replace"}.get(outcome.wish.goal, "start")
    click.echo(f"{verb} {outcome.wish.who}: {'gone' if verb == 'stop' else words(outcome.state)}")


def _members(count: int) -> str:
    return "1 member" if count == 1 else f"{count} members"
