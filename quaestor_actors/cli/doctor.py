"""`quaestor doctor`: what is wrong around the clusters of this machine, where, and what to do about it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from importlib import metadata
from pathlib import Path

import click

from quaestor_actors.adapters import runtime_directory
from quaestor_actors.cli.exit_codes import ExitCode
from quaestor_actors.cli.listing import SCHEMA_VERSION, Colour, Column, Listing, Piece
from quaestor_actors.cli.options import config_option, host_option
from quaestor_actors.cli.output import Output, output_options_of_constants
from quaestor_actors.cli.reading import Reader, Reading, read_cluster, read_load_balancer
from quaestor_actors.core.diagnosis import Finding, Severity, of_version
from quaestor_actors.errors import ConfigError

_MISSING = "not found in"

_COLOURS = {Severity.ERROR: Colour.RED, Severity.WARNING: Colour.YELLOW}

_COLUMNS: tuple[Column[Finding], ...] = (
    Column(title="SEVERITY", text=lambda one: one.severity.value, colour=lambda one: _COLOURS[one.severity]),
    Column(title="CHECK", text=lambda one: one.check),
    Column(title="WHAT", text=lambda one: one.what, takes_rest=True),
    Column(title="WHERE", text=lambda one: one.where),
    Column(title="REMEDY", text=lambda one: one.remedy),
)


@click.command(short_help="Say what is wrong around the clusters of this machine.")
@config_option
@host_option
@output_options_of_constants
def doctor(config_directory: Path | None, host: str | None, output: Output) -> int:
    """Say what is wrong around the clusters of this machine, where, and what to do about it. Nothing is changed.

    Looks for what killed clusters have left behind, clusters that do not answer, and libraries that do not fit; with a
    configuration also at ports, secrets, etcd, clocks and limits. The exit code is 3 if there is something.

    Example: quaestor doctor -c conf
    """
    shown = output.show(lambda: _look(config_directory, host))
    return ExitCode.NOT_HEALTHY if shown.rows else ExitCode.OK


def _look(directory: Path | None, host: str | None) -> Listing[Finding]:
    # Before anything else here starts a thread: the reader is forked.
    reading, complaint = _read(directory, host)
    from quaestor_actors.cli.doctor_clusters import of_clusters

    base = runtime_directory.base_directory(os.environ)
    findings = [*_of_installation(), *of_clusters(base)]
    notes: tuple[str, ...] = ()
    if complaint is not None:
        findings.append(complaint)
    elif reading is None:
        notes = ("no configuration was found, so ports, secrets, etcd and limits were not looked at: use -c DIR",)
    else:
        from quaestor_actors.cli.doctor_configuration import of_configuration

        findings += of_configuration(reading.spec, base)
    return doctor_listing(findings, notes=notes)


def _read(directory: Path | None, host: str | None) -> tuple[Reading | None, Finding | None]:
    missing: ConfigError | None = None
    for read in (partial(read_cluster, host=host), read_load_balancer):
        try:
            return Reader(read, directory).result(), None
        except ConfigError as error:
            if _MISSING in str(error):
                missing = error
                continue
            first = str(error).splitlines()[0]
            remedy = "quaestor check lists everything that is wrong with it"
            where = "the configuration" if directory is None else str(directory)
            found = Finding(check="configuration", severity=Severity.ERROR, what=first, where=where, remedy=remedy)
            return None, found
    if directory is not None and missing is not None:
        raise missing
    return None, None


def _of_installation() -> Iterator[Finding]:
    """Yield which libraries do not fit the generated code, which would refuse to be imported."""
    rpc = Path(__file__).parents[1] / "rpc"
    for package, pattern in (
        ("grpcio", r"GRPC_GENERATED_VERSION = '(\d+)\.(\d+)\.(\d+)"),
        ("protobuf", r"Domain\.PUBLIC,\s+(\d+),\s+(\d+),\s+(\d+),"),
    ):
        for file in sorted(rpc.glob("*_pb2*.py")):
            if (needed := re.search(pattern, file.read_text(encoding="utf-8"))) is None:
                continue
            try:
                installed = metadata.version(package)
            except metadata.PackageNotFoundError:
                installed = None
            numbers = tuple(map(int, needed.groups()))
            if (found := of_version(package, installed=installed, needed=numbers, where=str(rpc))) is not None:
                yield found
                break


def doctor_listing(findings: list[Finding], *, notes: tuple[str, ...] = ()) -> Listing[Finding]:
    """Return what was found, the worst first."""
    rows = sorted(findings, key=lambda one: list(Severity).index(one.severity))
    return Listing(
        columns=_COLUMNS,
        rows=rows,
        document={
            "schemaVersion": SCHEMA_VERSION,
            "findings": [{**asdict(one), "severity": one.severity.value} for one in rows],
        },
        drawing=tuple(line for one in rows for line in _drawn(one)),
        notes=(*notes, *(() if rows else ("nothing is wrong",))),
    )


def _drawn(one: Finding) -> Iterator[tuple[Piece, ...]]:
    yield (one.severity.value, _COLOURS[one.severity]), (f": {one.what}", None)
    yield ((f"  where   {one.where}", None),)
    yield ((f"  remedy  {one.remedy}", None),)
