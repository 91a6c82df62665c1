"""The keys of an agent: their types and defaults."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from quaestor_actors.config.schema import AutoShutdownWord, Keys, StrategyWord
from quaestor_actors.config.value_rules import (
    Arguments,
    Checks,
    Command,
    Conditions,
    Endpoint,
    Factor,
    FileCount,
    FileName,
    HostName,
    Hours,
    LeaseSeconds,
    Limit,
    LimitName,
    Megabytes,
    Name,
    Part,
    Period,
    Port,
    ProcessCount,
    Restarts,
    Seconds,
    ServiceName,
    ShutdownWord,
    SignalName,
    SomeProcesses,
    Umask,
    UrlPath,
    UserName,
    VariableName,
    word_of,
)
from quaestor_actors.core.probe import ProbeKind
from quaestor_actors.core.restart import AutoShutdown, RestartType, Strategy


class AgentKeys(Keys):
    """One of `agents`, in either file."""

    agent_type: Name | None = None
    executable_path: FileName | None = None
    command_line_arguments: Arguments = ""
    environment_variables: dict[VariableName, str] = Field(default_factory=dict)
    process_count: ProcessCount = 1
    floating: dict[str, object] | None = None
    """Is read as `FloatingKeys`."""
    ports: tuple[Port, ...] = ()
    host_name: HostName = "localhost"
    use_tls: Annotated[bool, Field(alias="useTLS")] = False
    client_certificate: FileName | None = None
    client_private_key_file: FileName | None = None
    ca_certificate_file: FileName | None = None
    service_names: tuple[ServiceName, ...] = ()
    exclude_from_service_registry: bool = False
    cluster_shutdown_action: ShutdownWord = "none"

    startup_wait_seconds: Period = 8.0
    start_concurrency: SomeProcesses | None = None
    depends_on: Conditions = Field(default_factory=dict)

    restart: Annotated[RestartType, word_of(RestartType)] = RestartType.PERMANENT
    strategy: StrategyWord = Strategy.ONE_FOR_ONE
    intensity: Restarts | None = None
    period_seconds: Period = 60.0
    auto_shutdown: AutoShutdownWord = AutoShutdown.NEVER
    significant: bool = False
    essential: bool = False
    backoff_initial_seconds: Seconds = 0.5
    backoff_factor: Factor = 2.0
    backoff_max_seconds: Seconds = 30.0
    backoff_jitter: Part = 0.1
    stable_seconds: Seconds = 30.0

    probe: Annotated[ProbeKind, word_of(ProbeKind)] = ProbeKind.GRPC
    probe_path: UrlPath = "/"
    probe_command: Command = ""
    probe_interval_seconds: Period | None = None
    probe_timeout_seconds: Period | None = None
    failure_threshold: Checks = 1

    stop_signal: SignalName = "SIGTERM"
    drain_seconds: Seconds = 10.0
    max_shutdown_time_seconds: Seconds | None = None

    recycling_interval_hours: Hours = 0.0
    recycling_memory_megabytes: Megabytes = 0
    max_unavailable: SomeProcesses = 1

    working_directory: FileName | None = None
    user: str | None = None
    umask: Umask | None = None
    rlimits: dict[LimitName, Limit] = Field(default_factory=dict)
    log_max_megabytes: Megabytes = 10
    log_files: FileCount = 5

    endpoints: tuple[Endpoint, ...] = ()
    hosts: tuple[HostName, ...] = ()
    peer_port: Port | None = None
    data_directory: FileName | None = None
    lease_ttl_seconds: LeaseSeconds = 10.0
    store_user: UserName | None = None
    store_password_file: FileName | None = None
