"""A throw-away certificate authority for tests of TLS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

_LIFETIME = timedelta(hours=1)

_SIGNS_CERTIFICATES = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class Authority:
    """Issues certificates for host names; everything is in files of one folder."""

    def __init__(
        self, folder: Path, *, is_strict: bool = False, file_name: str = "root.pem", valid_for: timedelta = _LIFETIME
    ) -> None:
        """Make the authority's own certificate.

        Args:
            folder: For its files.
            is_strict: Issue what RFC 5280 wants to see; Python's own TLS insists on it from 3.13 on.
            file_name: Of the authority's own certificate.
            valid_for: How long that is valid, counted from now; a negative time has passed.
        """
        self._folder = folder
        self._is_strict = is_strict
        self._numbers = count(1)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("test authority")
        root = (
            self._dated(self._name, self._key, valid_for)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.root_pem = root.public_bytes(serialization.Encoding.PEM)
        self.root_file = self._write(file_name, self.root_pem)

    def issue(
        self,
        host_name: str,
        *,
        file_name: str | None = None,
        valid_for: timedelta = _LIFETIME,
        key: PrivateKey | None = None,
    ) -> tuple[str, str]:
        """Return the files of a new certificate and its private key.

        Args:
            host_name: For whom.
            file_name: Of both, without what tells them apart; replaces what is there. None: files of their own.
            valid_for: Counted from now; a negative time has passed.
            key: None: a new one.
        """
        key = key or ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._dated(_name(host_name), key, valid_for)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host_name)]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        file_name = file_name or str(next(self._numbers))
        key_pem = private_pem(key)
        chain_pem = certificate.public_bytes(serialization.Encoding.PEM)
        return self._write(f"{file_name}.pem", chain_pem), self._write(f"{file_name}.key", key_pem)

    def combine(self, files: tuple[str, str]) -> str:
        """Return one file with a certificate and its private key."""
        certificate, key = map(Path, files)
        return self._write(f"{certificate.stem}.both.pem", certificate.read_bytes() + key.read_bytes())

    def _builder(self, name: x509.Name, key: PrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
        )

    def _dated(self, name: x509.Name, key: PrivateKey, valid_for: timedelta) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        builder = self._builder(name, key).not_valid_before(now - 2 * _LIFETIME).not_valid_after(now + valid_for)
        if not self._is_strict:
            return builder
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        ).add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        if key is not self._key:
            return builder
        return builder.add_extension(_SIGNS_CERTIFICATES, critical=True)

    def _write(self, name: str, content: bytes) -> str:
        path = self._folder / name
        path.write_bytes(content)
        path.chmod(0o600)
        return str(path)


def private_pem(key: PrivateKey, *, password: bytes | None = None) -> bytes:
    """Return a private key in PEM form, encrypted if there is a password."""
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
