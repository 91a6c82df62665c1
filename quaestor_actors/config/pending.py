"""Keys that are set, understood and kept, but do nothing yet. Each goes from here when its behaviour arrives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from quaestor_actors.config.checks import Agent
from quaestor_actors.core.spec import KEY_VALUE_STORE, WORKER


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class PendingKey:
    """A key that is set and whose behaviour is not in effect yet."""

    file: str
    line: int
    """1-based."""
    column: int
    """1-based."""
    path: str
    sentence: str
    """What happens instead."""

    def __str__(self) -> str:
        """`file:line:column: path: not in effect yet: what happens instead`."""
        return f"{self.file}:{self.line}:{self.column}: {self.path}: not in effect yet: {self.sentence}"


def pending_of_managed(agents: Iterable[Agent], file: Path) -> tuple[PendingKey, ...]:
    """Return what is pending among valid agents of the cluster's file, in file order."""
    return _in_order(file, ((agent, *what) for agent in agents for what in _of_managed(agent)))


def pending_of_static(agents: Iterable[Agent], file: Path) -> tuple[PendingKey, ...]:
    """Return what is pending among valid agents of the balancer's file, in file order."""
    return _in_order(file, ((agent, *what) for agent in agents for what in _of_static(agent)))


def _of_managed(agent: Agent) -> Iterator[tuple[str, str]]:
    settings = agent.settings
    if settings.agent_type == KEY_VALUE_STORE:
        yield "agent_type", "it is run and watched like any agent, but the registry stays in memory"
    if settings.use_tls:
        yield "use_tls", "health is checked in plain text, so a member that speaks only TLS never counts as serving"
    if settings.client_certificate is not None:
        yield "client_certificate", "no certificate is shown to the members"
    if settings.recycling_interval_hours > 0:
        yield "recycling_interval_hours", "members are not replaced because of their age"


def _of_static(agent: Agent) -> Iterator[tuple[str, str]]:
    settings = agent.settings
    if settings.agent_type == KEY_VALUE_STORE:
        yield "agent_type", "etcd is not asked; the registry is in memory"
    if settings.agent_type == WORKER and settings.client_certificate is not None:
        yield "client_certificate", "no certificate is shown to the services"


def _in_order(file: Path, pending: Iterable[tuple[Agent, str, str]]) -> tuple[PendingKey, ...]:
    keys: list[PendingKey] = []
    for agent, field, sentence in pending:
        node, path = agent.place(field)
        keys.append(
            PendingKey(file=str(file), line=node.line, column=node.column, path=path, sentence=sentence)
        )
    return tuple(sorted(keys))
