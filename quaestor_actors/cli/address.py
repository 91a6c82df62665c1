"""Addresses as they are given on a command line."""

from __future__ import annotations

import re

import click

from quaestor_actors.core.location import join_address

LAST_PORT = 65535
_ADDRESS = re.compile(r"(?:\[(?P<bracketed>[^\]]+)\]|(?P<plain>[^:\[\]\s/]+)):(?P<port>[1-9][0-9]{0,4})", re.ASCII)


def parsed_address(text: str) -> tuple[str, int]:
    """Return host and port.

    Raises:
        click.UsageError: it is not one.
    """
    parts = _ADDRESS.fullmatch(text)
    if parts is None or int(parts["port"]) > LAST_PORT:
        raise click.UsageError(f"{text!r} is not HOST:PORT; an IPv6 address is written [::1]:5161")
    return parts["bracketed"] or parts["plain"], int(parts["port"])


def address_of(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    """Return an address as gRPC takes it: the callback of an argument or an option."""
    return None if text is None else join_address(*parsed_address(text))
