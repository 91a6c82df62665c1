"""What the user asked for: frozen, validated specifications of a cluster, its agents and its balancer.

Specifications come out of `quaestor_actors.config` (from YAML) or are built in Python; everything else only reads
them. They are validated where they are made, so the code that uses them does not check again. All durations are
seconds (`_s`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from quaestor_actors.core.location import ClientTls
from quaestor_actors.core.placement import Floating
from quaestor_actors.core.probe import ProbeSpec
from quaestor_actors.core.restart import AutoShutdown, Backoff, Intensity, RestartType, Strategy

LOAD_BALANCER = "LoadBalancer"
"""The agent type that is the balancer actor inside the tree when it has no executable."""

KEY_VALUE_STORE = "KeyValueStore"
"""The agent type whose members are etcd."""

STORE_USER_VARIABLE = "QUAESTOR_ETCD_USER"
"""In the environment of the cluster: the user at etcd, where a `StoreSpec` names none."""

STORE_PASSWORD_VARIABLE = "QUAESTOR_ETCD_PASSWORD"  # noqa: S105 - the name of a variable
"""In the environment of the cluster, and of no member: the user's password, where a `StoreSpec` names no file."""

WORKER = "Worker"
"""The agent type whose members are the balanced services of the load balancer's own configuration."""

FENCING_TOKEN_VARIABLE = "QUAESTOR_FENCING_TOKEN"  # noqa: S105 - the name of a variable
"""In the environment of a floating agent's member: whoever has a smaller one for the same member is out of date."""

COOKIE_VARIABLE = "QUAESTOR_COOKIE"
"""In the environment of the cluster, and of no member: its cookie in hexadecimal digits, instead of a file."""

ADMIN_PORT = 7071
"""Of a host, where its actors take messages from other hosts, unless something else is said."""

BALANCER_SERVICE = "ServiceDiscoveryGrpc"
"""The service name under which the balancer answers health checks, beside the empty one."""


class ShutdownAction(StrEnum):
    """What happens to an agent's members when the cluster is shut down."""

    NONE = "none"
    """They are left running; the next start of the cluster adopts them."""
    KILL = "kill"
    """They are ended: politely first, by SIGKILL at the deadline."""


