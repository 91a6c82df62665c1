"""`quaestor load`: ask a server how busy it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from quaestor_actors.cli.address import address_of
from quaestor_actors.cli.listing import SCHEMA_VERSION, Column, Listing, Tier
from quaestor_actors.cli.output import Output, output_options
from quaestor_actors.cli.server_options import Access, server_options
from quaestor_actors.core.load import LoadReport, load_report_from_wire
from quaestor_actors.errors import ConflictError, OperationError

GRPC_SERVICE = "Quaestor.LoadReporting.LoadReportingGrpc"
TICKS_PER_MICROSECOND = 10
_FIRST_TICK = datetime(1, 1, 1, tzinfo=UTC)
_LAST_TICK = (datetime.max.replace(tzinfo=UTC) - _FIRST_TICK) // timedelta(microseconds=1) * TICKS_PER_MICROSECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a server says of one of its services."""

    address: str
    service: str
    scope: str
    report: LoadReport

    @property
    def load(self) -> float | None:
        """Its own rate if it gives one, else requests per capacity; None if it takes no requests."""
        if self.report.known_load_rate is not None:
            return self.report.known_load_rate
        return self.report.current_requests / self.report.request_capacity if self.report.request_capacity else None

    @property
    def changed_at(self) -> str | None:
        """When the report's content last changed, as ISO 8601; None: never, or nobody knows."""
        ticks = self.report.timestamp_ticks
        if not 0 < ticks <= _LAST_TICK:
            return None
        return (_FIRST_TICK + timedelta(microseconds=ticks // TICKS_PER_MICROSECOND)).isoformat(timespec="milliseconds")


def _decimal(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}%"


_COLUMNS: tuple[Column[Load], ...] = (
    Column(title="SERVICE", text=lambda one: one.service),
    Column(title="ADDRESS", text=lambda one: one.address, tier=Tier.CONDENSED),
    Column(title="SCOPE", text=lambda one: one.scope or "-", exact=lambda one: one.scope, tier=Tier.WIDE),
    Column(title="LOAD", text=lambda one: _decimal(one.load)),
    Column(title="REQUESTS", text=lambda one: str(one.report.current_requests)),
    Column(title="CAPACITY", text=lambda one: str(one.report.request_capacity)),
    Column(title="RATE", text=lambda one: _decimal(one.report.known_load_rate), tier=Tier.FULL),
    Column(title="HOST-CPU", text=lambda one: _percent(100 * one.report.server_utilization), tier=Tier.CONDENSED),
    Column(title="HOST-MEMORY", text=lambda one: _percent(one.report.server_memory_usage_percent), tier=Tier.CONDENSED),
    Column(title="CHANGED", text=lambda one: one.changed_at or "-", tier=Tier.WIDE),
)


def load_listing(load: Load) -> Listing[Load]:
    """Return a load as a list of one."""
    return Listing(columns=_COLUMNS, rows=(load,), document={"schemaVersion": SCHEMA_VERSION, "loads": [_fields(load)]})


def _fields(load: Load) -> dict[str, Any]:
    report = load.report
    return {
        "address": load.address,
        "service": load.service,
        "scope": load.scope,
        "load": load.load,
        "known_load_rate": report.known_load_rate,
        "current_requests": report.current_requests,
        "request_capacity": report.request_capacity,
        "server_utilization": report.server_utilization,
        "server_memory_usage_percent": report.server_memory_usage_percent,
        "started_requests": report.started_requests,
        "changed_at": load.changed_at,
    }


@click.command(short_help="Ask a server how busy it is.")
@click.argument("address", callback=address_of, metavar="ADDRESS")
@click.argument("service")
@click.option("--scope", default="", metavar="NAME", help="Scope of the service. Default: none.")
@server_options
@output_options
def load(address: str, service: str, scope: str, access: Access, output: Output) -> None:
    """Ask the server at ADDRESS (HOST:PORT) how busy it is with SERVICE.

    LOAD is what the balancer goes by: the service's own rate if it gives one, else its requests per capacity. HOST-CPU
    and HOST-MEMORY are of the whole machine.

    Example: quaestor load localhost:5161 Worker
    """
    output.show(lambda: load_listing(ask_load(address, service, scope, access)))


def ask_load(address: str, service: str, scope: str, access: Access) -> Load:
    """Ask a server for its load.

    Raises:
        ConflictError: it does not report the load of this service.
        OperationError: it does not answer, or knows nothing of loads.
    """
    with access.channel(address) as channel:
        # After the channel, which says how gRPC is to behave.
        import grpc

        from quaestor_actors.cli.grpc_failure import failure
        from quaestor_actors.rpc import load_reporting_pb2, load_reporting_pb2_grpc

        request = load_reporting_pb2.LoadReportRequest(scope=scope, service_name=service)
        try:
            response = load_reporting_pb2_grpc.LoadReportingGrpcStub(channel).ReportLoad(
                request, timeout=access.timeout_s
            )
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.OUT_OF_RANGE:
                raise ConflictError(
                    f'the server at {address} does not report the load of the service "{service}"; is its name right?'
                ) from error
            raise OperationError(failure(error, address=address, access=access, service=GRPC_SERVICE)) from error
    return Load(address=address, service=service, scope=scope, report=_report(response))


def _report(response: Any) -> LoadReport:
    stats = response.server_stats
    return load_report_from_wire(
        timestamp_ticks=response.timestamp_ticks,
        known_load_rate=response.known_load_rate,
        request_capacity=stats.request_capacity,
        current_requests=stats.current_requests,
        server_utilization=stats.server_utilization,
        server_memory_usage_percent=stats.server_memory_usage_percent,
        started_requests=response.started_requests if response.HasField("started_requests") else None,
    )
