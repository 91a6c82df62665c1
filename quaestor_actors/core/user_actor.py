"""Where an actor of the user's runs: on the hosts that are named, or on those that can do what it requires."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from quaestor_actors.core.spec import ActorSpec, ClusterSpec, HostSpec


def lacking(required: Iterable[str], capabilities: Collection[str]) -> tuple[str, ...]:
    """Return what of that a host cannot do."""
    return tuple(each for each in dict.fromkeys(required) if each not in capabilities)


def hosts_of(actor: ActorSpec, hosts: Iterable[HostSpec]) -> tuple[str, ...]:
    """Return the names of the hosts that an actor runs on, in the order of the configuration.

    What is required counts also on hosts that are named: one that cannot do it does not run the actor.
    """
    return tuple(
        host.name
        for host in hosts
        if (not actor.hosts or host.name in actor.hosts) and not lacking(actor.requires, host.capabilities)
    )


def runs_here(actor: ActorSpec, spec: ClusterSpec) -> bool:
    """Return whether an actor runs on the host that a specification is for; without hosts everything does."""
    return not spec.hosts or spec.host in hosts_of(actor, spec.hosts)


def actors_here(spec: ClusterSpec) -> dict[str, ActorSpec]:
    """Return the actors of this host by name."""
    return {actor.name: actor for actor in spec.actors if runs_here(actor, spec)}
