"""What a new specification would change in a running cluster: computed before anything is touched."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from quaestor_actors.core.rules import STARTED_WITH, fingerprints
from quaestor_actors.core.spec import AgentSpec, BalancerSpec, ClusterSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that will be done."""

    subject: str
    """An agent, a member, the balancer or the cluster."""
    verb: str
    """`start`, `stop`, `replace` (stop, then start), or `change` (nothing stops)."""
    detail: str
    """Why, for people. Names of settings only: values may be secrets."""

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.verb:8} {self.subject}: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that will be done, or why nothing can be."""

    actions: tuple[Action, ...] = ()
    refusal: str | None = None
    """None: the plan can be carried out."""


def diff(old: ClusterSpec, new: ClusterSpec) -> Plan:
    """Return what leads from one specification to another."""
    if old.name != new.name:
        return Plan(
            refusal=f"the cluster is called {old.name!r}, and its name cannot change to {new.name!r} while it runs"
        )
    actions = []
    if settings := _changed(old, new, without={"agents", "balancer", "static_agents", "stores"}):
        actions.append(Action(subject=new.name, verb="change", detail=", ".join(settings)))
    before = {agent.agent_type: agent for agent in old.agents if not agent.is_builtin_balancer}
    after = {agent.agent_type: agent for agent in new.agents if not agent.is_builtin_balancer}
    for name, agent in before.items():
        actions.extend(_removed(agent) if name not in after else _kept(agent, after[name]))
    for name, agent in after.items():
        if name not in before:
            actions.append(Action(subject=name, verb="start", detail=f"{_count(agent.process_count)}, added"))
    actions.extend(_balancer(old.balancer, new.balancer))
    if old.stores != new.stores:
        actions.append(Action(subject="registry", verb="replace", detail="where the store is changed"))
    if old.static_agents != new.static_agents:
        actions.append(Action(subject="registry", verb="change", detail="the services that somebody else runs"))
    return Plan(actions=tuple(actions))


def _count(members: int) -> str:
    return "1 member" if members == 1 else f"{members} members"


def _removed(agent: AgentSpec) -> list[Action]:
    return [
        Action(subject=agent.agent_type, verb="stop", detail=f"{_count(agent.process_count)}, no longer configured")
    ]


def _kept(old: AgentSpec, new: AgentSpec) -> list[Action]:
    before, after = fingerprints(old), fingerprints(new)
    changed = _changed(old, new, without={"process_count"})
    started_with = ", ".join(name for name in changed if name in STARTED_WITH)
    settings = ", ".join(name for name in changed if name not in STARTED_WITH)
    actions = [Action(subject=name, verb="stop", detail="no longer configured") for name in before if name not in after]
    actions += [Action(subject=name, verb="start", detail="added") for name in after if name not in before]
    actions += [
        Action(subject=name, verb="replace", detail=f"{started_with} changed")
        for name in after
        if name in before and before[name] != after[name]
    ]
    if settings:
        actions.append(Action(subject=new.agent_type, verb="change", detail=settings))
    return actions


def _balancer(old: BalancerSpec | None, new: BalancerSpec | None) -> list[Action]:
    if old == new:
        return []
    if new is None:
        return [Action(subject="balancer", verb="stop", detail="no longer configured")]
    if old is None:
        return [Action(subject="balancer", verb="start", detail="added")]
    return [
        Action(subject="balancer", verb="replace", detail=f"{', '.join(_changed(old, new, without=set()))} changed")
    ]


def _changed(old: Any, new: Any, *, without: set[str]) -> list[str]:
    names = [field.name for field in fields(old) if field.name not in without]
    return [name for name in names if getattr(old, name) != getattr(new, name)]
