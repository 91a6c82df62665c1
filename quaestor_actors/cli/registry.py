"""`quaestor registry list`, `watch` and `remove`: what is registered, by whom, and for how long."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import click

from quaestor_actors.cli import registry_rendering as rendering
from quaestor_actors.cli.asking import running_cluster
from quaestor_actors.cli.forms import Form
from quaestor_actors.cli.listing import Listing
from quaestor_actors.cli.options import cluster_option
from quaestor_actors.cli.output import FormType, Output, output_options
from quaestor_actors.cli.reading import Reader, Reading, read_cluster, read_load_balancer
from quaestor_actors.cli.registry_cluster import ask_contents, ask_standing
from quaestor_actors.cli.registry_entries import Change, Contents
from quaestor_actors.cli.registry_removal import Target, find, remove, target_of_key, target_of_location
from quaestor_actors.cli.registry_store import first_answer, read_contents, read_snapshot
from quaestor_actors.cli.registry_watch import StoreWatch, watch_cluster
from quaestor_actors.cli.render import IN_MEMORY, registry_lines
from quaestor_actors.cli.table import printable
from quaestor_actors.core import location_key
from quaestor_actors.core.location import Location
from quaestor_actors.core.spec import StoreSpec
from quaestor_actors.errors import ConfigError, ConflictError, NotRunningError

LAST_PORT = 65535
_ADDRESS = re.compile(r"(?:\[(?P<bracketed>[^\]]+)\]|(?P<plain>[^:\[\]]+)):(?P<port>[1-9][0-9]{0,4})", re.ASCII)

store_option = click.option(
    "-c",
    "--configDir",
    "--config-dir",
    "config_directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the configuration that names the etcd. Default: ask the cluster that runs here.",
)


Place = Path | tuple[StoreSpec, ...]
"""Where the registry is: in a running cluster, whose directory this is, or in the first of these that answers."""


def find_place(config_directory: Path | None, name: str | None) -> Place:
    """Return where to look.

    Raises:
        ConfigError: the configuration cannot be used.
        NotRunningError: there is no store, and no such cluster runs.
        OperationError: there is no store, and several clusters run.
    """
    if config_directory is None:
        try:
            return running_cluster(name)
        except NotRunningError as error:
            raise NotRunningError(f"{error}, or name the configuration of an etcd with -c") from error
    if name is not None:
        raise click.UsageError("-c names an etcd, and --cluster a running cluster: give one of them")
    spec = Reader(_read, config_directory).result().spec
    return spec.stores or running_cluster(spec.name)


def _read(directory: Path | None) -> Reading:
    try:
        return read_cluster(directory)
    except ConfigError:
        # A folder with only the balancer's file is a configuration too; otherwise the first faults count.
        from quaestor_actors.config import CLUSTER_FILE

        if directory is None or (directory / CLUSTER_FILE).exists():
            raise
        return read_load_balancer(directory)


@click.group(short_help="Show what is registered, follow it, remove an entry.")
def registry() -> None:
    """Show what is registered, by whom, and for how long; follow it; remove an entry.

    With -c, the etcd that this configuration names is asked, whether or not a cluster runs here. Without, or if it
    names none, the cluster that runs here is asked what its balancers are told of; of what other clusters have in
    their etcd it knows neither owners nor leases.

    Example: quaestor registry list -c /etc/quaestor
    """


@registry.command("list", short_help="Show what is registered.")
@store_option
@cluster_option
@output_options
def list_(config_directory: Path | None, name: str | None, output: Output) -> None:
    """Show what is registered, by whom, and how much of its lease is left.

    An entry vanishes when its lease ends, which happens soon after the end of whoever registered it. One that the
    C# original has registered has no lease, and stays until it is removed.

    Example: quaestor registry list -c conf -o json
    """
    place = find_place(config_directory, name)
    output.show(lambda: _listing_of(place))


def _listing_of(place: Place) -> Listing[rendering.Registered]:
    if isinstance(place, Path):
        return rendering.contents_listing(ask_contents(place), notes=_standing_notes(place))
    return rendering.contents_listing(asyncio.run(_contents_of(place)))


async def _contents_of(specs: tuple[StoreSpec, ...]) -> Contents:
    async with first_answer(specs, read_contents) as (_, contents):
        return contents


def _standing_notes(directory: Path) -> tuple[str, ...]:
    standing = ask_standing(directory)
    if standing is None or standing.store == IN_MEMORY:
        return ()
    return (
        *registry_lines(standing, time.time()),
        f"this is what the balancers here are told; `-c DIR` asks {standing.store} itself, with owners and leases",
    )


@registry.command(short_help="Show what is registered, and every change.")
@store_option
@cluster_option
@click.option(
    "-o",
    "--output",
    "form",
    type=FormType(Form.TABLE, Form.JSON),
    default=Form.TABLE.value,
    show_default=True,
    help="Lines for people, or lines of JSON.",
)
def watch(config_directory: Path | None, name: str | None, form: Form) -> None:
    """Show what is registered, and then a line for every change, until Ctrl+C.

    + is there now, - is gone, ~ is registered by somebody else. It goes on after an outage, with what has changed
    meanwhile. A running cluster is asked twice a second.

    Example: quaestor registry watch -c conf
    """
    place = find_place(config_directory, name)
    line = rendering.change_json if form is Form.JSON else rendering.change_text

    def show(changes: Sequence[Change]) -> None:
        for change in changes:
            click.echo(line(change, datetime.now().astimezone()))

    if isinstance(place, Path):
        watch_cluster(lambda: ask_contents(place), show=show, say=_say)
    asyncio.run(_watch_stores(place, show))


async def _watch_stores(specs: tuple[StoreSpec, ...], show: Callable[[Sequence[Change]], None]) -> NoReturn:
    async with first_answer(specs, read_snapshot) as (store, snapshot):
        await StoreWatch(store, show=show, say=_say).run(snapshot)
    raise AssertionError("a watch ends by an error alone")


def _say(text: str) -> None:
    click.echo(f"{datetime.now().astimezone():%H:%M:%S} {text}", err=True)


@registry.command("remove", short_help="Remove one entry.")
@click.argument("what", nargs=-1, required=True, metavar="SERVICE HOST:PORT | KEY")
@click.option("--scope", metavar="NAME", help="Scope of the entry. Default: none.")
@click.option("--tls/--no-tls", "use_tls", default=None, help="Which one, if it is there with TLS and without.")
@click.option("--force", is_flag=True, help="Remove it although somebody keeps it registered, and may write it again.")
@store_option
@cluster_option
def remove_(
    *,
    what: tuple[str, ...],
    scope: str | None,
    use_tls: bool | None,
    force: bool,
    config_directory: Path | None,
    name: str | None,
) -> None:
    """Remove one entry from the etcd that the configuration names: what nobody keeps registered any more.

    It is given as `list` shows it, or by its KEY as `list -o json` does.

    Example: quaestor registry remove Worker 10.0.0.7:5161 -c conf
    """
    target = _target(what, scope=scope, use_tls=use_tls)
    place = find_place(config_directory, name)
    if isinstance(place, Path):
        raise ConflictError(_why_not(place))
    key = asyncio.run(_remove_from(place, target, is_forced=force))
    click.echo(f"removed {printable(key)}")


async def _remove_from(specs: tuple[StoreSpec, ...], target: Target, *, is_forced: bool) -> str:
    async with first_answer(specs, lambda store: find(store, target)) as (store, found):
        return await remove(store, target, found, is_forced=is_forced)


def _why_not(directory: Path) -> str:
    standing = ask_standing(directory)
    if standing is None or standing.store == IN_MEMORY:
        return (
            f"the registry of {directory.name} is in the cluster's own memory, and has what serves and nothing else: "
            "stop a member, or change the configuration, to have it no longer registered"
        )
    return f"the registry of {directory.name} is in {standing.store}: name the folder of its configuration with -c"


def _target(what: tuple[str, ...], *, scope: str | None, use_tls: bool | None) -> Target:
    match what:
        case (key,) if key.startswith(location_key.PREFIX):
            if scope is not None or use_tls is not None:
                raise click.UsageError("a key says it all: without --scope, --tls and --no-tls")
            return target_of_key(key)
        case (service, address):
            return target_of_location(_location(service, address, scope or ""), use_tls=use_tls)
        case _:
            raise click.UsageError(f"name SERVICE and HOST:PORT, or a key that begins with {location_key.PREFIX}")


def _location(service: str, address: str, scope: str) -> Location:
    parts: Any = _ADDRESS.fullmatch(address)
    if parts is None or int(parts["port"]) > LAST_PORT:
        raise click.UsageError(f"{address!r} is not HOST:PORT; an IPv6 address is written [::1]:5161")
    host = parts["bracketed"] or parts["plain"]
    return Location(scope=scope, service_name=service, host_name=host, port=int(parts["port"]))
