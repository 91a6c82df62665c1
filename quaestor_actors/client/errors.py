"""Why a client could not be told where to go: one small tree, whose errors are also failed calls.

Whoever calls a generated stub over a balanced channel already handles failed calls. An error of ours comes out of
the same stub, so it has a status code and details like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc


class ClientError(grpc.aio.AioRpcError):
    """Root of the errors of this package.

    It is the asynchronous kind of `grpc.RpcError` because asynchronous callers look for that, and synchronous ones
    for its base.
    """

    def __init__(self, code: grpc.StatusCode, sentence: str, *facts: Any) -> None:
        """Take what a failed call has, and the arguments that a leaf class is made from."""
        super().__init__(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details=sentence)
        self._sentence = sentence
        self._facts = facts

    def __str__(self) -> str:
        return self._sentence

    def __reduce__(self) -> tuple[type[ClientError], tuple[Any, ...]]:
        """Cross process borders with the facts rather than with the text."""
        return type(self), self._facts


class NoLocationError(ClientError):
    """Nobody healthy offers the service at the moment. As a failed call it is UNAVAILABLE."""

    def __init__(self, service_name: str, scope: str) -> None:
        """Say what was looked for."""
        of_scope = f" in the scope {scope!r}" if scope else ""
        sentence = f"no healthy location offers the service {service_name!r}{of_scope}"
        super().__init__(grpc.StatusCode.UNAVAILABLE, sentence, service_name, scope)
        self.service_name = service_name
        self.scope = scope


@dataclass(frozen=True, slots=True)
class BalancerFailure:
    """Why one balancer was of no use."""

    address: str
    reason: str

    def __str__(self) -> str:
        """`address: reason`."""
        return f"{self.address}: {self.reason}"


class BalancersUnavailableError(ClientError):
    """Every balancer was asked, and none answered. As a failed call it is UNAVAILABLE."""

    def __init__(self, failures: tuple[BalancerFailure, ...]) -> None:
        """Say what was wrong with each, in the order in which they were asked."""
        reasons = "; ".join(str(failure) for failure in failures)
        super().__init__(grpc.StatusCode.UNAVAILABLE, f"no balancer answers: {reasons}", failures)
        self.failures = failures


class DiscoveryTimeoutError(ClientError):
    """The caller's own deadline passed before a balancer had answered. As a failed call it is DEADLINE_EXCEEDED."""

    def __init__(self, failures: tuple[BalancerFailure, ...]) -> None:
        """Say what was wrong with the balancers that were asked until then."""
        reasons = "; ".join(str(failure) for failure in failures) or "none was asked"
        sentence = f"the deadline passed before a balancer answered: {reasons}"
        super().__init__(grpc.StatusCode.DEADLINE_EXCEEDED, sentence, failures)
        self.failures = failures
