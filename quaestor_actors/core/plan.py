"""What a new specification would change in a running cluster: computed before anything is touched."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from quaestor_actors.core.crossing import Crossing
from quaestor_actors.core.rules import STARTED_WITH, fingerprints
from quaestor_actors.core.spec import ActorSpec, AgentSpec, BalancerSpec, ClusterSpec
from quaestor_actors.core.user_actor import actors_here

_FIXED: Final = {
    "host": "which of the hosts this is",
    "hosts": "hosts",
    "allowed_networks": "allowedNetworks",
    "cookie_file": "cookieFile",
}
"""Settings of the cluster by their fields, and how they are called."""

_WHY_FIXED: Final = "its actors have been started with that; stop it on this host, and start it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(Crossing):
    """One thing that will be done."""

    subject: str
    """An agent, a member, an actor of the user's, the balancer or the cluster."""
    verb: str
    """`start`, `stop`, `replace` (stop, then start), or `change` (nothing stops)."""
    detail: str
    """Why, for people. Names of settings only: values may be secrets."""

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.verb:8} {self.subject}: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Crossing):
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
    if fixed := _changed(_without_capabilities(old), _without_capabilities(new), only=_FIXED):
        names = " and ".join(_FIXED[name] for name in fixed)
        return Plan(refusal=f"{names} cannot change while the cluster runs, as {_WHY_FIXED}")
    if old.hosts and _floats(old) and _floats(new) and _is_another_store(old, new):
        return Plan(
            refusal="the etcd cannot change while members float, as hosts that use another one would run them, too; "
            "stop the cluster on all hosts, or name an endpoint of the old one as well"
        )
    actions = []
    if settings := _changed(old, new, without={"agents", "actors", "balancer", "static_agents", "stores"}):
        # What else is said of hosts is fixed.
        named = ("capabilities" if name == "hosts" else name for name in settings)
        actions.append(Action(subject=new.name, verb="change", detail=", ".join(named)))
    before = {agent.agent_type: agent for agent in old.agents if not agent.is_builtin_balancer}
    after = {agent.agent_type: agent for agent in new.agents if not agent.is_builtin_balancer}
    for name, agent in before.items():
        actions.extend(_removed(agent) if name not in after else _kept(agent, after[name]))
    for name, agent in after.items():
        if name not in before:
            actions.append(Action(subject=name, verb="start", detail=f"{_count(agent)}, added"))
    actions.extend(_actors(actors_here(old), actors_here(new)))
    actions.extend(_balancer(old.balancer, new.balancer))
    if old.stores != new.stores:
        actions.append(Action(subject="registry", verb="replace", detail="where the store is changed"))
    if old.static_agents != new.static_agents:
        actions.append(Action(subject="registry", verb="change", detail="the services that somebody else runs"))
    return Plan(actions=tuple(actions))


def _without_capabilities(spec: ClusterSpec) -> ClusterSpec:
    # Nobody was started with these: they decide where actors of users are to run.
    return replace(spec, hosts=tuple(replace(host, capabilities=()) for host in spec.hosts))


def _floats(spec: ClusterSpec) -> bool:
    return any(agent.floating is not None for agent in spec.agents)


def _is_another_store(old: ClusterSpec, new: ClusterSpec) -> bool:
    before, after = ({endpoint for store in spec.stores[:1] for endpoint in store.endpoints} for spec in (old, new))
    return not before & after


def _count(agent: AgentSpec) -> str:
    members = "1 member" if agent.process_count == 1 else f"{agent.process_count} members"
    return members if agent.floating is None else f"{members} on all hosts together"


def _removed(agent: AgentSpec) -> list[Action]:
    return [Action(subject=agent.agent_type, verb="stop", detail=f"{_count(agent)}, no longer configured")]


def _kept(old: AgentSpec, new: AgentSpec) -> list[Action]:
    if old.floating is not None and new.floating is not None:
        # Which members are here is no matter of the configuration, as long as there are that many.
        numbers = tuple(number for number in old.numbers or () if number <= new.process_count)
        new = replace(new, numbers=numbers, tokens=tuple(token for each in numbers if (token := old.token(each))))
    before, after = fingerprints(old), fingerprints(new)
    changed = _changed(old, new, without={"process_count", "numbers", "tokens"})
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


def _actors(old: Mapping[str, ActorSpec], new: Mapping[str, ActorSpec]) -> list[Action]:
    actions = [
        Action(subject=name, verb="stop", detail="actor, no longer configured here") for name in old if name not in new
    ]
    for name, actor in new.items():
        if name not in old:
            actions.append(Action(subject=name, verb="start", detail="actor, added"))
        elif changed := _changed(old[name], actor):
            verb = "change" if actor.made_of == old[name].made_of else "replace"
            actions.append(Action(subject=name, verb=verb, detail=f"actor, {', '.join(changed)} changed"))
    return actions


def _balancer(old: BalancerSpec | None, new: BalancerSpec | None) -> list[Action]:
    if old == new:
        return []
    if new is None:
        return [Action(subject="balancer", verb="stop", detail="no longer configured")]
    if old is None:
        return [Action(subject="balancer", verb="start", detail="added")]
    return [Action(subject="balancer", verb="replace", detail=f"{', '.join(_changed(old, new))} changed")]


def _changed(old: Any, new: Any, *, without: Container[str] = (), only: Container[str] | None = None) -> list[str]:
    compared = [field.name for field in fields(old) if field.compare]
    names = [name for name in compared if name not in without and (only is None or name in only)]
    return [name for name in names if getattr(old, name) != getattr(new, name)]
