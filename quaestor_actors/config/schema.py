"""The keys of a cluster and of its balancer: their types and defaults.

These models live only between YAML and the frozen specs of `quaestor_actors.core.spec`. Every key has a
default: that a required one is missing is found by the checks, which know its place.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from quaestor_actors.config.value_rules import (
    ActorName,
    Capability,
    ClassName,
    FileName,
    FrontendCount,
    HostAddress,
    HostLabel,
    HostName,
    Name,
    Network,
    Period,
    Port,
    Restarts,
    Retries,
    Seconds,
    SomeProcesses,
    word_of,
)
from quaestor_actors.core.restart import AutoShutdown, RestartType, Strategy
from quaestor_actors.core.spec import ADMIN_PORT

StrategyWord = Annotated[Strategy, word_of(Strategy)]
AutoShutdownWord = Annotated[AutoShutdown, word_of(AutoShutdown)]


_NAME = r"[A-Za-z_]\w*"
_RANKING_NAMES = rf"{_NAME}(?:[.-]\w+)*|{_NAME}(?:\.{_NAME})*:{_NAME}(?:\.{_NAME})*"


def _ranking_name(text: str) -> str:
    if not re.fullmatch(_RANKING_NAMES, text, re.ASCII):
        rule = "least_loaded, original, the name of an entry point or package.module:Class"
        raise PydanticCustomError("expected", "{what}", {"what": rule})
    return text


RankingName = Annotated[str, AfterValidator(_ranking_name)]
"""Says nothing about whether there is such a ranking."""


class LogLevel(StrEnum):
    """From which level on the system's own log has a line."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Keys(BaseModel):
    """The keys of one mapping in a file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the keys as they are written in a file."""
        return tuple(str(info.alias) for info in cls.model_fields.values())

    def unlike_defaults(self) -> frozenset[str]:
        """Return the keys, as they are written in a file, whose values are other than their defaults."""
        fields = type(self).model_fields
        return frozenset(
            str(info.alias)
            for name, info in fields.items()
            if getattr(self, name) != info.get_default(call_default_factory=True)
        )


class ClusterKeys(Keys):
    """`clusterConfig`."""

    name: Name | None = None
    heart_beat_interval_seconds: Period = 30.0
    member_response_time_out_seconds: Period = 5.0
    member_max_shutdown_time_seconds: Seconds = 45.0
    member_max_startup_retries: Retries = 25
    strategy: StrategyWord = Strategy.ONE_FOR_ONE
    intensity: Restarts = 0
    period_seconds: Period = 60.0
    auto_shutdown: AutoShutdownWord = AutoShutdown.NEVER
    ca_certificate_file: FileName | None = None
    log_level: Annotated[LogLevel, word_of(LogLevel)] = LogLevel.INFO
    hosts: dict[HostLabel, dict[str, object]] = Field(default_factory=dict)
    """Each is read as `HostKeys`."""
    allowed_networks: tuple[Network, ...] = ()
    cookie_file: FileName | None = None
    metrics: dict[str, object] | None = None
    """Is read as `MetricsKeys`."""
    actors: dict[ActorName, dict[str, object]] = Field(default_factory=dict)
    """Each is read as `ActorKeys`."""


class ActorKeys(Keys):
    """One of the `actors` of `clusterConfig`."""

    class_name: Annotated[ClassName | None, Field(alias="class")] = None
    settings: dict[str, object] = Field(default_factory=dict)
    hosts: tuple[HostName, ...] = ()
    requires: tuple[Capability, ...] = ()
    restart: Annotated[RestartType, word_of(RestartType)] = RestartType.PERMANENT
    intensity: Restarts | None = None
    period_seconds: Period = 60.0
    essential: bool = False


class HostKeys(Keys):
    """One of the `hosts` of `clusterConfig`."""

    address: HostAddress | None = None
    admin_port: Port = ADMIN_PORT
    capabilities: tuple[Capability, ...] = ()


class FloatingKeys(Keys):
    """`floating` of an agent."""

    count: SomeProcesses = 1
    spread: bool = True
    prefer: tuple[HostName, ...] = ()


class MetricsKeys(Keys):
    """`metrics` of `clusterConfig` or `loadBalancerConfig`."""

    port: Port | None = None
    host: HostName = "127.0.0.1"


class LoadBalancerKeys(Keys):
    """`loadBalancerConfig`."""

    host_name: HostName = "localhost"
    port: Port = 5150
    frontends: FrontendCount = 1
    certificate: FileName | None = None
    private_key_file: FileName | None = None
    enforce_mutual_tls: bool = False
    ca_certificate_file: FileName | None = None
    service_response_timeout_seconds: Period = 2.0
    recently_used_timeout_seconds: Seconds = 5.0
    ranking: RankingName = "least_loaded"
    load_report_max_age_seconds: Period = 60.0
    metrics: dict[str, object] | None = None
    """Is read as `MetricsKeys`."""
