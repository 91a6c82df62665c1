"""Whether what PEM files hold can be used: certificate chains, private keys and trusted authorities, as bytes.

One judgement for the check of a configuration and for those who connect and listen, so that they agree.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import PublicKeyAlgorithmOID

USABLE_KINDS = "RSA keys and the elliptic curves P-256 and P-384"
"""Of certificates: with others gRPC cannot listen, or no connection comes about, and it does not say why."""

_CURVES = (ec.SECP256R1, ec.SECP384R1)


class PemFault(StrEnum):
    """What is wrong with a certificate and its private key."""

    NO_CERTIFICATE = "no_certificate"
    """The chain is no certificate in PEM form."""
    UNUSABLE_KIND = "unusable_kind"
    """It is none of `USABLE_KINDS`."""
    NO_KEY = "no_key"
    """There is no private key in PEM form without a password."""
    OTHER_KEY = "other_key"
    """The private key is not that of the first certificate."""


class UnusablePemError(ValueError):
    """A certificate and its key cannot be used. Neither this error nor its cause holds a part of the key."""

    def __init__(self, fault: PemFault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def certificate_of(chain: bytes, key: bytes) -> x509.Certificate:
    """Return the own certificate of a chain, its first, to which the key belongs.

    Args:
        chain: PEM; what else it holds does not matter, so it may be the same as `key`.
        key: PEM.

    Raises:
        UnusablePemError: They cannot be used, or not together.
    """
    try:
        leaf = x509.load_pem_x509_certificates(chain)[0]
    except ValueError as error:
        raise UnusablePemError(PemFault.NO_CERTIFICATE) from error
    if not _is_of_usable_kind(leaf):
        raise UnusablePemError(PemFault.UNUSABLE_KIND)
    try:
        public = load_pem_private_key(key, password=None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UnusablePemError(PemFault.NO_KEY) from error
    if public != leaf.public_key():
        raise UnusablePemError(PemFault.OTHER_KEY)
    return leaf


def ends_of_authorities(content: bytes) -> tuple[datetime, ...]:
    """Return until when the authorities in a PEM file are valid; those that may not sign are left out.

    Raises:
        ValueError: It holds no certificates.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        # What is not ASCII can only be between certificates. Not cryptography: it balks at roots that systems have.
        context.load_verify_locations(cadata=content.decode("ascii", "ignore"))
    except ssl.SSLError as error:
        raise ValueError("no certificates in PEM form") from error
    ends = (ssl.cert_time_to_seconds(str(found["notAfter"])) for found in context.get_ca_certs())
    return tuple(datetime.fromtimestamp(end, UTC) for end in ends)


def _is_of_usable_kind(leaf: x509.Certificate) -> bool:
    if leaf.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSAES_PKCS1_v1_5:
        return True
    if leaf.public_key_algorithm_oid != PublicKeyAlgorithmOID.EC_PUBLIC_KEY:
        return False
    try:
        key = leaf.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES)
