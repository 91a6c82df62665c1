"""TLS credentials for gRPC from PEM files and the system's trusted roots. What is named must be usable.

Files may be replaced while they are in use: a server takes the new ones for the next connection that comes in, a
client for the next one that it opens. Connections that are open go on.
"""

from __future__ import annotations

import logging
import os
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import assert_never

import grpc
from cryptography import x509

from quaestor_actors.core.spec import BalancerSpec
from quaestor_actors.errors import ConfigError, ConfigFault, OperationError
from quaestor_actors.pem import USABLE_KINDS, PemFault, UnusablePemError, certificate_of, ends_of_authorities

LOOK_INTERVAL_S = 1.0
"""A server looks for new files at most this often, and only when somebody connects."""

SETTLING_S = 0.5
"""So long a port lets nobody new begin before its certificate is replaced.

Whoever has just begun needs microseconds; the rest is for a machine that has too much to do.
"""

_KEPT = 32
"""So many different credentials of clients are kept ready; one costs what parsing the trusted roots costs."""

_SERVER_KEYS = ("certificate", "privateKeyFile", "caCertificateFile")

_log = logging.getLogger(__name__)

Signature = tuple[tuple[int, int, int] | None, ...]
"""What files look like from outside: inode, size and time of change of each, None for one that cannot be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    """The files of one side of a connection. `key` is None if there is no certificate, or if it holds its key."""

    certificate: str | None = None
    key: str | None = None
    roots: str | None = None
    """None: whom gRPC itself trusts."""

    def signature(self) -> Signature:
        """Return what tells these files from what they were before, or will be after, a change."""
        return tuple(_signature(path) for path in (self.certificate, self.key, self.roots) if path is not None)


class _UnusableError(Exception):
    """A file is not what it should be; says which and why."""

    def __init__(self, file: str, message: str, *, at: int) -> None:
        """Take the file, what is wrong, and the file's place in `_SERVER_KEYS`."""
        super().__init__(f"{file} {message}")
        self.file = file
        self.message = message
        self.at = at


