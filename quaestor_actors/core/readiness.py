"""When a cluster counts as started, and what the service manager above the launcher is told of it.

Started means: every member that is to serve serves, and so does the balancer. A member that never serves must not hold
the start up for ever, and the manager must not kill a launcher for it, so after the longest start-up deadline the
cluster counts as started as it is, and the status says what is missing. Without a tree it never does. The watchdog is
fed only by answers of the root: a launcher that lives above a tree that hangs is not well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import assert_never

from quaestor_actors.core.member import AT_REST, UP, MemberState
from quaestor_actors.core.spec import AgentSpec, ClusterSpec, ShutdownAction

TREE_START_S = 5.0
"""What the tree itself may take before its members begin to start."""

STATUS_PERIOD_S = 1.0
"""The status is told at most once in this time: each change of it costs the service manager a message to everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What the launcher knows of its cluster, and what it has told. Times are of the caller's monotonic clock."""

    members: Mapping[str, MemberState] = field(default_factory=lambda: MappingProxyType({}))
    """Every member that the specification names."""
    balancer_awaited: bool = False
    """The cluster's own balancer does not listen yet."""
    missing: str = "starting the tree"
    """What is done about a tree that is not there; empty: it is there."""
    deadline: float = 0.0
    """When a cluster with a tree counts as started, whatever has become of its members."""
    announced: bool = False
    told: str = ""
    """The last status."""
    told_at: float = 0.0
    watchdog_interval_s: float | None = None
    ask_at: float = 0.0
    """When the root is asked next for a sign of life."""
    beat_due: bool = False
    """The root was asked; its next word feeds the watchdog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersChanged:
    """Some members are in these states now."""

    states: Mapping[str, MemberState]


@dataclass(frozen=True, slots=True)
class BalancerListens:
    """The balancer actor has started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeLost:
    """The actor system or the root has ended and will be replaced; members are not concerned."""

    what: str


@dataclass(frozen=True, slots=True)
class Heard:
    """The root has said something, whatever it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconfigured:
    """A reload is complete: this specification holds from now on."""

    spec: ClusterSpec


@dataclass(frozen=True, slots=True)
class Woken:
    """The clock may have passed `wake_at`; harmless if it has not."""


Event = MembersChanged | BalancerListens | TreeLost | Heard | Reconfigured | Woken


@dataclass(frozen=True, slots=True, kw_only=True)
class Announce:
    """Say that the start, or the reload, is complete."""

    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Say how things are."""

    status: str


@dataclass(frozen=True, slots=True)
class AskRoot:
    """Have the root give a sign of life; answer with Heard."""


@dataclass(frozen=True, slots=True)
class Beat:
    """Feed the watchdog."""


Effect = Announce | Tell | AskRoot | Beat
Step = tuple[Readiness, tuple[Effect, ...]]


def create(spec: ClusterSpec, *, now: float, watchdog_interval_s: float | None) -> Readiness:
    """Return what is known when the launcher begins: nothing of anybody."""
    return Readiness(
        members=_members(spec, {}),
        balancer_awaited=spec.balancer is not None,
        deadline=now + TREE_START_S + ready_within_s(spec),
        # The first status need not wait.
        told_at=now - STATUS_PERIOD_S,
        watchdog_interval_s=watchdog_interval_s,
        ask_at=now,
    )


def decide(state: Readiness, event: Event, now: float) -> Step:
    """Return the state after the event and what must be said because of it, in order."""
    effects: tuple[Effect, ...] = ()
    match event:
        case MembersChanged():
            known = {name: found for name, found in event.states.items() if name in state.members}
            state = replace(state, members=MappingProxyType({**state.members, **known}))
        case BalancerListens():
            state = replace(state, balancer_awaited=False)
        case TreeLost():
            state = replace(state, missing=f"the {event.what} ended unexpectedly: starting the tree again")
        case Heard():
            effects = (Beat(),) if state.beat_due else ()
            state = replace(state, beat_due=False, missing="")
        case Reconfigured():
            state = replace(state, members=_members(event.spec, state.members))
            if state.announced:
                return _announce(state, now)
        case Woken():
            state, effects = _ask(state, now)
        case _:
            assert_never(event)
    state, said = _speak(state, now)
    return state, (*effects, *said)


