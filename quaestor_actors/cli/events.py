"""`quaestor events`: what has happened, from the rings that every supervisor writes; a cluster need not run for it."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import NoReturn

import click

from quaestor_actors.adapters.cluster_events import ClusterEvents, chosen
from quaestor_actors.cli.durations import Ago
from quaestor_actors.cli.events_rendering import event_line, events_listing
from quaestor_actors.cli.forms import Form, rendered
from quaestor_actors.cli.listing import Listing
from quaestor_actors.cli.log_directories import log_directory_of, shared_directory
from quaestor_actors.cli.options import cluster_option
from quaestor_actors.cli.output import Output, output_options_of_constants
from quaestor_actors.cli.running_names import selector_names
from quaestor_actors.cli.table import drawn_line
from quaestor_actors.core.event import Event
from quaestor_actors.errors import NotRunningError

POLL_S = 0.25
LINES = 50


@click.command(short_help="Show what has happened, also of a cluster that is down.")
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...", shell_complete=selector_names)
@click.option("-f", "--follow", "is_followed", is_flag=True, help="Go on with what happens next, until Ctrl+C.")
@click.option("--since", "since_s", type=Ago(), metavar="AGO", help="Only what is not older: 90s, 10m, 2h, 1d.")
@click.option(
    "--lines",
    "count",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"Only the newest N. Default: {LINES}, with --since all.",
)
@cluster_option
@output_options_of_constants
def events(
    selectors: tuple[str, ...],
    is_followed: bool,  # noqa: FBT001 - click's signature
    since_s: float | None,
    count: int | None,
    name: str | None,
    output: Output,
) -> None:
    """Show what has happened to members, agents, actors, the registry, the balancer's locations and the cluster.

    SELECTOR is a member (Worker/2), an agent with its members and actors (Worker, Worker/*), or an actor; of several
    hosts on all of them, or on one (Worker/2@a3).

    Example: quaestor events Worker/2 --since 10m
    """
    directory = log_directory_of(name)
    if (shared := shared_directory(directory.name)) is not None:
        from quaestor_actors.cli.events_hosts import show_events_of_hosts

        since = 0.0 if since_s is None else time.time() - since_s
        most = LINES if count is None and since_s is None else count
        try:
            show_events_of_hosts(shared, selectors, since=since, count=most, is_followed=is_followed, output=output)
        except NotRunningError as error:
            click.echo(f"quaestor: these are the events of this host alone ({error})", err=True)
        else:
            return
    source = ClusterEvents(directory)
    since = 0.0 if since_s is None else time.time() - since_s
    if count is None and since_s is None:
        count = LINES
    found = chosen(source.added(), selectors, since=since, count=count)
    if is_followed:
        _follow(source, found, selectors, cluster=directory.name, output=output)
    output.show(lambda: events_listing(found, cluster=directory.name))


def _follow(
    source: ClusterEvents, first: Sequence[Event], selectors: Sequence[str], *, cluster: str, output: Output
) -> NoReturn:
    if output.form is Form.TSV:
        click.echo(rendered(events_listing((), cluster=cluster), Form.TSV))
    found = first
    while True:
        for event in found:
            _show(event, cluster=cluster, output=output)
        sys.stdout.flush()
        time.sleep(POLL_S)
        found = chosen(source.added(), selectors)


def _show(event: Event, *, cluster: str, output: Output) -> None:
    show_one(event, events_listing([event], cluster=cluster), output)


def show_one(event: Event, listing: Listing[Event], output: Output) -> None:
    """Show an event by itself: as a line, as the row of a list, or as a document like that of the list."""
    screen = output.screen()
    match output.form:
        case Form.TABLE | Form.WIDE:
            width = screen.width if output.form is Form.TABLE else None
            text = drawn_line(event_line(event), width=width, has_colours=screen.has_colours)
        case Form.TSV:
            text = rendered(listing, Form.TSV).partition("\n")[2]
        case _:
            text = rendered(listing, output.form, is_compact=True)
    click.echo(text, color=screen.has_colours)
