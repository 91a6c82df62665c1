"""What single values must be, beyond their type. Each rule returns the value or raises ValueError with a sentence."""

from __future__ import annotations

import ipaddress
import re
import shlex

from quaestor_actors.config.faults import did_you_mean, found, quoted
from quaestor_actors.core.spec import ShutdownAction

PLACEHOLDERS = ("{HostName}", "{Port}")
"""What stands for the member's own in command line arguments."""

_CLUSTER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_AGENT_TYPE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 ._-]{0,62}[A-Za-z0-9._-])?")
_HOST_NAME = re.compile(r"[\w-][\w.-]{0,252}")
_ENVIRONMENT_NAME = re.compile(r"[^\s=\x00-\x1f\x7f]+")
_BRACED_WORD = re.compile(r"\{[A-Za-z_]\w*\}")


def cluster_name(name: str) -> str:
    """Accept what can name a directory."""
    if not _CLUSTER_NAME.fullmatch(name):
        raise ValueError(
            "must be letters, digits, '.', '_' and '-', a letter or digit first, 64 at most, because it names a "
            f"directory; found {found(name)}"
        )
    return name


def agent_type(name: str) -> str:
    """Accept what can name a file."""
    if not _AGENT_TYPE.fullmatch(name):
        raise ValueError(
            "must be letters, digits, '.', '_', '-' and inner spaces, a letter or digit first, 64 at most, because "
            f"it names a file; found {found(name)}"
        )
    return name


def not_empty(text: str) -> str:
    """Refuse an empty text, which is neither a value nor its absence."""
    if not text.strip():
        raise ValueError("is empty: give a value, or remove the key")
    return text


def host_name(name: str) -> str:
    """Accept a host name or an IP address of version 4."""
    if _is_ip_version_6(name):
        raise ValueError(f"must be a name or an IPv4 address, found {found(name)}: use a name that stands for it")
    return _host_name(name)


def listening_host_name(name: str) -> str:
    """Accept a host name or any IP address."""
    return name if _is_ip_version_6(name) else _host_name(name)


def _host_name(name: str) -> str:
    if not _HOST_NAME.fullmatch(name):
        raise ValueError(f"must be a host name or address alone, without a port or spaces; found {found(name)}")
    return name


def _is_ip_version_6(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).version == 6  # noqa: PLR2004 - the number is the version's name
    except ValueError:
        return False


def service_name(name: str) -> str:
    """Accept what gRPC health checks can ask for by name."""
    if not name or name != name.strip():
        raise ValueError(
            f"must be the name of a service, found {found(name)}; without serviceNames the server as a whole is checked"
        )
    return name


def arguments(text: str) -> str:
    """Accept a command line that can be split, and whose placeholders are known."""
    try:
        shlex.split(text)
    except ValueError as error:
        raise ValueError(f"cannot be split into arguments: {str(error).lower()} in {quoted(text)}") from error
    for word in _BRACED_WORD.findall(text):
        if word not in PLACEHOLDERS:
            raise ValueError(f"unknown placeholder {word} {did_you_mean(word, PLACEHOLDERS)}")
    return text


def environment_name(name: str) -> str:
    """Accept what the system accepts as the name of a variable, less what is surely a slip."""
    if not _ENVIRONMENT_NAME.fullmatch(name):
        raise ValueError("the name of a variable must not be empty or hold spaces or '='")
    return name


def shutdown_action(value: object) -> ShutdownAction:
    """Accept the name of an action in any case."""
    for action in ShutdownAction:
        if isinstance(value, str) and value.casefold() == action.value:
            return action
    raise ValueError(f"expected None or Kill, found {found(value)}")
