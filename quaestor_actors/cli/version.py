"""`quaestor version`: what runs here, in which versions."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import metadata

import click

from quaestor_actors.cli.listing import SCHEMA_VERSION, Column, Listing
from quaestor_actors.cli.output import Output, output_options_of_constants

_PACKAGES = (
    ("quaestor", "quaestor-actors"),
    ("grpc", "grpcio"),
    ("protobuf", "protobuf"),
    ("thespian", "thespian"),
    ("etcd client", "etcd-sdk-python"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Something that commands are made of."""

    name: str
    version: str | None
    """None: it is not installed."""


_COLUMNS: tuple[Column[Part], ...] = (
    Column(title="PART", text=lambda one: one.name),
    Column(title="VERSION", text=lambda one: one.version or "not installed", exact=lambda one: one.version or ""),
)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        # The client of etcd is an extra.
        return None


def version_listing() -> Listing[Part]:
    """Return quaestor first, then Python, then what it stands on."""
    first, *others = (Part(name=name, version=_version(package)) for name, package in _PACKAGES)
    parts = (first, Part(name="python", version=platform.python_version()), *others)
    versions = {part.name.replace(" ", "_"): part.version for part in parts}
    return Listing(columns=_COLUMNS, rows=parts, document={"schemaVersion": SCHEMA_VERSION, "versions": versions})


@click.command(short_help="Show the versions of what runs here.")
@output_options_of_constants
def version(output: Output) -> None:
    """Show the versions of quaestor, of Python, and of the libraries that a report of a fault should name.

    Example: quaestor version -o json
    """
    output.show(version_listing)
