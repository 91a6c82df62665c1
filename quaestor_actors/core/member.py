"""What is known of a member, what can happen to it, and what can be done about it: the words of `core.lifecycle`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.core.restart import AutoShutdown, Backoff, Intensity, RestartType, Strategy


class MemberState(StrEnum):
    """Where a member is in its life."""

    PENDING = "pending"
    STARTING = "starting"
    SERVING = "serving"
    DRAINED = "drained"
    """As good as serving, and kept out of the answers by hand."""
    DEGRADED = "degraded"
    DRAINING = "draining"
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
class Rules:
    """The durations and limits by which the members of an agent are kept. Seconds and bytes."""

    startup_deadline_s: float = 8.0
    response_timeout_s: float = 5.0
    shutdown_deadline_s: float = 45.0
    drain_s: float = 0.0
    startup_retries: int = 25
    probed: bool = True
    """False: a process that lives serves."""
    probe_interval_s: float = 30.0
    failure_threshold: int = 1
    restart: RestartType = RestartType.PERMANENT
    backoff: Backoff = field(default_factory=Backoff)
    recycling_interval_s: float = 0.0
    recycling_bytes: int = 0
    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: Intensity | None = None
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    essential: bool = False
    start_concurrency: int | None = None
    """How many members may be starting at the same time; None: all."""
    max_unavailable: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Everything known about one member. Times are seconds of the caller's monotonic clock."""

    member_id: str
    state: MemberState = MemberState.PENDING
    reason: str = "not started yet"
    since: float = 0.0
    incarnation: int = 0
    """Number of processes started for this member so far; also names the current one."""
    retired: int = 0
    """Incarnations of an earlier member of this name, which was forgotten when it left the configuration."""
    process: ProcessId | None = None
    port: int | None = None
    foreign: bool = False
    """The process was found serving on the member's port: it is used, and never ended."""
    fingerprint: str = ""
    """Of the specification that the present process was started from."""
    configured: bool = True
    """False: it is to go, and to be forgotten once it has ended."""
    wanted: bool = True
    """Whether the member is to have a process; if so the end of the present one is followed by a new one."""
    planned: bool = False
    """The present process is being replaced on purpose: its end is no failure."""
    forced: bool = False
    """It is to be ended without asking, also if its process is not known yet."""
    afterwards: MemberState = MemberState.STOPPED
    """Where a stop leads that is not followed by a start: `stopped`, or `failed` if the agent gave up."""
    drained: str | None = None
    """Why it is to be kept out of the answers although it is up; None: it is not. Later processes inherit it."""
    completed: bool = False
    """The last process ended by itself, normally, and was not to be restarted."""
    cause: str = ""
    """Why the last process ended unexpectedly."""
    failures: int = 0
    """Unexpected ends in a row; a stable period of serving clears it. Sets the back-off."""
    failed_starts: int = 0
    """Starts in a row that never served; reaching the limit gives the member up."""
    failed_checks: int = 0
    """Failed health checks in a row."""
    health: Health | None = None
    """What the last check of the present process said."""
    check: str = ""
    """The same for people."""
    check_pending: bool = False
    """A new verdict was asked for; the one that is there has had its consequences."""
    deadline: float | None = None
    """When the present state must be looked at again; every state that waits for time has one."""
    recycle_at: float | None = None
    """When the present process is old enough to be replaced."""
    due: str | None = None
    """Why the present process is to be replaced as soon as it is idle."""
    idle_watched: bool = False
    """It has been asked to be told when the present process is idle."""

    @property
    def restarts(self) -> int:
        """Processes that replaced an earlier one since the member was created."""
        return max(0, self.incarnation - self.retired - 1)


UP = frozenset({MemberState.SERVING, MemberState.DRAINED})
"""States of a member whose health is good."""

CHECKED = UP | {MemberState.STARTING, MemberState.DEGRADED}
"""States of a member whose health is checked."""

LIVE = CHECKED | {MemberState.DRAINING, MemberState.STOPPING}
"""States of a member that has, or is about to have, a process."""

AT_REST = frozenset({MemberState.STOPPED, MemberState.FAILED})
"""States that nothing but a person, or a new configuration, ends."""


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
    afterwards: MemberState = MemberState.STOPPED
    """`failed` if it is stopped because its agent gave up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceRequested:
    """The present process is to end in order and be followed by a new one."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainRequested:
    """Somebody wants the member to stay up, and to get no more requests until it is undrained."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UndrainRequested:
    """Somebody wants the member to get requests again; it is not started by that."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """It is the member's turn to start."""

    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class RulesChanged:
    """The rules are others than before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spawned:
    """The process of this incarnation exists."""

    incarnation: int
    process: ProcessId
    port: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Instead of Spawned: somebody else's process listens on the member's port."""

    incarnation: int
    process: ProcessId | None
    """None: it belongs to another user."""
    port: int
    holder: str
    """Who it is, for people."""


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
    normal: bool = False
    """It exited with code 0; unknown counts as no."""
    output: str = ""
    """The last lines that it wrote, as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReported:
    """A health check of this incarnation gave a verdict."""

    incarnation: int
    health: Health
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BecameIdle:
    """No request is running in the process of this incarnation, as far as anybody can tell."""

    incarnation: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryMeasured:
    """The process of this incarnation uses this much resident memory."""

    incarnation: int
    resident_bytes: int


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The clock may have passed the member's deadline; harmless if it has not."""


Fact = (
    StartRequested
    | StopRequested
    | ReplaceRequested
    | DrainRequested
    | UndrainRequested
    | Admitted
    | RulesChanged
    | Spawned
    | Found
    | SpawnFailed
    | ProcessExited
    | HealthReported
    | BecameIdle
    | MemoryMeasured
    | DeadlinePassed
)

# Effects


@dataclass(frozen=True, slots=True, kw_only=True)
class Spawn:
    """Start a process for this incarnation; answer with Spawned, Found or SpawnFailed."""

    member_id: str
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminate:
    """Ask the process group to end, by the polite signal."""

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
    """Watch it no longer, neither its health nor its idleness."""

    member_id: str
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchIdle:
    """Say once when no request is running in this incarnation; answer with BecameIdle."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartDue:
    """To the group: the member ended unexpectedly and is to be restarted."""

    member_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberGaveUp:
    """To the group: the member failed too often and is not started any more."""

    member_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberDone:
    """To the group: the member ended by itself and is not to be restarted."""

    member_id: str
    reason: str


Effect = Spawn | Terminate | Kill | StartProbe | StopProbe | WatchIdle | Register | Deregister
Notice = RestartDue | MemberGaveUp | MemberDone
"""What a member's own machine tells the one of its group."""

Step = tuple[Member, tuple[Effect | Notice, ...]]
