"""Checks the file with the cookie that all hosts of a cluster have in common."""

from __future__ import annotations

import os
import shlex
import stat
from typing import TYPE_CHECKING, Final

from quaestor_actors.core.spec import COOKIE_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from quaestor_actors.config.report import Place, Report
    from quaestor_actors.config.schema import ClusterKeys
    from quaestor_actors.config.sections import Section

COOKIE_BYTES: Final = 32
"""As long as the key that is derived from it."""

_OF_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def check_cookie_file(
    section: Section[ClusterKeys], *, is_needed: bool, folder: Path, environ: Mapping[str, str], report: Report
) -> str | None:
    """Return the absolute path of the cookie, None when no file is named; report one that cannot be used.

    Args:
        section: the cluster's.
        is_needed: whether there are other hosts, whose cookie must be the same.
        folder: where relative paths start.
        environ: the environment of this process; with a cookie in it no file is looked at.
        report: takes the faults.
    """
    is_looked_at = COOKIE_VARIABLE not in environ and "cookieFile" not in section.broken
    if section.keys.cookie_file is None:
        if is_needed and is_looked_at:
            message = (
                f"needs cookieFile, a secret that is the same on all hosts; {_how_to_make('cookie')}, and copy it, "
                f"or set {COOKIE_VARIABLE} in the environment"
            )
            report.fault(section.place_of("hosts"), message)
        return None
    path = os.path.abspath(folder / section.keys.cookie_file)  # noqa: PTH100 - resolve() would follow links
    if is_looked_at:
        _check_file(path, place=section.place_of("cookieFile"), report=report)
    return path


def _how_to_make(path: str) -> str:
    return f"make one on one host with: (umask 077; head -c {COOKIE_BYTES} /dev/urandom > {shlex.quote(path)})"


def _check_file(path: str, *, place: Place, report: Report) -> None:
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        report.fault(place, f"there is no file {path}; {_how_to_make(path)}, and copy it to the others")
        return
    except OSError as error:
        report.fault(place, f"{path} cannot be read: {error.strerror}")
        return
    if not stat.S_ISREG(found.st_mode):
        report.fault(place, f"{path} is not a regular file; name the file itself")
    elif found.st_uid != os.geteuid():
        report.fault(place, f"{path} belongs to another user; run as root: chown {os.geteuid()} {shlex.quote(path)}")
    elif found.st_mode & _OF_OTHERS:
        report.fault(place, f"{path} is open to other users than its owner; run: chmod 600 {shlex.quote(path)}")
    elif not found.st_mode & stat.S_IRUSR:
        report.fault(place, f"{path} cannot be read by its owner; run: chmod 600 {shlex.quote(path)}")
    elif found.st_size != COOKIE_BYTES:
        message = f"{path} has {found.st_size} bytes, and a cookie has {COOKIE_BYTES}; {_how_to_make(path)}"
        report.fault(place, message)
