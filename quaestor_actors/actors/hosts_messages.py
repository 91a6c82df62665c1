"""What is asked of all hosts of a cluster at once, and what is said about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quaestor_actors.core.crossing import Crossing

# Whoever asks for the status must not wait for these, and they are annotations only.
if TYPE_CHECKING:
    from thespian.actors import ActorAddress

    from quaestor_actors.actors.base import Identity
    from quaestor_actors.actors.view import HostView
    from quaestor_actors.core.spec import HostSpec

EVERY_HOST = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartHosts:
    """From the root: find the other hosts, and speak with them."""

    identity: Identity
    hosts: tuple[HostSpec, ...]
    own: str
    """The name of this one of them."""
    log_directory: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class HostsRequest(Crossing):
    """From an operator, to the root of any host: ask the roots of these hosts, this one's included, each something."""

    request_id: str
    asks: tuple[tuple[str, Any], ...]
    """Host and request, of those that a root answers; `EVERY_HOST` stands for all that are not named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostsReply(Crossing):
    """The answer to one HostsRequest: what has come within a second, and how the hosts stand."""

    request_id: str
    own: str = ""
    """The host that says this."""
    hosts: tuple[HostView, ...] = ()
    """All of the cluster, in the order of the configuration; none: ask again, who knows them is just being replaced.

    What is said of those that were not asked means nothing but that they are hosts.
    """
    answers: tuple[tuple[str, Any], ...] = ()
    """By host; one that did not answer is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOn:
    """From the root: somebody has asked this."""

    request: Any
    reply_to: ActorAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class HostsChanged:
    """To the root: these have joined, or are lost."""

    hosts: tuple[HostView, ...]
