"""What is known of an agent and what can happen to it: the words of `core.group`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from quaestor_actors.core.member import Fact, Member


class Phase(StrEnum):
    """Where an agent is in its life."""

    WAITING = "waiting"
    """For the agents that it depends on; members that are there already are kept."""
    RUNNING = "running"
    STOPPING = "stopping"
    GAVE_UP = "gave_up"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All members of an agent, by id, in the order of the specification."""

    members: Mapping[str, Member] = field(default_factory=lambda: MappingProxyType({}))
    wanted: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The members that are configured, and the fingerprint of what each is to be started from."""
    phase: Phase = Phase.WAITING
    reason: str = ""
    """Of the phase, for people."""
    gate_open: bool = True
    """Whether everything that the agent depends on has been there since its start."""
    retired: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """The last incarnations of members that were forgotten: one that comes back goes on counting from there."""
    restarts: tuple[float, ...] = ()
    """When members were restarted lately."""
    held: frozenset[str] = frozenset()
    """Members that restart together: none starts before all have ended and the back-off is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAll:
    """The agent is to run."""

    gate_open: bool = True
    """False: its members wait until GateOpened."""
    fresh: bool = True
    """True: also what was stopped or given up earlier starts again."""


@dataclass(frozen=True, slots=True)
class GateOpened:
    """Everything that the agent depends on is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAll:
    """The agent is to end with all its members."""

    reason: str
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceAll:
    """The agent starts afresh, because another one did, or because it gave up and its supervisor starts it again."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconfigured:
    """These are the members from now on, each by the fingerprint of its specification."""

    wanted: Mapping[str, str]
    added: str = "added to the configuration"
    """Why members come that were not there, for people."""
    gone: str = "no longer configured"
    """Why those go that are not among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberFact:
    """Something happened to one member."""

    member_id: str
    fact: Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartMember:
    """Somebody wants a member to start afresh, whether it has a process now or not."""

    member_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ClockAdvanced:
    """A deadline may have passed for any member."""


Event = StartAll | GateOpened | StopAll | ReplaceAll | Reconfigured | MemberFact | RestartMember | ClockAdvanced