def server_certificate(
    spec: BalancerSpec, *, ca_certificate_file: str | None = None, clock: Callable[[], float] = time.monotonic
) -> ServerCertificate | None:
    """Return what the balancer presents, or None for plain text if no certificate is named.

    Args:
        spec: With `enforce_mutual_tls` a client must present a certificate that is trusted.
        ca_certificate_file: Whose clients are trusted then; None: those of the system's roots.
        clock: Seconds that only grow.

    Raises:
        ConfigError: A file cannot be read, is no PEM, or is encrypted; the key does not belong to the certificate, or
            is of a kind that gRPC cannot use; only one of the two is named; or mutual TLS is asked for without a
            certificate.
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
    roots = None
    if spec.enforce_mutual_tls:
        roots = ca_certificate_file or _system_roots()
        if roots is None:
            raise OperationError("mutual TLS needs trusted root certificates: name a PEM file in caCertificateFile")
    return ServerCertificate(spec.certificate, spec.private_key_file, roots=roots, clock=clock)


def channel_credentials(
    *,
    ca_certificate_file: str | None = None,
    client_certificate: str | None = None,
    client_private_key_file: str | None = None,
) -> grpc.ChannelCredentials:
    """Return credentials from the files as they are now. Call it for each new connection.

    It costs a look at the files; they are read when they have changed.

    Args:
        ca_certificate_file: Whose servers are trusted; None: those of the system's roots (gRPC's own if it has none).
        client_certificate: PEM file with the chain to present, and with its private key unless that has its own file.
        client_private_key_file: PEM file with the private key.

    Raises:
        OperationError: A file is missing or unusable, or there is a key without a certificate.
    """
    files = _client_files(ca_certificate_file, client_certificate, client_private_key_file)
    return _channel_credentials(files, files.signature())


def client_context(
    *,
    ca_certificate_file: str | None = None,
    client_certificate: str | None = None,
    client_private_key_file: str | None = None,
) -> ssl.SSLContext:
    """Return the like of `channel_credentials` for connections that are not gRPC's.

    Raises:
        OperationError: As there.
    """
    files = _client_files(ca_certificate_file, client_certificate, client_private_key_file)
    return _client_context(files, files.signature())


class ServerCertificate:
    """The certificate of a server, and its successors: files that change are taken without a restart.

    New files that are unusable are logged once, and those before stay in use. For `grpc.aio.server` as for
    `grpc.server`.
    """

    def __init__(self, certificate: str, key: str, *, roots: str | None, clock: Callable[[], float]) -> None:
        """Read the files.

        Args:
            certificate: PEM file with the chain.
            key: PEM file with the private key.
            roots: PEM file with the authorities of the clients, who must then present a certificate.
            clock: Seconds that only grow.

        Raises:
            ConfigError: A file is unusable.
        """
        self._certificate = certificate
        self._files = _Files(certificate=certificate, key=key, roots=roots)
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at = clock()
        # Before the files are read: a change in between is then seen at the next look.
        self._signature = self._files.signature()
        try:
            self._current = self._load()
        except _UnusableError as error:
            raise _fault(error.file, _SERVER_KEYS[error.at], error.message) from error

    def port_credentials(self) -> grpc.ServerCredentials:
        """Return credentials for one port. The next port needs others: each has to hear of a change once."""
        port = _PortCertificate(self)
        return grpc.dynamic_ssl_server_credentials(
            port.given,
            port,  # type: ignore[arg-type] # gRPC knows None, for "unchanged"; its types do not
            self._files.roots is not None,
        )

    def latest(self) -> grpc.ServerCertificateConfiguration:
        """Return the configuration of the files, as they were at the last look; another object after a change.

        May be called from any thread; does not raise.
        """
        with self._lock:
            now = self._clock()
            if now - self._looked_at >= LOOK_INTERVAL_S:
                self._looked_at = now
                self._look()
            return self._current

    def _look(self) -> None:
        signature = self._files.signature()
        if signature == self._signature:
            return
        self._signature = signature
        try:
            self._current = self._load()
        except _UnusableError as error:
            _log.error("the certificate before stays in use: %s", error)
        else:
            _log.info("new connections get the new certificate in %s", self._certificate)

    def _load(self) -> grpc.ServerCertificateConfiguration:
        pair = _read_pair(self._certificate, self._files.key)
        roots = None if self._files.roots is None else _read_roots(self._files.roots)
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=roots)


class _PortCertificate:
    """What one port presents; called by gRPC on its own threads, one at a time, for each new connection.

    When gRPC is told of a certificate, it frees the one before, even if another of its threads has just asked and is
    about to begin a connection with that; then the process ends (https://github.com/grpc/grpc/issues/36693). So it is
    told of each certificate once, and before that, whoever has just asked is given the time to begin.
    """

    def __init__(self, certificate: ServerCertificate) -> None:
        self._certificate = certificate
        self.given = certificate.latest()

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        """Return a configuration that is new, or None if there is none. Does not raise."""
        latest = self._certificate.latest()
        if latest is self.given:
            return None
        # gRPC lets nobody else ask in the meantime, so nobody begins either, once this is over.
        time.sleep(SETTLING_S)
        self.given = latest
        return latest


@lru_cache(maxsize=_KEPT)
def _channel_credentials(files: _Files, _signature: Signature) -> grpc.ChannelCredentials:
    key = chain = roots = None
    try:
        if files.certificate is not None:
            key, chain = _read_pair(files.certificate, files.key)
        if files.roots is not None:
            roots = _read_roots(files.roots)
    except _UnusableError as error:
        raise OperationError(str(error)) from error
    return grpc.ssl_channel_credentials(root_certificates=roots, private_key=key, certificate_chain=chain)


@lru_cache(maxsize=_KEPT)
def _client_context(files: _Files, _signature: Signature) -> ssl.SSLContext:
    try:
        if files.roots is not None:
            _read_roots(files.roots)
        context = ssl.create_default_context(cafile=files.roots)
        if files.certificate is not None:
            _read_pair(files.certificate, files.key)
            context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except (_UnusableError, OSError) as error:
        raise OperationError(str(error)) from error
    return context


def _no_password() -> str:
    """Return a password that opens nothing, where OpenSSL would ask on the terminal."""
    return ""


def _client_files(ca: str | None, certificate: str | None, key: str | None) -> _Files:
    if certificate is None and key is not None:
        raise OperationError(f"{key} is given without a client certificate")
    return _Files(certificate=certificate, key=key, roots=ca or _system_roots())


def _read_pair(file: str, key_file: str | None) -> tuple[bytes, bytes]:
    """Return the private key and the chain, as gRPC takes them.

    Raises:
        _UnusableError: They cannot be used, or not together.
    """
    chain = _read(file, at=0)
    key = chain if key_file is None else _read(key_file, at=1)
    try:
        leaf = certificate_of(chain, key)
    except UnusablePemError as error:
        raise _unusable(error.fault, file, key_file or file) from error
    _warn_of_time(file, leaf)
    return key, chain


def _unusable(fault: PemFault, file: str, key_file: str) -> _UnusableError:
    match fault:
        case PemFault.NO_CERTIFICATE:
            return _UnusableError(file, "is unusable: it is not a certificate chain in PEM form", at=0)
        case PemFault.UNUSABLE_KIND:
            return _UnusableError(file, f"is unusable: gRPC takes certificates of {USABLE_KINDS}", at=0)
        case PemFault.NO_KEY:
            message = "is unusable: it holds no private key in PEM form without a password"
            return _UnusableError(key_file, message, at=1)
        case PemFault.OTHER_KEY:
            message = f"is unusable: it is not the key of {file} (KEY_VALUES_MISMATCH)"
            return _UnusableError(key_file, message, at=1)
        case _:
            assert_never(fault)


def _warn_of_time(file: str, leaf: x509.Certificate) -> None:
    # No error: clocks differ, and the peer's is the one that counts.
    now = datetime.now(UTC)
    if now > leaf.not_valid_after_utc:
        _log.warning("%s expired at %s", file, leaf.not_valid_after_utc.isoformat())
    elif now < leaf.not_valid_before_utc:
        _log.warning("%s is not valid before %s", file, leaf.not_valid_before_utc.isoformat())


def _read_roots(file: str) -> bytes:
    roots = _read(file, at=2)
    try:
        ends_of_authorities(roots)
    except ValueError as error:
        raise _UnusableError(file, "is unusable: it holds no certificates in PEM form", at=2) from error
    return roots


def _system_roots() -> str | None:
    """Return the file of OpenSSL's trusted roots; the variable SSL_CERT_FILE names another one, as everywhere.

    Raises:
        OperationError: The variable names what is no file; nobody wants others trusted instead.
    """
    paths = ssl.get_default_verify_paths()
    named = os.environ.get(paths.openssl_cafile_env)
    if named and paths.cafile != named:
        raise OperationError(f"{paths.openssl_cafile_env} names {named}, and there is no such file")
    return paths.cafile


def _signature(path: str) -> tuple[int, int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        # Missing, or not to be looked at: whoever reads it says why.
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _read(path: str, *, at: int) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _UnusableError(path, f"cannot be read: {error.strerror}", at=at) from error


def _fault(file: str, key: str, message: str) -> ConfigError:
    path = f"loadBalancerConfig.{key}"
    return ConfigError((ConfigFault(file=file, line=0, column=0, path=path, message=message),))
