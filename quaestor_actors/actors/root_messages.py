"""What the root says to whoever launched the cluster, and to operators."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from quaestor_actors.core.crossing import Crossing

# Whoever asks for the status must not wait for these, and they are annotations only.
if TYPE_CHECKING:
    from quaestor_actors.actors.agent_messages import Command
    from quaestor_actors.actors.base import Identity
    from quaestor_actors.actors.view import (
        ActorView,
        AgentView,
        HostView,
        LoadView,
        LocationView,
        MemberView,
        RegistrationView,
        RegistryView,
    )
    from quaestor_actors.core.plan import Plan
    from quaestor_actors.core.scaling import Unscalable
    from quaestor_actors.core.spec import ClusterSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRoot:
    """From the launcher: run this cluster, and keep me informed."""

    identity: Identity
    spec: ClusterSpec
    environment: tuple[tuple[str, str], ...] = field(repr=False)
    state_directory: Path
    log_directory: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """To the launcher: what people may want to see of a change."""

    members: tuple[MemberView, ...] = ()
    gone: tuple[str, ...] = ()
    agents: tuple[AgentView, ...] = ()
    actors: tuple[ActorView, ...] = ()
    locations: tuple[LocationView, ...] = ()
    registry: RegistryView | None = None
    """None: as before."""
    said: tuple[str, ...] = ()
    """Sentences about the cluster as a whole."""
    hosts: tuple[HostView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """To the launcher: the cluster ends by itself; Stopped follows."""

    reason: str
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """From the launcher: run this from now on."""

    spec: ClusterSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """To the launcher: what the new specification changes."""

    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadRequest:
    """From an operator: have the launcher read its configuration again; the number of reloads in the tree goes up."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadReply:
    """The answer to one ReloadRequest: the launcher has been told."""

    request_id: str


@dataclass(frozen=True, slots=True)
class ReloadWanted:
    """To the launcher: an operator wants the configuration to be read again."""


@dataclass(frozen=True, slots=True)
class Ping:
    """From the launcher: give a sign of life."""


@dataclass(frozen=True, slots=True)
class Pong:
    """To the launcher: the root handles its messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """From anybody with the cookie: say what this specification would change."""

    request_id: str
    spec: ClusterSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReply:
    """The answer to one PlanRequest."""

    request_id: str
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRequest(Crossing):
    """From an operator: start, stop or restart the members that the selectors name."""

    request_id: str
    command: Command
    selectors: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandReply(Crossing):
    """The answer to one CommandRequest."""

    request_id: str
    members: tuple[str, ...]
    """Whom the command was passed on to."""
    unknown: tuple[str, ...]
    """Selectors that name nobody; if there is one, nothing was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleRequest(Crossing):
    """From an operator: run so many members of an agent."""

    request_id: str
    agent: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleReply(Crossing):
    """The answer to one ScaleRequest."""

    request_id: str
    plan: Plan
    """What is done."""
    refused: Unscalable | None = None
    """Why nothing is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """To the launcher: an operator has changed the number of an agent's members."""

    before: ClusterSpec
    after: ClusterSpec
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryRequest:
    """From anybody with the cookie: list what balancers are told of."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryReply:
    """The answer to one RegistryRequest; it comes from the registry itself."""

    request_id: str
    registrations: tuple[RegistrationView, ...]
    """Sorted by service, host and port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadsRequest(Crossing):
    """From anybody with the cookie: say how busy the members of this host are."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadsReply(Crossing):
    """The answer to one LoadsRequest; it comes from a balancer itself, where there is one."""

    request_id: str
    loads: tuple[LoadView, ...]
