"""How the health of a member is found out, and how often it may fail before that has consequences."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ProbeKind(StrEnum):
    """What is asked."""

    GRPC = "grpc"
    """`grpc.health.v1`: watched, or asked where the server cannot be watched."""
    TCP = "tcp"
    """Whether a connection is accepted. Does not see a process that hangs: the kernel accepts for it."""
    HTTP = "http"
    """Whether GET answers with a status from 200 to 399."""
    EXEC = "exec"
    """Whether a command exits with code 0."""
    NONE = "none"
    """Nothing: a process that lives serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSpec:
    """The health check of an agent's members."""

    kind: ProbeKind = ProbeKind.GRPC
    path: str = "/"
    """Of kind http: what is asked for, on the member's own port."""
    command: str = ""
    """Of kind exec: split like a shell does; `{HostName}` and `{Port}` stand for the member's own."""
    interval_s: float | None = None
    """Between two checks; None: the cluster's `heartbeat_interval_s`."""
    timeout_s: float | None = None
    """Deadline of one check; None: the cluster's `response_timeout_s`."""
    failure_threshold: int = 1
    """Failed checks in a row that make a member unhealthy. It is undiscoverable from the first."""
