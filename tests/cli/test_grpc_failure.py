"""What is said of a gRPC server that does not answer, by what gRPC says of it."""

from __future__ import annotations

import grpc
import pytest

from quaestor_actors.cli.grpc_failure import failure
from quaestor_actors.cli.server_options import Access

PLAIN = Access(timeout_s=5.0)
TLS = Access(timeout_s=5.0, use_tls=True)
LOGIN = Access(timeout_s=5.0, use_tls=True, client_certificate="c.pem")


def said(code: grpc.StatusCode, details: str | None, access: Access = PLAIN) -> str:
    """Return the sentence about a call that ended so."""
    error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details=details)
    sentence = failure(error, address="a:1", access=access, service="some.Service")
    assert sentence.isprintable()
    return sentence


# As gRPC 1.85 says them.
@pytest.mark.parametrize(
    ("details", "access", "sentence"),
    [
        (
            (
                "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: "
                "Failed to connect to remote host: Connection refused"
            ),
            PLAIN,
            "Connection refused; nobody listens there: is it started, and is this its port?",
        ),
        (
            (
                "DNS resolution failed for a:1: C-ares status is not ARES_SUCCESS qtype=A name=a is_balancer=0: "
                "Domain name not found]"
            ),
            PLAIN,
            "there is no such host; is its name right?",
        ),
        (
            "DNS resolution failed for a:1: Timeout while contacting DNS servers",
            PLAIN,
            "its name is not resolved; is it right, and does the name server answer?",
        ),
        ("Socket closed", PLAIN, "Socket closed; if it speaks TLS, say --tls"),
        ("Socket closed", TLS, "Socket closed; it may demand a --client-certificate"),
        ("Socket closed", LOGIN, "Socket closed; it may not trust the client certificate"),
        (
            (
                "Ssl handshake failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: error:1000007d:SSL routines:"
                "OPENSSL_internal:CERTIFICATE_VERIFY_FAILED: self signed certificate"
            ),
            TLS,
            "its certificate is not trusted; name who has signed it with --ca-certificate",
        ),
        (
            "last error: UNKNOWN: ipv4:127.0.0.1:1: Hostname Verification Check failed.",
            TLS,
            "its certificate is for another name; say for which with --server-name",
        ),
        (
            "Ssl handshake failed: SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER: OK",
            TLS,
            "it does not speak TLS; leave out --tls",
        ),
    ],
)
def test__no_connection__cause_and_remedy(details: str, access: Access, sentence: str) -> None:
    assert said(grpc.StatusCode.UNAVAILABLE, details, access) == f"no connection to a:1: {sentence}"


def test__too_slow__names_the_deadline() -> None:
    assert "within 5 s" in said(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")


def test__not_implemented__names_the_service() -> None:
    assert "does not implement some.Service" in said(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")


def test__anything_else__is_quoted_briefly_and_harmlessly() -> None:
    assert (
        said(grpc.StatusCode.INTERNAL, "no\n\x1b[2J good")
        == "the server at a:1 answers with INTERNAL: no \\x1b[2J good"
    )
    assert said(grpc.StatusCode.UNKNOWN, None).endswith("UNKNOWN: no reason given")
    assert len(said(grpc.StatusCode.UNKNOWN, "x" * 10_000)) < 300
