"""What the user asked for: frozen, validated specifications of a cluster, its agents and its balancer.

Specifications come out of `quaestor_actors.config` (from YAML) or are built in Python; everything else only reads
them. They are validated where they are made, so the code that uses them does not check again. All durations are
seconds (`_s`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

LOAD_BALANCER = "LoadBalancer"
"""The agent type that is the balancer actor inside the tree when it has no executable."""

KEY_VALUE_STORE = "KeyValueStore"
"""The agent type whose members are etcd."""

WORKER = "Worker"
"""The agent type whose members are the balanced services of the load balancer's own configuration."""

BALANCER_SERVICE = "ServiceDiscoveryGrpc"
"""The service name under which the balancer answers health checks, beside the empty one."""


class ShutdownAction(StrEnum):
    """What happens to an agent's members when the cluster is shut down."""

    NONE = "none"
    """They are left running; the next start of the cluster adopts them."""
    KILL = "kill"
    """They are ended: politely first, by SIGKILL at the deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpec:
    """One kind of service and how many processes of it are kept running."""

    agent_type: str
    executable: str | None = None
    """Absolute path; None for a built-in agent, or one that somebody else runs."""
    arguments: str = ""
    """Command line as one string, split like a shell does; `{HostName}` and `{Port}` stand for the member's own."""
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """May hold secrets, so it is in no log."""
    process_count: int = 1
    ports: tuple[int, ...] = ()
    """One per member, or none: then every start takes a free port."""
    host_name: str = "localhost"
    use_tls: bool = False
    client_certificate: str | None = None
    service_names: tuple[str, ...] = ()
    """Each is health-checked and registered; none: the health of the whole server (`""`) is checked."""
    startup_deadline_s: float = 8.0
    """From the start of the process until it must serve."""
    recycling_interval_s: float = 0.0
    """Age after which an idle member is replaced; 0 means never."""
    exclude_from_registry: bool = False
    shutdown_action: ShutdownAction = ShutdownAction.NONE
    assume_healthy: bool = False
    """A live process counts as serving; nothing is probed."""

    @property
    def is_builtin_balancer(self) -> bool:
        """True when this agent is the balancer actor of the tree rather than processes."""
        return self.agent_type == LOAD_BALANCER and self.executable is None


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancerSpec:
    """The look-aside load balancer: where it listens and how it judges locations."""

    host_name: str = "localhost"
    port: int = 5150
    certificate: str | None = None
    private_key_file: str | None = None
    enforce_mutual_tls: bool = False
    response_timeout_s: float = 2.0
    """A location that does not answer within this time is left out of the answers."""
    recently_used_timeout_s: float = 5.0
    """A location handed out within this time ranks behind those that were not."""
    agents: tuple[AgentSpec, ...] = ()
    """`Worker` agents are the registry when no other is there; a `KeyValueStore` agent selects etcd."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSpec:
    """Everything one launcher keeps running on one machine."""

    name: str
    heartbeat_interval_s: float = 30.0
    """Period of the health sweep that backs up the pushed health changes."""
    response_timeout_s: float = 5.0
    """Deadline of one health check."""
    shutdown_deadline_s: float = 45.0
    """From the polite signal to the kill; 0 kills at once."""
    startup_retries: int = 25
    """Consecutive failed starts after which a member is given up."""
    agents: tuple[AgentSpec, ...] = ()
    balancer: BalancerSpec | None = None
    """None: this cluster has no built-in balancer."""
    static_agents: tuple[AgentSpec, ...] = field(default=())
    """Services that somebody else runs; the registry holds them for as long as the cluster runs."""
