"""Why a gRPC server did not answer, as one line for people with what to do about it."""

from __future__ import annotations

import grpc

from quaestor_actors.cli.server_options import Access
from quaestor_actors.cli.table import printable

_LONGEST = 200

_KNOWN = {
    "Hostname Verification": "its certificate is for another name; say for which with --server-name",
    "Peer name": "its certificate is for another name; say for which with --server-name",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not trusted; name who has signed it with --ca-certificate",
    "WRONG_VERSION_NUMBER": "it does not speak TLS; leave out --tls",
    "Connection refused": "Connection refused; nobody listens there: is it started, and is this its port?",
    "Domain name not found": "there is no such host; is its name right?",
    "DNS resolution failed": "its name is not resolved; is it right, and does the name server answer?",
}
"""Cause and remedy by what gRPC's text says; the first one counts."""


def failure(error: grpc.RpcError, *, address: str, access: Access, service: str) -> str:
    """Return what is wrong and the remedy.

    Args:
        error: what the call ended with.
        address: who was asked.
        access: how.
        service: full name of the gRPC service that was asked.
    """
    code, details = error.code(), error.details() or ""
    match code:
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return (
                f"no answer from {address} within {access.timeout_s:g} s: it hangs, or what is sent to it is lost; "
                "--timeout gives it longer"
            )
        case grpc.StatusCode.UNIMPLEMENTED:
            return f"the server at {address} does not implement {service}: is it the right address?"
        case grpc.StatusCode.UNAVAILABLE:
            return f"no connection to {address}: {_cause_and_remedy(details, access)}"
        case _:
            return f"the server at {address} answers with {code.name}: {brief(details)}"


def brief(details: str) -> str:
    """Return a peer's words as one short printable line."""
    text = printable(" ".join(details.split())) or "no reason given"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _cause_and_remedy(details: str, access: Access) -> str:
    for sign, known in _KNOWN.items():
        if sign in details:
            return known
    # gRPC's text is a chain of causes; the last one is what a person can act on.
    cause = brief(details.rsplit(": ", maxsplit=1)[-1]).rstrip(".")
    if not access.use_tls:
        return f"{cause}; if it speaks TLS, say --tls"
    if access.client_certificate is None:
        return f"{cause}; it may demand a --client-certificate"
    return f"{cause}; it may not trust the client certificate"
