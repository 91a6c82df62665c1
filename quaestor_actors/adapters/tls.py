"""TLS credentials for gRPC from PEM files and the system's trusted roots. What is named must be usable."""

from __future__ import annotations

import ssl
from pathlib import Path

import grpc

from quaestor_actors.core.spec import BalancerSpec
from quaestor_actors.errors import ConfigError, ConfigFault, OperationError


def server_credentials(spec: BalancerSpec) -> grpc.ServerCredentials | None:
    """Return the balancer's server credentials, or None for plain text if no certificate is named.

    With `enforce_mutual_tls` a client must present a certificate that the system's roots trust.

    Raises:
        ConfigError: A file cannot be read, is no PEM, or is encrypted; the key does not belong to the certificate;
            only one of the two is named; or mutual TLS is asked for without a certificate.
        OperationError: Mutual TLS is asked for and the system has no trusted roots.
    """
    if spec.certificate is None and spec.private_key_file is None:
        if spec.enforce_mutual_tls:
            raise _fault("", "enforceMutualTls", "needs certificate and privateKeyFile, and neither is given")
        return None
    if spec.certificate is None:
        raise _fault(str(spec.private_key_file), "privateKeyFile", "is given without certificate")
    if spec.private_key_file is None:
        raise _fault(spec.certificate, "certificate", "is given without privateKeyFile")
    chain = _read(spec.certificate, "certificate")
    key = _read(spec.private_key_file, "privateKeyFile")
    # gRPC would only say "failed to bind"; OpenSSL knows what is wrong.
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            spec.certificate, spec.private_key_file, password=_no_password
        )
    except ssl.SSLError as error:
        why = error.reason or str(error)
        raise _fault(spec.certificate, "certificate", f"is unusable with {spec.private_key_file}: {why}") from error
    if not spec.enforce_mutual_tls:
        return grpc.ssl_server_credentials([(key, chain)])
    roots = _system_roots()
    if roots is None:
        raise OperationError("mutual TLS needs trusted root certificates: name a PEM file in SSL_CERT_FILE")
    return grpc.ssl_server_credentials([(key, chain)], root_certificates=roots, require_client_auth=True)


def channel_credentials() -> grpc.ChannelCredentials:
    """Return credentials that accept servers which the system's roots trust (gRPC's own if it has none)."""
    return grpc.ssl_channel_credentials(root_certificates=_system_roots())


def _no_password() -> str:
    """Return a password that opens nothing, where OpenSSL would ask on the terminal."""
    return ""


def _system_roots() -> bytes | None:
    """Return OpenSSL's trusted roots as PEM; the variable SSL_CERT_FILE names another file, as everywhere."""
    path = ssl.get_default_verify_paths().cafile
    return None if path is None else Path(path).read_bytes()


def _read(path: str, key: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _fault(path, key, f"cannot be read: {error.strerror}") from error


def _fault(file: str, key: str, message: str) -> ConfigError:
    path = f"loadBalancerConfig.{key}"
    return ConfigError((ConfigFault(file=file, line=0, column=0, path=path, message=message),))
