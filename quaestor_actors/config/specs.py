"""From valid settings to the frozen specifications that the rest of the program reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from quaestor_actors.config.certificate import find_beside
from quaestor_actors.config.schema import AgentSettings, BalancerSettings, ClusterSettings
from quaestor_actors.core.spec import AgentSpec, BalancerSpec, ClusterSpec

ASSUME_HEALTHY_VARIABLE = "QUAESTOR_ASSUME_PROCESS_ALWAYS_HEALTHY"
SECONDS_PER_HOUR = 3600


def agent_spec(
    settings: AgentSettings, *, executable: str | None, environ: Mapping[str, str], process_count: int | None = None
) -> AgentSpec:
    """Return an agent's specification.

    Args:
        settings: Valid settings.
        executable: Absolute path of what is run; None if nothing is.
        environ: What members inherit; the agent's own variables come first.
        process_count: Overrides the settings' own.
    """
    environment = settings.environment_variables
    assumption = environment.get(ASSUME_HEALTHY_VARIABLE, environ.get(ASSUME_HEALTHY_VARIABLE, ""))
    return AgentSpec(
        agent_type=settings.agent_type,
        executable=executable,
        arguments=settings.command_line_arguments,
        environment=tuple(environment.items()),
        process_count=settings.process_count if process_count is None else process_count,
        ports=settings.ports,
        host_name=settings.host_name,
        use_tls=settings.use_tls,
        client_certificate=settings.client_certificate,
        service_names=settings.service_names,
        startup_deadline_s=settings.startup_wait_seconds,
        recycling_interval_s=settings.recycling_interval_hours * SECONDS_PER_HOUR,
        exclude_from_registry=settings.exclude_from_service_registry,
        shutdown_action=settings.cluster_shutdown_action,
        assume_healthy=assumption.strip().casefold() == "true",
    )


def static_agent_spec(settings: AgentSettings, *, environ: Mapping[str, str]) -> AgentSpec:
    """Return the specification of services that somebody else runs: one for each port."""
    return agent_spec(settings, executable=None, environ=environ, process_count=len(settings.ports))


def balancer_spec(
    settings: BalancerSettings, *, host_name: str, port: int, folder: Path, agents: tuple[AgentSpec, ...]
) -> BalancerSpec:
    """Return the balancer's specification; its files become absolute paths."""
    certificate, key = settings.certificate, settings.private_key_file
    return BalancerSpec(
        host_name=host_name,
        port=port,
        certificate=None if certificate is None else str(find_beside(certificate, folder)),
        private_key_file=None if key is None else str(find_beside(key, folder)),
        enforce_mutual_tls=settings.enforce_mutual_tls,
        response_timeout_s=settings.service_response_timeout_seconds,
        recently_used_timeout_s=settings.recently_used_timeout_seconds,
        agents=agents,
    )


def cluster_spec(
    settings: ClusterSettings, *, agents: tuple[AgentSpec, ...], balancer: BalancerSpec | None
) -> ClusterSpec:
    """Return the specification of a cluster."""
    return ClusterSpec(
        name=settings.name,
        heartbeat_interval_s=settings.heart_beat_interval_seconds,
        response_timeout_s=settings.member_response_time_out_seconds,
        shutdown_deadline_s=settings.member_max_shutdown_time_seconds,
        startup_retries=settings.member_max_startup_retries,
        agents=agents,
        balancer=balancer,
    )
