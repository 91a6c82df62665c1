"""Checks certificates, private keys and trusted authorities before anything connects or listens with them.

What only the clock speaks against is a warning: clocks differ, and the peer's is the one that counts.
"""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, assert_never

from quaestor_actors.config.report import one_line
from quaestor_actors.config.schema import Keys
from quaestor_actors.pem import USABLE_KINDS, PemFault, UnusablePemError, certificate_of, ends_of_authorities

if TYPE_CHECKING:
    from cryptography import x509

    from quaestor_actors.config.report import Place, Report
    from quaestor_actors.config.schema import LoadBalancerKeys
    from quaestor_actors.config.sections import Section

KeysT = TypeVar("KeysT", bound=Keys)

_OF_OTHERS: Final = stat.S_IROTH | stat.S_IWOTH

_MAX_BYTES: Final = 4 * 1024 * 1024
"""Twenty times the authorities of a whole system; another file may have been meant, of any size."""


def check_certificate(
    section: Section[LoadBalancerKeys], *, folder: Path, report: Report
) -> tuple[str | None, str | None]:
    """Return the absolute paths of the server's certificate and key, both None when there are none of use.

    Args:
        section: `loadBalancerConfig`.
        folder: where relative paths start.
        report: takes the faults, and warnings of what is allowed and unwise.
    """
    given = {key for key in ("certificate", "privateKeyFile") if key in section.entries}
    if not given or given & section.broken:
        return None, None
    if len(given) == 1:
        (one,) = given
        other = "privateKeyFile" if one == "certificate" else "certificate"
        report.fault(section.place_of(one), f"{other} is missing; TLS needs both")
        return None, None
    certificate = _absolute(folder, section.keys.certificate or "")
    key = _absolute(folder, section.keys.private_key_file or "")
    places = section.place_of("certificate"), section.place_of("privateKeyFile")
    _check_pair(certificate, key, places=places, report=report)
    return certificate, key


def check_client_certificate(
    section: Section[KeysT], certificate: str | None, key: str | None, *, folder: Path, report: Report
) -> tuple[str | None, str | None]:
    """Return the absolute paths of the certificate to present and of its key, None for what is not given.

    Args:
        section: what has `clientCertificate` and `clientPrivateKeyFile`.
        certificate: the value of the one; a file that may hold the private key, too.
        key: the value of the other.
        folder: where relative paths start.
        report: takes the faults, and warnings of what is allowed and unwise.
    """
    if section.broken & {"clientCertificate", "clientPrivateKeyFile"}:
        return None, None
    if certificate is None:
        if key is not None:
            place = section.place_of("clientPrivateKeyFile")
            report.fault(place, "clientCertificate is missing; a key is of no use without its certificate")
        return None, None
    certificate = _absolute(folder, certificate)
    key = None if key is None else _absolute(folder, key)
    place = section.place_of("clientCertificate")
    places = place, place if key is None else section.place_of("clientPrivateKeyFile")
    _check_pair(certificate, key, places=places, report=report)
    return certificate, key


def check_authorities(section: Section[KeysT], file: str | None, *, folder: Path, report: Report) -> str | None:
    """Return the absolute path of the certificates that are trusted, None when none are named.

    Args:
        section: what has `caCertificateFile`.
        file: its value.
        folder: where relative paths start.
        report: takes the faults, and a warning when none of the certificates is valid any more.
    """
    if file is None:
        return None
    path, place = _absolute(folder, file), section.place_of("caCertificateFile")
    content = _content(path, place=place, report=report)
    if content is None:
        return path
    try:
        ends = ends_of_authorities(content)
    except ValueError:
        report.fault(place, f"{path} holds no certificates in PEM form")
        return path
    if ends and max(ends) < datetime.now(UTC):
        _warn(report, place, f"every certificate in {path} has expired, the last one on {max(ends):%Y-%m-%d}; renew it")
    return path


def _absolute(folder: Path, name: str) -> str:
    return os.path.abspath(folder / name)  # noqa: PTH100 - resolve() would follow links


def _content(file: str, *, place: Place, report: Report, is_secret: bool = False) -> bytes | None:
    if not os.path.isfile(file):  # noqa: PTH113 - Path's raises where a folder may not be entered
        report.fault(place, f"there is no file {file}")
        return None
    try:
        with Path(file).open("rb") as stream:
            if is_secret:
                _warn_of_mode(file, os.fstat(stream.fileno()).st_mode, place=place, report=report)
            content = stream.read(_MAX_BYTES + 1)
        if len(content) <= _MAX_BYTES:
            return content
        report.fault(place, f"{file} is larger than {_MAX_BYTES >> 20} MiB; these cannot be certificates or keys")
    except PermissionError:
        report.fault(place, f"{file} cannot be read by this user")
    except OSError as error:
        report.fault(place, f"{file} cannot be read: {error.strerror}")
    return None


def _check_pair(certificate: str, key: str | None, *, places: tuple[Place, Place], report: Report) -> None:
    """Report what is wrong with a certificate and its key; without a key file it holds the key itself."""
    place, key_place = places
    chain = _content(certificate, place=place, report=report, is_secret=key is None)
    secret = chain if key is None else _content(key, place=key_place, report=report, is_secret=True)
    if chain is None or secret is None:
        return
    try:
        leaf = certificate_of(chain, secret)
    except UnusablePemError as error:
        is_keys = error.fault in {PemFault.NO_KEY, PemFault.OTHER_KEY}
        report.fault(key_place if is_keys else place, _complaint(error.fault, certificate, key))
        return
    _warn_of_time(certificate, leaf, place=place, report=report)


def _complaint(fault: PemFault, certificate: str, key: str | None) -> str:
    match fault:
        case PemFault.NO_CERTIFICATE:
            return f"{certificate} is not a certificate chain in PEM form"
        case PemFault.UNUSABLE_KIND:
            return f"{certificate} is of a kind that gRPC cannot use; it knows {USABLE_KINDS}"
        case PemFault.NO_KEY if key is None:
            remedy = "add it, or name its file in clientPrivateKeyFile"
            return f"{certificate} holds no private key without a password; {remedy}"
        case PemFault.NO_KEY:
            return f"{key} is not a private key in PEM form without a password"
        case PemFault.OTHER_KEY if key is None:
            own = "its first certificate; the own certificate comes first"
            return f"the private key in {certificate} is not that of {own}"
        case PemFault.OTHER_KEY:
            return f"{key} is not the key of {certificate}"
        case _:
            assert_never(fault)


def _warn_of_mode(file: str, mode: int, *, place: Place, report: Report) -> None:
    if mode & _OF_OTHERS:
        what = "read" if mode & stat.S_IROTH else "overwritten"
        advice = f"`chmod o= {file}` keeps the private key private"
        _warn(report, place, f"{file} can be {what} by every user of this machine; {advice}")


def _warn_of_time(file: str, leaf: x509.Certificate, *, place: Place, report: Report) -> None:
    now = datetime.now(UTC)
    if now > leaf.not_valid_after_utc:
        _warn(report, place, f"{file} has expired on {leaf.not_valid_after_utc:%Y-%m-%d}; renew it")
    elif now < leaf.not_valid_before_utc:
        _warn(report, place, f"{file} is not valid before {leaf.not_valid_before_utc:%Y-%m-%d}")


def _warn(report: Report, place: Place, message: str) -> None:
    report.warn(place, one_line(message))