class Condition(StrEnum):
    """What an agent that another depends on must have reached."""

    STARTED = "started"
    """Every member has a process."""
    SERVING = "serving"
    """Every member serves."""
    COMPLETED = "completed"
    """Every member has ended by itself, normally."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartSpec:
    """What follows the unexpected end of a member."""

    type: RestartType = RestartType.PERMANENT
    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: Intensity | None = None
    """Over all members of the agent; None: only the limit of failed starts of each member counts."""
    backoff: Backoff = field(default_factory=Backoff)
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    """Ends the agent in order when members have ended without being restarted; each of them is significant in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSpec:
    """How a member is ended."""

    signal: str = "SIGTERM"
    """The polite signal."""
    drain_s: float = 10.0
    """How long requests under way may take before the signal, counted from the deregistration; 0: not waited for."""
    deadline_s: float | None = None
    """From the signal to the kill; None: the cluster's `shutdown_deadline_s`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecyclingSpec:
    """When a member that serves is replaced nevertheless."""

    interval_s: float = 0.0
    """Age at which an idle member is replaced, varied by a tenth; 0 means never."""
    memory_bytes: int = 0
    """Resident memory above which an idle member is replaced; 0 means never."""
    max_unavailable: int = 1
    """How many members may not serve at the same time because of recycling or a changed specification."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSpec:
    """The file that a member's standard output and error go to."""

    max_bytes: int = 10_000_000
    """Size at which it is rotated; 0 means never."""
    files: int = 5
    """How many rotated files are kept."""


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
    """On each of its hosts; of a floating agent on all of them together."""
    hosts: tuple[str, ...] = ()
    """Names of those it runs on; none: all of the cluster's."""
    floating: Floating | None = None
    """Which hosts may run its members; None: it does not float, and each of its hosts runs all of them."""
    numbers: tuple[int, ...] | None = None
    """Which members run on this host; None: all. A floating agent begins with none, and is told later."""
    tokens: tuple[int, ...] = ()
    """The fencing token of each of `numbers`, of a floating agent: greater than that of whoever ran it before."""
    ports: tuple[int, ...] = ()
    """One per member, or none: then every start takes a free port."""
    host_name: str = "localhost"
    use_tls: bool = False
    tls: ClientTls = field(default_factory=ClientTls)
    """In effect with `use_tls`."""
    service_names: tuple[str, ...] = ()
    """Each is health-checked and registered; none: the health of the whole server (`""`) is checked."""
    working_directory: str | None = None
    """None: where the cluster was launched."""
    user: str | None = None
    """Name or number; only root can start members as somebody else. None: whoever launched the cluster."""
    umask: int | None = None
    rlimits: tuple[tuple[str, int], ...] = ()
    """Limits by their names in getrlimit(2), in lower case without `RLIMIT_`, e.g. `nofile`; soft and hard alike."""
    output: OutputSpec = field(default_factory=OutputSpec)
    probe: ProbeSpec = field(default_factory=ProbeSpec)
    startup_deadline_s: float = 8.0
    """From the start of the process until it must serve."""
    start_concurrency: int | None = None
    """How many members may be starting at the same time; None: four for each processor."""
    depends_on: tuple[tuple[str, Condition], ...] = ()
    """Agents by type, and what they must have reached before a member of this one starts."""
    restart: RestartSpec = field(default_factory=RestartSpec)
    stop: StopSpec = field(default_factory=StopSpec)
    recycling: RecyclingSpec = field(default_factory=RecyclingSpec)
    essential: bool = False
    """If the agent gives up, the cluster ends with exit code 1."""
    significant: bool = False
    """Counts in the cluster's `auto_shutdown`."""
    exclude_from_registry: bool = False
    shutdown_action: ShutdownAction = ShutdownAction.NONE

    @property
    def is_builtin_balancer(self) -> bool:
        """True when this agent is the balancer actor of the tree rather than processes."""
        return self.agent_type == LOAD_BALANCER and self.executable is None

    @property
    def members(self) -> dict[str, int]:
        """The names of those of its members that run on this host, with their numbers."""
        numbers = range(1, self.process_count + 1) if self.numbers is None else self.numbers
        return {f"{self.agent_type}/{number}": number for number in numbers}

    def token(self, number: int) -> int | None:
        """Return the fencing token of a member; None: it has none, as it does not float, or is not to run here."""
        return dict(zip(self.numbers or (), self.tokens, strict=False)).get(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorSpec:
    """An actor of the user's in the tree of each host that it runs on; `core.user_actor` says which these are."""

    name: str
    class_name: str
    """`package.module:Class`, a subclass of `quaestor_actors.actor.Actor`."""
    folder: str | None = None
    """Where its module is looked for after all other places; None: nowhere else."""
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    """The arguments of the class, by name: text, numbers, booleans, lists and mappings. May hold secrets."""
    hosts: tuple[str, ...] = ()
    """Names of those it runs on; none: all of the cluster's that can do what it requires."""
    requires: tuple[str, ...] = ()
    """Capabilities of a host that it cannot do without; where there are no hosts there is nothing to choose from."""
    restart: RestartType = RestartType.PERMANENT
    intensity: Intensity | None = None
    """More restarts of it than this and it is given up; None: there is no limit."""
    essential: bool = False
    """If it is given up, the cluster ends on this host, with exit code 1."""

    @property
    def made_of(self) -> tuple[Any, ...]:
        """What it has to be made anew for, if that changes."""
        return self.class_name, self.folder, self.settings


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancerSpec:
    """The look-aside load balancer: where it listens and how it judges locations."""

    host_name: str = "localhost"
    port: int = 5150
    frontends: int = 1
    """Processes that share the port; each answers for itself, and tells the others what it hands out."""
    certificate: str | None = None
    private_key_file: str | None = None
    enforce_mutual_tls: bool = False
    ca_certificate_file: str | None = None
    """Whose clients and services are trusted, where an agent says nothing else; None: those of the system's roots."""
    response_timeout_s: float = 2.0
    """A location that does not answer within this time is left out of the answers."""
    recently_used_timeout_s: float = 5.0
    """A location handed out within this time ranks behind those that were not."""
    ranking: str = "least_loaded"
    """What best means: `least_loaded`, `original`, an entry point's name, or `package.module:Class`."""
    load_report_max_age_s: float = 60.0
    """How busy a location is counts as unknown when its last report is older than this."""
    agents: tuple[AgentSpec, ...] = ()
    """`Worker` agents are the registry when no other is there; a `KeyValueStore` agent selects etcd."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSpec:
    """An etcd that holds the registry of several machines."""

    endpoints: tuple[tuple[str, int], ...]
    """Host and port of each of its members; whichever answers is used."""
    use_tls: bool = False
    tls: ClientTls = field(default_factory=ClientTls)
    """In effect with `use_tls`."""
    user: str | None = None
    """None: whoever the environment names, or nobody."""
    password_file: str | None = None
    """Absolute path; read whenever the user is authenticated. None: the environment has the password."""
    lease_ttl_s: float = 10.0
    """What this host has registered vanishes so long after the host did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSpec:
    """Where Prometheus finds the metrics."""

    port: int
    host: str = "127.0.0.1"
    """A local address, or a name of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSpec:
    """One of several machines that are one cluster."""

    name: str
    address: str
    """IPv4, by which the other hosts reach it."""
    admin_port: int = ADMIN_PORT
    capabilities: tuple[str, ...] = ()
    """What it can do that not every host can; actors of the user's may require it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSpec:
    """Everything one launcher keeps running on one machine."""

    name: str
    hosts: tuple[HostSpec, ...] = ()
    """All machines of the cluster, as they are configured; none: it is on this one alone."""
    host: str = ""
    """The name of this one of them; empty if there are none."""
    allowed_networks: tuple[str, ...] = ()
    """Who, beside the hosts themselves, may connect to the ports of actors, e.g. `10.0.0.0/24`."""
    cookie_file: str | None = None
    """Absolute path; the cookie is the same on all hosts, and one in the environment comes before it. None: there is
    one in the environment, or a machine makes its own."""
    heartbeat_interval_s: float = 30.0
    """Period of the health sweep that backs up the pushed health changes."""
    response_timeout_s: float = 5.0
    """Deadline of one health check."""
    shutdown_deadline_s: float = 45.0
    """From the polite signal to the kill; 0 kills at once."""
    startup_retries: int = 25
    """Consecutive failed starts after which a member is given up."""
    strategy: Strategy = Strategy.ONE_FOR_ONE
    """Which agents start afresh together with one that gave up."""
    intensity: Intensity = field(default_factory=lambda: Intensity(limit=0, period_s=60.0))
    """An agent that gave up starts afresh, but for more of them within the period than this: then it stays failed."""
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    """Ends the cluster in order, with exit code 0, when significant agents have done their work."""
    log_level: str = "info"
    """Of the system's own log: `debug`, `info`, `warning` or `error`."""
    agents: tuple[AgentSpec, ...] = ()
    actors: tuple[ActorSpec, ...] = ()
    """Of the user's, on whichever hosts."""
    balancer: BalancerSpec | None = None
    """None: this cluster has no built-in balancer."""
    static_agents: tuple[AgentSpec, ...] = field(default=())
    """Services that somebody else runs; the registry holds them for as long as no store answers."""
    stores: tuple[StoreSpec, ...] = ()
    """The first one that answers holds the registry; none: it is in the memory of this cluster."""
    metrics: MetricsSpec | None = None
    """None: nobody is told."""
    digest: str = field(default="", compare=False)
    """Of what the files say, whatever host it is read on; empty: it comes from no file."""
    scaled: tuple[tuple[str, int], ...] = field(default=(), compare=False)
    """Agents that an operator has scaled by hand, and how many members they have by the files."""

    @property
    def has_other_hosts(self) -> bool:
        """True when this machine is one of several."""
        return len(self.hosts) > 1
