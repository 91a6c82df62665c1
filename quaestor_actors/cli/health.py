"""`quaestor health`: ask any server whether it serves, by the standard protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from quaestor_actors.cli.address import address_of
from quaestor_actors.cli.exit_codes import ExitCode
from quaestor_actors.cli.listing import SCHEMA_VERSION, Column, Listing, Tier, colour_of_state
from quaestor_actors.cli.output import Output, output_options
from quaestor_actors.cli.server_options import Access, server_options

if TYPE_CHECKING:
    import grpc

SERVING, NOT_SERVING, UNKNOWN, UNREACHABLE = "SERVING", "NOT_SERVING", "UNKNOWN", "unreachable"

EXIT_CODES = {
    SERVING: ExitCode.OK,
    NOT_SERVING: ExitCode.NOT_HEALTHY,
    UNKNOWN: ExitCode.NOT_HEALTHY,
    UNREACHABLE: ExitCode.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a server says of one of its services."""

    address: str
    service: str
    """Empty: the server as a whole."""
    status: str
    reason: str
    remedy: str = ""
    """The whole sentence about a server that does not answer."""


_COLUMNS: tuple[Column[Verdict], ...] = (
    Column(title="ADDRESS", text=lambda one: one.address),
    Column(title="SERVICE", text=lambda one: one.service or "-", exact=lambda one: one.service, tier=Tier.CONDENSED),
    Column(title="STATUS", text=lambda one: one.status, colour=lambda one: colour_of_state(one.status)),
    Column(title="WHY", text=lambda one: one.reason, takes_rest=True, is_telling=lambda one: bool(one.reason)),
)


def health_listing(verdict: Verdict) -> Listing[Verdict]:
    """Return a verdict as a list of one."""
    fields = ("address", "service", "status", "reason")
    return Listing(
        columns=_COLUMNS,
        rows=(verdict,),
        document={"schemaVersion": SCHEMA_VERSION, "checks": [{name: getattr(verdict, name) for name in fields}]},
        notes=(f"quaestor: {verdict.remedy}",) if verdict.remedy else (),
    )


@click.command(short_help="Ask a server whether it serves.")
@click.argument("address", callback=address_of, metavar="ADDRESS")
@click.argument("service", default="")
@server_options
@output_options
def health(address: str, service: str, access: Access, output: Output) -> int:
    """Ask the server at ADDRESS (HOST:PORT) whether it serves, by the protocol grpc.health.v1.

    Without SERVICE it is asked of itself as a whole. The exit code is 0 if it is SERVING, 3 if it is NOT_SERVING or
    UNKNOWN, and 1 if it is unreachable.

    Example: quaestor health localhost:5161 Worker
    """
    shown = output.show(lambda: health_listing(check(address, service, access)))
    return EXIT_CODES[shown.rows[0].status]


def check(address: str, service: str, access: Access) -> Verdict:
    """Ask a server; that it does not answer is a verdict, too.

    Raises:
        OperationError: a file of the options is unusable.
    """
    with access.channel(address) as channel:
        # After the channel, which says how gRPC is to behave.
        import grpc
        from grpc_health.v1 import health_pb2, health_pb2_grpc

        request = health_pb2.HealthCheckRequest(service=service)
        try:
            response = health_pb2_grpc.HealthStub(channel).Check(request, timeout=access.timeout_s)
        except grpc.RpcError as error:
            return _without_status(error, address=address, service=service, access=access)
        if response.status == health_pb2.HealthCheckResponse.SERVING:
            return Verdict(address=address, service=service, status=SERVING, reason="")
        if response.status == health_pb2.HealthCheckResponse.NOT_SERVING:
            return Verdict(address=address, service=service, status=NOT_SERVING, reason="the server says so")
        return Verdict(
            address=address, service=service, status=UNKNOWN, reason=f"the server answers with {response.status}"
        )


def _without_status(error: grpc.RpcError, *, address: str, service: str, access: Access) -> Verdict:
    import grpc

    from quaestor_actors.cli.grpc_failure import failure

    match error.code():
        case grpc.StatusCode.NOT_FOUND:
            reason = f'the server does not know the service "{service}"'
            return Verdict(address=address, service=service, status=UNKNOWN, reason=reason)
        case grpc.StatusCode.UNIMPLEMENTED:
            reason = "the server does not implement grpc.health.v1.Health"
            return Verdict(address=address, service=service, status=UNKNOWN, reason=reason)
        case _:
            sentence = failure(error, address=address, access=access, service="grpc.health.v1.Health")
            reason, _, remedy = sentence.partition("; ")
            return Verdict(
                address=address,
                service=service,
                status=UNREACHABLE,
                reason=reason,
                remedy=sentence if remedy else "",
            )
