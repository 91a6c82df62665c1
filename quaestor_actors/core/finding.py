"""How an actor of the user's is found by its name: how it stands on one host, and which of several hosts is meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from quaestor_actors.core.actor import ActorState, Child
from quaestor_actors.core.crossing import Crossing
from quaestor_actors.core.membership import Host, HostState

_SHOWN = 8
"""How many names are listed."""


class Trouble(StrEnum):
    """Why nothing can be sent to an actor."""

    UNKNOWN = "unknown"
    """There is no such actor."""
    LOST = "lost"
    """Its host is lost."""
    AWAY = "away"
    """It is just being started, or its host does not answer; that may pass."""
    ENDED = "ended"
    """It was given up, or has done its work; that does not pass by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing(Crossing):
    """How an actor stands."""

    trouble: Trouble | None = None
    """None: it works."""
    reason: str = ""
    """Of the trouble, for people."""


def standing_of(name: str, child: Child | None, known: Iterable[str]) -> Standing:
    """Return how an actor stands with the root that keeps it.

    Args:
        name: the actor's, with its host if there are several.
        child: what the root knows of it; None: it has no such actor.
        known: the actors that it has.
    """
    if child is None:
        names = sorted(known)
        few = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        return Standing(trouble=Trouble.UNKNOWN, reason=f"there is no actor {name}; there are: {few or 'none'}")
    match child.state:
        case ActorState.RUNNING:
            return Standing()
        case ActorState.STOPPING if child.replacing:
            trouble = Trouble.AWAY
        case ActorState.FAILED | ActorState.DONE | ActorState.STOPPED | ActorState.STOPPING:
            trouble = Trouble.ENDED
        case _:
            trouble = Trouble.AWAY
    is_failed = child.state is ActorState.FAILED
    told = "was given up" if is_failed else f"is {child.state.value.replace('_', ' ')}"
    return Standing(trouble=trouble, reason=f"it {told}: {child.reason}")


def on_one_host(host: Host, answer: Standing | None) -> Standing:
    """Return how an actor stands on a certain host.

    Args:
        host: as it is known here.
        answer: what its root has said; None: nothing.
    """
    if answer is not None:
        return answer
    trouble = Trouble.LOST if host.state is HostState.LOST else Trouble.AWAY
    return Standing(trouble=trouble, reason=f"{host.name} is {_silence(host)}")


def on_any_host(name: str, hosts: Iterable[Host], answers: Mapping[str, Standing]) -> tuple[str, Standing]:
    """Return the first host on which an actor works, else how it stands with all of them, and no host.

    Args:
        name: the actor's.
        hosts: those that may have it, in the order of the configuration.
        answers: what their roots have said.
    """
    hosts = tuple(hosts)
    answered = [(host.name, answers[host.name]) for host in hosts if host.name in answers]
    for trouble in (None, Trouble.AWAY, Trouble.ENDED):
        for host_name, standing in answered:
            if standing.trouble is trouble:
                return ("" if trouble else host_name), standing
    silent = [host for host in hosts if host.name not in answers]
    if not silent:
        return "", Standing(trouble=Trouble.UNKNOWN, reason=f"there is no actor {name} on any host")
    who = "; ".join(f"{host.name} is {_silence(host)}" for host in silent)
    reason = f"no host that answers has an actor {name}; {who}"
    are_lost = all(host.state is HostState.LOST for host in silent)
    return "", Standing(trouble=Trouble.LOST if are_lost else Trouble.AWAY, reason=reason)


def _silence(host: Host) -> str:
    if host.state is HostState.JOINED:
        return f"there, and does not answer{f' ({host.reason})' if host.reason else ''}"
    return f"{host.state.value}: {host.reason}"
