"""The options with which a verb asks any gRPC server, ours or the original's: TLS and a deadline."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from quaestor_actors.cli.options import Seconds

if TYPE_CHECKING:
    import grpc


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a server is asked."""

    timeout_s: float
    use_tls: bool = False
    ca_certificate: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    server_name: str | None = None

    @contextmanager
    def channel(self, address: str) -> Iterator[grpc.Channel]:
        """Give a connection to a server; it is made with the first question.

        Raises:
            OperationError: a file of the options is unusable.
        """
        # It would write about a refused certificate by itself. Read when gRPC is imported.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        # Help and wrong usage are to come at once.
        import grpc

        # What is asked is inside, and a proxy of the environment is for the outside.
        options: list[tuple[str, Any]] = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
        if not self.use_tls:
            with grpc.insecure_channel(address, options=options) as channel:
                yield channel
            return
        from quaestor_actors.adapters.tls import channel_credentials

        credentials = channel_credentials(
            ca_certificate_file=self.ca_certificate,
            client_certificate=self.client_certificate,
            client_private_key_file=self.client_key,
        )
        if self.server_name is not None:
            options.append(("grpc.ssl_target_name_override", self.server_name))
        with grpc.secure_channel(address, credentials, options=options) as channel:
            yield channel


def _file(name: str, purpose: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(name, type=click.Path(), metavar="FILE", help=f"{purpose} Means --tls.")


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the options, and the argument `access` that says what they are."""

    @wraps(command)
    def with_access(
        *arguments: Any,
        timeout_s: float,
        use_tls: bool,
        ca_certificate: str | None,
        client_certificate: str | None,
        client_key: str | None,
        server_name: str | None,
        **others: Any,
    ) -> Any:
        if client_key is not None and client_certificate is None:
            raise click.UsageError("--client-key belongs to a --client-certificate, and none is given")
        means_tls = (ca_certificate, client_certificate, server_name) != (None, None, None)
        access = Access(
            timeout_s=timeout_s,
            use_tls=use_tls or means_tls,
            ca_certificate=ca_certificate,
            client_certificate=client_certificate,
            client_key=client_key,
            server_name=server_name,
        )
        return command(*arguments, access=access, **others)

    optioned: Callable[..., Any] = with_access
    for option in (
        click.option(
            "--timeout",
            "timeout_s",
            type=Seconds(min=0, min_open=True, max=86400),
            default=5.0,
            show_default=True,
            metavar="S",
            help="Seconds within which the server must answer.",
        ),
        click.option("--server-name", metavar="NAME", help="Whose certificate to expect. Default: HOST. Means --tls."),
        _file("--client-key", "PEM: the private key of the client certificate."),
        _file("--client-certificate", "PEM: what to present; may hold the key, too."),
        _file("--ca-certificate", "PEM: whose servers to trust. Default: the system's roots."),
        click.option("--tls", "use_tls", is_flag=True, help="The server speaks TLS."),
    ):
        optioned = option(optioned)
    return optioned
