"""What the tree shows of itself: plain data that status, tree and the launcher's lines are rendered from.

Times are seconds since the epoch, because whoever reads them may be another process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quaestor_actors.core.crossing import Crossing

# Whoever asks for the status must not wait for these, and they are annotations only.
if TYPE_CHECKING:
    from quaestor_actors.core.actor import Child
    from quaestor_actors.core.member import Member


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberView(Crossing):
    """One member as people see it."""

    member: str
    state: str
    reason: str
    since: float
    pid: int | None
    host: str
    port: int | None
    restarts: int
    incarnation: int
    failures: int = 0
    """Unexpected ends in a row; they set the back-off."""
    failed_starts: int = 0
    """Starts in a row that never served; there is a limit to them."""
    failed_checks: int = 0
    """Health checks in a row."""
    check: str = ""
    """What the last health check of the present process said."""
    deadline: float | None = None
    """When the present state is looked at again, if nothing happens before; None: it does not wait for time."""
    recycle_at: float | None = None
    """When the present process is old enough to be replaced."""
    due: str | None = None
    """Why the present process is to be replaced as soon as it is idle."""
    drained: str | None = None
    """Why it is kept out of the answers; None: it is not."""
    awaits_idle: bool = False
    """Requests may be running that it had when it was drained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorView(Crossing):
    """One actor as people see it."""

    name: str
    parent: str | None
    state: str
    reason: str
    since: float
    pid: int | None
    restarts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView(Crossing):
    """One agent as people see it."""

    agent: str
    phase: str
    reason: str
    waits_for: tuple[str, ...]
    startup_retries: int | None = None
    """So many starts in a row of a member may fail before it is given up."""
    restart_limit: int | None = None
    """More restarts of members within `restart_period_s` make the agent give up; None: there is no limit."""
    restart_period_s: float | None = None
    recent_restarts: tuple[float, ...] = ()
    """When members were restarted lately, where there is a limit."""
    to_replace: tuple[str, ...] = ()
    """Members that are still to be replaced, by a rolling restart or because their configuration changed."""
    aborted: str = ""
    """Why the last rolling restart did not come to its end."""
    rolling_restarts: int = 0
    """How many there have been."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationView:
    """One location of the balancer as people see it."""

    service: str
    address: str
    state: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadView(Crossing):
    """How busy a location is, as the balancer knows it."""

    service: str
    address: str
    standing: str
    """`pending`, `offered` or `withheld`."""
    load: float | None
    """What it is ranked by: 0 idle, 1 full; None: it is not handed out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryView(Crossing):
    """The registry as people see it."""

    store: str
    """`memory`, or `etcd at HOST:PORT`."""
    state: str
    """How it stands with the store: `connecting`, `fallback`, `following` or `degraded`."""
    since: float
    reason: str
    """Why the store cannot be used; empty when it can."""
    locations: int
    """What balancers are told of."""
    registered: int
    """What of that serves in this cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceView(Crossing):
    """Where a member of a floating agent belongs, as people see it."""

    member: str
    host: str
    """Where it is to run."""
    claimed_by: str
    """The host that may run it now; empty: none, as it is on its way from one to another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinationView(Crossing):
    """What a host of several that share a store knows of who coordinates, and of what floats."""

    host: str
    """This one."""
    coordinator: str
    """Empty: nobody, or it is not known yet."""
    hosts: tuple[str, ...]
    """Those that are there, as far as the store says."""
    places: tuple[PlaceView, ...]
    since: float
    """When `trouble` came or went."""
    trouble: str
    """Why the store cannot be used; empty when it can. What floats here is ended when the host's lease is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationView:
    """One registered location as people see it."""

    scope: str
    service: str
    host: str
    port: int
    use_tls: bool
    owner: str
    """Who registered it: `CLUSTER on HOST, pid PID`, an agent of this cluster, or why nobody knows."""
    lease_left_s: float | None
    """None: it has no lease, and stays until somebody deletes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeView(Crossing):
    """A whole cluster as people see it."""

    cluster: str
    actors: tuple[ActorView, ...]
    agents: tuple[AgentView, ...]
    members: tuple[MemberView, ...]
    balancer_address: str | None
    registry: RegistryView | None = None
    """None while it is being started."""
    reloads: int = 0
    """How often the root has been told a configuration since it was started."""
    configuration: str = ""
    """A digest of the files of the configuration in force; hosts of one cluster are to have the same."""
    scaled: tuple[str, ...] = ()
    """Agents that have another number of members than these say, as an operator has scaled them."""
    version: str = ""
    """Of quaestor; empty: not known."""
    coordination: CoordinationView | None = None
    """None without a store that several hosts share, and while it is being started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView(Crossing):
    """One of several hosts, as the one that was asked sees it."""

    name: str
    address: str
    """`host:port` of its actor system."""
    state: str
    """`here`, `awaited`, `joined` or `lost`."""
    since: float
    reason: str
    tree: TreeView | None = None
    """What it has last said of itself; None: nothing, or nobody wants to know."""
    tree_at: float | None = None
    """When it said so."""
    is_current: bool = False
    """It has answered the question that this is the answer to."""


def of_member(member: Member, *, host: str, epoch_of_zero: float) -> MemberView:
    """Return the view of a member, whose times are of a clock that was at zero at that time of the epoch."""
    return MemberView(
        member=member.member_id,
        state=member.state.value,
        reason=member.reason,
        since=epoch_of_zero + member.since,
        pid=member.process.pid if member.process else None,
        host=host,
        port=member.port,
        restarts=member.restarts,
        incarnation=member.incarnation,
        failures=member.failures,
        failed_starts=member.failed_starts,
        failed_checks=member.failed_checks,
        check=member.check,
        deadline=None if member.deadline is None else epoch_of_zero + member.deadline,
        recycle_at=None if member.recycle_at is None else epoch_of_zero + member.recycle_at,
        due=member.due,
        drained=member.drained,
        awaits_idle=member.drained is not None and member.idle_watched,
    )


def of_child(child: Child, *, parent: str, since: float) -> ActorView:
    """Return the view of an actor, as its parent knows it."""
    return ActorView(
        name=child.spec.name,
        parent=parent,
        state=child.state.value,
        reason=child.reason,
        since=since,
        pid=child.pid,
        restarts=max(0, child.incarnation - 1),
    )
