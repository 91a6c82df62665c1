"""What is known of the actors under a supervisor, what can happen to them and what is done: words of `core.tree`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from quaestor_actors.core.restart import Backoff, Intensity, RestartType


class ActorState(StrEnum):
    """Where an actor of the tree is in its life."""

    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    CRASHED = "crashed"
    BACKING_OFF = "backing_off"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DONE = "done"
    """It has ended by itself, and is not started again."""
    FAILED = "failed"
    """It was given up."""


AT_REST = frozenset({ActorState.STOPPED, ActorState.DONE, ActorState.FAILED})
"""States that an actor does not leave by itself."""

ABSENT = frozenset({ActorState.PENDING, ActorState.BACKING_OFF}) | AT_REST
"""States without an actor; what is told of one then is late, because its end was told already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnEnd:
    """What follows the end of an actor that the others can do without: it is a matter between it and the root alone."""

    restart: RestartType = RestartType.PERMANENT
    intensity: Intensity | None = None
    """More restarts than this and it is given up; None: there is no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """An actor that the root keeps."""

    name: str
    stop_rank: int
    """Actors of a lower rank have stopped before those of a higher one are asked to."""
    stop_deadline_s: float
    stop_tries: int = 1
    """How many actors are asked to stop, one after the other, if each ends before it has stopped what it keeps."""
    own_end: OwnEnd | None = None
    """None: it is always started again, and each time counts in the tree's intensity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """Everything the root knows about one actor. Times are seconds of the caller's monotonic clock."""

    spec: ChildSpec
    state: ActorState = ActorState.PENDING
    incarnation: int = 0
    pid: int | None = None
    since: float = 0.0
    reason: str = "not started yet"
    deadline: float | None = None
    failures: int = 0
    """Ends in a row without a stable time between them."""
    stops: int = 0
    """How many actors have been asked to stop without having said that they have."""
    leaving: bool = False
    """It is not configured any more: its end, which was asked for, is not followed by another one."""
    replacing: bool = False
    """Its end was asked for, and is followed by another one at once."""
    finished: bool = False
    """It has said, without having been asked to stop, that it has done its work; its end follows."""
    restarts: tuple[float, ...] = ()
    """When it was restarted lately, if there is a limit of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """All actors by name, and the recent restarts."""

    children: Mapping[str, Child]
    intensity: Intensity = field(default_factory=lambda: Intensity(limit=10, period_s=10.0))
    backoff: Backoff = field(default_factory=lambda: Backoff(initial_s=0.2, cap_s=5.0))
    restarts: tuple[float, ...] = ()
    stopping: bool = False
    forced: bool = False
    given_up: bool = False


@dataclass(frozen=True, slots=True)
class StartTree:
    """Create every actor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildReady:
    """An actor works."""

    name: str
    incarnation: int
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildCrashed:
    """An actor reports the exception that ends it; its end follows."""

    name: str
    incarnation: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildStopped:
    """An actor reports that it has stopped in order, as asked or because its work is done; its end follows."""

    name: str
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEnded:
    """An actor exists no longer. May be told more than once."""

    name: str
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTree:
    """Stop everything, in order; `force` skips politeness towards members."""

    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconfigured:
    """These are the actors from now on: new ones are created, others are asked to stop and forgotten."""

    specs: tuple[ChildSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceChild:
    """An actor is to stop in order and be followed by another one, which gets a new first message."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ClockAdvanced:
    """A deadline may have passed for any actor."""


Event = (
    StartTree
    | ChildReady
    | ChildCrashed
    | ChildStopped
    | ChildEnded
    | StopTree
    | Reconfigured
    | ReplaceChild
    | ClockAdvanced
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateActor:
    """Create this incarnation and tell it to start."""

    name: str
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AskToStop:
    """Ask an actor to stop what it keeps, and report."""

    name: str
    force: bool = False
    leaving: bool = False
    """It will not come back: also what would outlive the cluster is to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KillActor:
    """End the actor's process now; its own children end with it."""

    name: str
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """The root cannot keep its actors; it ends and its guardian decides."""

    reason: str


@dataclass(frozen=True, slots=True)
class TellStopped:
    """Everything has stopped."""


Effect = CreateActor | AskToStop | KillActor | GiveUp | TellStopped
