"""What is known of a member, what can happen to it, and what can be done about it: the words of `core.lifecycle`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from quaestor_actors.core.restart import Backoff


class MemberState(StrEnum):
    """Where a member is in its life."""

    PENDING = "pending"
    STARTING = "starting"
    SERVING = "serving"
    DEGRADED = "degraded"
    STOPPING = "stopping"
    STOPPED = "stopped"
    BACKING_OFF = "backing_off"
    FAILED = "failed"


class Health(StrEnum):
    """What a health check said last."""

    SERVING = "serving"
    NOT_SERVING = "not_serving"
    """The service itself says that it cannot serve."""
    TIMEOUT = "timeout"
    """Connected, and no answer within the deadline: the process hangs."""
    UNREACHABLE = "unreachable"
    """No connection; while the process lives this may pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessId:
    """A process, named so that a reused pid is never mistaken for it."""

    pid: int
    start_ticks: int
    """Start time in clock ticks since boot (field 22 of /proc/PID/stat, see proc(5))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The durations and limits by which a member is kept."""

    startup_deadline_s: float
    response_timeout_s: float
    shutdown_deadline_s: float
    startup_retries: int
    assume_healthy: bool = False
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Everything known about one member. Times are seconds of the caller's monotonic clock."""

    member_id: str
    state: MemberState = MemberState.PENDING
    reason: str = "not started yet"
    since: float = 0.0
    incarnation: int = 0
    """Number of processes started for this member so far; also names the current one."""
    process: ProcessId | None = None
    port: int | None = None
    restart_wanted: bool = True
    """Whether the end of the present process is followed by a new one."""
    failures: int = 0
    """Unexpected ends in a row; a stable period of serving clears it. Sets the back-off."""
    failed_starts: int = 0
    """Starts in a row that never served; reaching the limit gives the member up."""
    restarts: int = 0
    """Processes that replaced an earlier one since the member was created."""
    deadline: float | None = None
    """When the present state must have ended; every state that waits for time has one."""


# Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequested:
    """Somebody wants the member up: its agent at start, or an operator."""

    reason: str = "start requested"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequested:
    """Somebody wants the member down, and it stays down."""

    reason: str = "stop requested"
    force: bool = False
    """Kill at once instead of asking politely first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spawned:
    """The process of this incarnation exists."""

    incarnation: int
    process: ProcessId
    port: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpawnFailed:
    """The process of this incarnation could not be started."""

    incarnation: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessExited:
    """The process of this incarnation is gone."""

    incarnation: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReported:
    """A health check of this incarnation gave a verdict."""

    incarnation: int
    health: Health
    detail: str


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The clock may have passed the member's deadline; harmless if it has not."""


Fact = StartRequested | StopRequested | Spawned | SpawnFailed | ProcessExited | HealthReported | DeadlinePassed

# Effects


@dataclass(frozen=True, slots=True, kw_only=True)
class Spawn:
    """Start a process for this incarnation; answer with Spawned or SpawnFailed."""

    member_id: str
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminate:
    """Ask the process group to end (SIGTERM)."""

    member_id: str
    process: ProcessId


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """End the process group now (SIGKILL)."""

    member_id: str
    process: ProcessId


@dataclass(frozen=True, slots=True, kw_only=True)
class StartProbe:
    """Watch the health of this incarnation."""

    member_id: str
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopProbe:
    """Watch it no longer."""

    member_id: str
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Make the member discoverable."""

    member_id: str
    incarnation: int
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deregister:
    """Make the member undiscoverable."""

    member_id: str
    incarnation: int
    port: int


Effect = Spawn | Terminate | Kill | StartProbe | StopProbe | Register | Deregister