def wake_at(state: Readiness) -> float | None:
    """Return when `Woken` is due; None: not before something else happens."""
    times = [] if state.announced or state.missing else [state.deadline]
    if state.watchdog_interval_s is not None:
        times.append(state.ask_at)
    if status_of(state) != state.told:
        times.append(state.told_at + STATUS_PERIOD_S)
    return min(times, default=None)


def status_of(state: Readiness) -> str:
    """Return how things are, in a line."""
    if state.missing:
        return state.missing
    if not state.members:
        return "balancer starting" if state.balancer_awaited else "running, without members"
    states = list(state.members.values())
    stopped = states.count(MemberState.STOPPED)
    failed = states.count(MemberState.FAILED)
    drained = states.count(MemberState.DRAINED)
    parts = [f"{states.count(MemberState.SERVING)}/{len(states) - stopped} members serving"]
    parts += [f"{drained} drained"] if drained else []
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{stopped} stopped"] if stopped else []
    return ", ".join(parts)


def ready_within_s(spec: ClusterSpec) -> float:
    """Return the longest time that members may take to start, those included that wait for others."""
    return _longest_chain(spec, lambda agent: agent.startup_deadline_s)


def stopped_within_s(spec: ClusterSpec) -> float:
    """Return the longest time that members may take to end when the cluster is shut down, one agent after another."""

    def takes_s(agent: AgentSpec) -> float:
        if agent.shutdown_action is ShutdownAction.NONE:
            return 0.0
        deadline_s = spec.shutdown_deadline_s if agent.stop.deadline_s is None else agent.stop.deadline_s
        return agent.stop.drain_s + deadline_s

    return _longest_chain(spec, takes_s)


def _longest_chain(spec: ClusterSpec, takes_s: Callable[[AgentSpec], float]) -> float:
    agents = _agents_with_members(spec)
    ends = {agent.agent_type: 0.0 for agent in agents}
    # No chain has more links than there are agents; so this ends for a circle too.
    for _ in agents:
        ends = {
            agent.agent_type: takes_s(agent) + max((ends.get(name, 0.0) for name, _ in agent.depends_on), default=0.0)
            for agent in agents
        }
    return max(ends.values(), default=0.0)


def _agents_with_members(spec: ClusterSpec) -> list[AgentSpec]:
    return [agent for agent in spec.agents if not agent.is_builtin_balancer]


def _members(spec: ClusterSpec, known: Mapping[str, MemberState]) -> Mapping[str, MemberState]:
    return MappingProxyType(
        {name: known.get(name, MemberState.PENDING) for agent in _agents_with_members(spec) for name in agent.members}
    )


def _ask(state: Readiness, now: float) -> Step:
    if state.watchdog_interval_s is None or now < state.ask_at:
        return state, ()
    return replace(state, beat_due=True, ask_at=now + state.watchdog_interval_s), (AskRoot(),)


def _speak(state: Readiness, now: float) -> Step:
    """Say what is due: once that the cluster has started, and its status when that has changed."""
    settled = all(found in UP | AT_REST for found in state.members.values())
    complete = settled and not state.balancer_awaited
    if not state.announced and not state.missing and (complete or now >= state.deadline):
        return _announce(state, now)
    status = status_of(state)
    if status == state.told or now < state.told_at + STATUS_PERIOD_S:
        return state, ()
    return replace(state, told=status, told_at=now), (Tell(status=status),)


def _announce(state: Readiness, now: float) -> Step:
    status = status_of(state)
    return replace(state, announced=True, told=status, told_at=now), (Announce(status=status),)
