"""What follows from an agent's specification: its members' rules, their registrations, their fingerprints."""

from __future__ import annotations

import hashlib

from quaestor_actors.core.location import Location, Registration
from quaestor_actors.core.member import Rules
from quaestor_actors.core.probe import ProbeKind
from quaestor_actors.core.spec import AgentSpec, ClusterSpec

STARTED_WITH = (
    "executable",
    "arguments",
    "environment",
    "working_directory",
    "user",
    "umask",
    "rlimits",
    "host_name",
    "ports",
)
"""What of an agent's specification a process has been started with, and cannot take on otherwise than by a restart."""

STARTS_PER_PROCESSOR = 4
"""Members that start at the same time share the processors; more of them at once only miss their deadlines."""


def rules_of(agent: AgentSpec, cluster: ClusterSpec, *, processors: int) -> Rules:
    """Return the rules for an agent's members, the cluster's values standing in where the agent has none."""
    probe, stop, restart = agent.probe, agent.stop, agent.restart
    return Rules(
        startup_deadline_s=agent.startup_deadline_s,
        response_timeout_s=cluster.response_timeout_s if probe.timeout_s is None else probe.timeout_s,
        shutdown_deadline_s=cluster.shutdown_deadline_s if stop.deadline_s is None else stop.deadline_s,
        # Only services that speak gRPC can say how many requests are running.
        drain_s=stop.drain_s if probe.kind is ProbeKind.GRPC and agent.service_names else 0.0,
        startup_retries=cluster.startup_retries,
        probed=probe.kind is not ProbeKind.NONE,
        probe_interval_s=cluster.heartbeat_interval_s if probe.interval_s is None else probe.interval_s,
        failure_threshold=probe.failure_threshold,
        restart=restart.type,
        backoff=restart.backoff,
        recycling_interval_s=agent.recycling.interval_s,
        recycling_bytes=agent.recycling.memory_bytes,
        strategy=restart.strategy,
        intensity=restart.intensity,
        auto_shutdown=restart.auto_shutdown,
        essential=agent.essential,
        start_concurrency=agent.start_concurrency or STARTS_PER_PROCESSOR * processors,
        max_unavailable=agent.recycling.max_unavailable,
    )


def registrations_of(agent: AgentSpec, port: int, incarnation: int) -> tuple[Registration, ...]:
    """Return what the registry has to know of a member that serves."""
    if agent.exclude_from_registry:
        return ()
    return tuple(
        Registration(
            location=Location(service_name=name, host_name=agent.host_name, port=port, use_tls=agent.use_tls),
            incarnation=incarnation,
            tls=agent.tls,
        )
        for name in agent.service_names
    )


def registered_as(agent: AgentSpec) -> tuple[object, ...]:
    """Return what the registry is told of every member alike; when it changes they are announced again."""
    return agent.service_names, agent.use_tls, agent.tls


def fingerprints(agent: AgentSpec) -> dict[str, str]:
    """Return, for each member that an agent has on this host, a digest of everything that its process is started with.

    Values of the environment may be secrets; of the digest they cannot be guessed back one by one, as the whole is
    digested at once.
    """
    return {name: _digest(agent, number) for name, number in agent.members.items()}


def _digest(agent: AgentSpec, number: int) -> str:
    port = agent.ports[number - 1] if agent.ports else None
    started_with = [port if name == "ports" else getattr(agent, name) for name in STARTED_WITH]
    if (token := agent.token(number)) is not None:
        started_with.append(token)
    return hashlib.sha256(repr(started_with).encode()).hexdigest()[:32]
