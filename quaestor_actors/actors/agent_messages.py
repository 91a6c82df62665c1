"""What the root and an agent supervisor say to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import assert_never

from thespian.actors import ActorAddress

from quaestor_actors.actors.base import Identity
from quaestor_actors.actors.view import ActorView, MemberView
from quaestor_actors.core import member
from quaestor_actors.core.agent import Event, MemberFact, RestartMember
from quaestor_actors.core.cluster import AgentReport
from quaestor_actors.core.member import Rules
from quaestor_actors.core.spec import AgentSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPlan:
    """What an agent supervisor is to keep, and by which rules."""

    spec: AgentSpec
    rules: Rules
    heartbeat_interval_s: float
    grant: int = 0
    """Number of the grant that says which members of a floating agent run here; 0: none has been heard of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAgent:
    """From the root: adopt what a predecessor left, start what is missing, and keep it so."""

    identity: Identity
    plan: AgentPlan
    environment: tuple[tuple[str, str], ...] = field(repr=False)
    """What members inherit: the environment of whoever launched the cluster."""
    state_path: Path
    log_directory: Path
    gate_open: bool = True
    """False: members wait for OpenAgent."""
    fresh: bool = True
    """The cluster was launched just now: what was stopped or given up before starts again."""


@dataclass(frozen=True, slots=True)
class OpenAgent:
    """From the root: what the agent depends on is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigureAgent:
    """From the root: keep this from now on."""

    plan: AgentPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartAgent:
    """From the root: start every member afresh."""

    reason: str


class Command(StrEnum):
    """What operators can want of a member."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandMembers:
    """From an operator, through the root: start, stop or restart these members."""

    command: Command
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryAt:
    """From the root: the registry is there; tell it all you have, then every change."""

    registry: ActorAddress
    introduction: int
    """Counts up with every one of these; goes with all that the agent tells the registry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentChanged:
    """To the root: what changed of this agent, its members and its actors."""

    agent: str
    incarnation: int
    """Of the agent supervisor: what a dead one has said last may come after its successor's first word."""
    report: AgentReport
    members: tuple[MemberView, ...] = ()
    gone: tuple[str, ...] = ()
    """Members that are not configured any more and have ended."""
    whole: bool = False
    """From a supervisor that has just taken over: there are no other members than these."""
    actors: tuple[ActorView, ...] = ()
    grant: int = 0
    """The last one that this is the consequence of; see `AgentPlan`."""
    restarts: tuple[float, ...] = ()
    """When its members were restarted lately, in seconds since the epoch; only with an intensity."""


def commanded(command: Command, name: str) -> Event:
    """Return what a command means for one member."""
    match command:
        case Command.START:
            return MemberFact(member_id=name, fact=member.StartRequested(reason="started by hand"))
        case Command.STOP:
            return MemberFact(member_id=name, fact=member.StopRequested(reason="stopped by hand"))
        case Command.RESTART:
            return RestartMember(member_id=name, reason="restarted by hand")
        case _:
            assert_never(command)
