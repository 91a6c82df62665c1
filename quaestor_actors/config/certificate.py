"""Checks the load balancer's certificate and private key before anything listens with them."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from quaestor_actors.config.report import Report
    from quaestor_actors.config.schema import LoadBalancerKeys
    from quaestor_actors.config.sections import Section


def check_certificate(
    section: Section[LoadBalancerKeys], *, folder: Path, report: Report
) -> tuple[str | None, str | None]:
    """Return the absolute paths of certificate and key, both None when there are none or they are unusable.

    Args:
        section: `loadBalancerConfig`.
        folder: where relative paths start.
        report: takes the faults.
    """
    given = {key for key in ("certificate", "privateKeyFile") if key in section.entries}
    if not given or given & section.broken:
        return None, None
    if len(given) == 1:
        (one,) = given
        other = "privateKeyFile" if one == "certificate" else "certificate"
        report.fault(section.place_of(one), f"{other} is missing; TLS needs both")
        return None, None
    certificate = _absolute(folder, section.keys.certificate)
    key = _absolute(folder, section.keys.private_key_file)
    readable = [
        _is_readable(certificate, "certificate", section=section, report=report),
        _is_readable(key, "privateKeyFile", section=section, report=report),
    ]
    if all(readable):
        _check_pair(certificate, key, section=section, report=report)
    return certificate, key


def _absolute(folder: Path, name: str | None) -> str:
    return os.path.abspath(folder / (name or ""))  # noqa: PTH100 - resolve() would follow links


def _is_readable(file: str, name: str, *, section: Section[LoadBalancerKeys], report: Report) -> bool:
    place = section.place_of(name)
    if not os.path.isfile(file):  # noqa: PTH113 - Path's raises where a folder may not be entered
        report.fault(place, f"there is no file {file}")
        return False
    if not os.access(file, os.R_OK):
        report.fault(place, f"{file} cannot be read by this user")
        return False
    return True


def _check_pair(certificate: str, key: str, *, section: Section[LoadBalancerKeys], report: Report) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without an answer of ours OpenSSL would ask the terminal for the password of an encrypted key.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            report.fault(section.place_of("privateKeyFile"), f"{key} is not the key of {certificate}")
        elif _holds_certificate(certificate):
            message = f"{key} is not a private key in PEM form without a password"
            report.fault(section.place_of("privateKeyFile"), message)
        else:
            report.fault(section.place_of("certificate"), f"{certificate} is not a certificate chain in PEM form")
    except OSError as error:
        report.fault(section.place_of("certificate"), f"{certificate} cannot be read: {error.strerror}")


def _holds_certificate(file: str) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=file)
    except ssl.SSLError:
        return False
    return True
