"""`quaestor discover`: ask a balancer where a service is, as its clients do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from quaestor_actors.cli.address import address_of
from quaestor_actors.cli.exit_codes import ExitCode
from quaestor_actors.cli.listing import SCHEMA_VERSION, Column, Listing, Tier
from quaestor_actors.cli.options import cluster_option
from quaestor_actors.cli.output import Output, output_options
from quaestor_actors.cli.running_names import service_names
from quaestor_actors.cli.server_options import Access, server_options
from quaestor_actors.core.location import join_address
from quaestor_actors.errors import NotRunningError, OperationError

GRPC_SERVICE = "Quaestor.ServiceDiscovery.ServiceDiscoveryGrpc"

Place = tuple[str, str, str, int]
"""Scope, service, host and port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One location of a service."""

    service: str
    scope: str
    host: str
    port: int
    use_tls: bool | None
    """None: whoever was asked does not say."""

    @property
    def address(self) -> str:
        """`HOST:PORT`."""
        return join_address(self.host, self.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the balancer is asked."""

    service: str
    scope: str
    top: int | None
    """None: every location, in no order."""


_TLS_WORDS = {True: "yes", False: "no", None: "-"}

_COLUMNS: tuple[Column[Found], ...] = (
    Column(title="SERVICE", text=lambda one: one.service),
    Column(title="ADDRESS", text=lambda one: one.address),
    Column(title="TLS", text=lambda one: _TLS_WORDS[one.use_tls], tier=Tier.CONDENSED),
    Column(
        title="SCOPE",
        text=lambda one: one.scope or "-",
        exact=lambda one: one.scope,
        tier=Tier.CONDENSED,
        is_telling=lambda one: bool(one.scope),
    ),
)


def discover_listing(found: Sequence[Found], *, balancer: str, question: Question) -> Listing[Found]:
    """Return the locations; in the order of the answer if the best were asked for, else sorted."""
    rows = sorted(found, key=lambda one: (one.host, one.port)) if question.top is None else list(found)
    locations = [
        {"service": one.service, "scope": one.scope, "host": one.host, "port": one.port, "use_tls": one.use_tls}
        for one in rows
    ]
    scope = f" in the scope {question.scope!r}" if question.scope else ""
    nothing = f"the balancer at {balancer} knows nobody who serves {question.service!r}{scope}"
    return Listing(
        columns=_COLUMNS,
        rows=rows,
        document={
            "schemaVersion": SCHEMA_VERSION,
            "balancer": balancer,
            "service": question.service,
            "scope": question.scope,
            "is_ranked": question.top is not None,
            "locations": locations,
        },
        notes=() if rows else (f"quaestor: {nothing}; `quaestor status` and `quaestor registry list` may say why",),
    )


@click.command(short_help="Ask the balancer where a service is.")
@click.argument("service", shell_complete=service_names)
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="The N best ones, as a client would get them.")
@click.option("--all", "wants_all", is_flag=True, help="All of them, by address. The default.")
@click.option("--scope", default="", metavar="NAME", help="Scope of the service. Default: none.")
@click.option(
    "--address",
    callback=address_of,
    metavar="HOST:PORT",
    help="Of the balancer. Default: that of the cluster which runs here.",
)
@cluster_option
@server_options
@output_options
def discover(
    *,
    service: str,
    top: int | None,
    wants_all: bool,
    scope: str,
    address: str | None,
    name: str | None,
    access: Access,
    output: Output,
) -> int:
    """Ask the balancer where SERVICE is: which locations it hands out to clients now.

    With --top the answer is ranked, and the balancer counts it as requests on their way, as it does for any client;
    without, it changes nothing. If there are none the exit code is 5.

    Example: quaestor discover Worker --top 1
    """
    if top is not None and wants_all:
        raise click.UsageError("--top and --all exclude each other")
    if address is not None and name is not None:
        raise click.UsageError("--address names a balancer, and --cluster a running cluster: give one of them")
    question = Question(service=service, scope=scope, top=top)

    def look() -> Listing[Found]:
        balancer, with_tls = (address, {}) if address is not None else _of_running_cluster(name)
        return discover_listing(
            ask_balancer(balancer, question, access, with_tls), balancer=balancer, question=question
        )

    return ExitCode.OK if output.show(look).rows else ExitCode.CONFLICT


def _of_running_cluster(name: str | None) -> tuple[str, Mapping[Place, bool]]:
    """Return the address of a running cluster's balancer, and which of the locations that it knows have TLS."""
    # With an address nobody pays for these.
    from quaestor_actors.cli.asking import running_cluster
    from quaestor_actors.cli.inspect import fetch_here
    from quaestor_actors.cli.registry_cluster import ask_contents

    try:
        directory = running_cluster(name)
    except NotRunningError as error:
        raise NotRunningError(f"{error}, or name a balancer with --address HOST:PORT") from error
    tree = fetch_here(directory.name).tree
    if tree.balancer_address is None:
        raise OperationError(f"the cluster {tree.cluster!r} has no balancer that listens; name one with --address")
    locations = [entry.location for entry in ask_contents(directory).entries]
    return tree.balancer_address, {
        (one.scope, one.service_name, one.host_name, one.port): one.use_tls for one in locations
    }


def ask_balancer(address: str, question: Question, access: Access, with_tls: Mapping[Place, bool]) -> list[Found]:
    """Ask a balancer.

    Raises:
        OperationError: it does not answer.
    """
    with access.channel(address) as channel:
        # After the channel, which says how gRPC is to behave.
        import grpc

        from quaestor_actors.cli.grpc_failure import failure
        from quaestor_actors.rpc.service_discovery_pb2 import DiscoverServicesRequest
        from quaestor_actors.rpc.service_discovery_pb2_grpc import ServiceDiscoveryGrpcStub

        stub = ServiceDiscoveryGrpcStub(channel)
        request = DiscoverServicesRequest(
            scope=question.scope, service_name=question.service, max_count=question.top or 0
        )
        ask = stub.DiscoverServices if question.top is None else stub.DiscoverTopServices
        try:
            response = ask(request, timeout=access.timeout_s)
        except grpc.RpcError as error:
            raise OperationError(failure(error, address=address, access=access, service=GRPC_SERVICE)) from error
    return [
        Found(
            service=one.service_name,
            scope=one.scope,
            host=one.host_name,
            port=one.port,
            use_tls=with_tls.get((one.scope, one.service_name, one.host_name, one.port)),
        )
        for one in response.service_locations
    ]
