"""Where a location is in a shared store: `services/{scope}/{service}/{host}/{port}/{http|https}`, as in the original.

Parts are written as they are, but for `/` and `%`, which would make another key: `%2F` and `%25` stand for them. A key
and a location correspond one to one, so whatever is not exactly the key of a location is none.
"""

from __future__ import annotations

import re

from quaestor_actors.core.location import Location

PREFIX = "services/"
"""Of all keys of locations."""

_HIGHEST_PORT = 65535
_PARTS = 5
_ESCAPED = re.compile("%2F|%25")
_PORT = re.compile("[1-9][0-9]{0,4}")


def key_of(location: Location) -> str:
    """Return the key of a location."""
    scope, service, host = map(escaped, (location.scope, location.service_name, location.host_name))
    return f"{PREFIX}{scope}/{service}/{host}/{location.port}/{'https' if location.use_tls else 'http'}"


def location_of(key: str) -> Location | None:
    """Return the location of a key, or None if it is not the key of one."""
    parts = key.removeprefix(PREFIX).split("/")
    if not key.startswith(PREFIX) or len(parts) != _PARTS:
        return None
    scope, service, host, port, scheme = parts
    if not service or not host or scheme not in {"http", "https"}:
        return None
    # ASCII digits alone: int() takes those of every script.
    if not _PORT.fullmatch(port) or int(port) > _HIGHEST_PORT:
        return None
    location = Location(
        scope=plain(scope),
        service_name=plain(service),
        host_name=plain(host),
        port=int(port),
        use_tls=scheme == "https",
    )
    return location if key_of(location) == key else None


def escaped(part: str) -> str:
    """Return a part of a key in which no `/` is left."""
    return part.replace("%", "%25").replace("/", "%2F")


def plain(part: str) -> str:
    """Return what was escaped."""
    return _ESCAPED.sub(lambda found: "/" if found[0] == "%2F" else "%", part)
