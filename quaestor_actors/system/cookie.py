"""The cluster's cookie: whoever has it may speak to the actors. A private file, or the environment; never argv."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from quaestor_actors.errors import OperationError

COOKIE_VARIABLE = "QUAESTOR_COOKIE"
"""Holds the cookie in hexadecimal digits instead of a file; removed from the environment once it was read."""

COOKIE_BYTES = 32


def load_or_create_cookie(path: Path) -> bytes:
    """Return the cookie, and make a new random one if there is neither file nor variable.

    Raises:
        OperationError: the cookie cannot be used; the message names the place and the remedy.
    """
    if COOKIE_VARIABLE in os.environ:
        return load_cookie(path)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return load_cookie(path)
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.urandom(COOKIE_BYTES))
    return load_cookie(path)


def load_cookie(path: Path) -> bytes:
    """Return the cookie of an existing cluster.

    Raises:
        OperationError: there is none, or it cannot be used; the message names the place and the remedy.
    """
    if (digits := os.environ.pop(COOKIE_VARIABLE, None)) is not None:
        return _from_digits(digits)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise OperationError(f"cannot read the cluster's cookie {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        cookie = file.read(COOKIE_BYTES + 1)
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise OperationError(f"others can read or replace the cookie {path}: chmod 600 it, and own it")
    if len(cookie) != COOKIE_BYTES:
        raise OperationError(f"the cookie {path} is not {COOKIE_BYTES} bytes long: stop the cluster and delete it")
    return cookie


def _from_digits(digits: str) -> bytes:
    try:
        cookie = bytes.fromhex(digits)
    except ValueError:
        cookie = b""
    if len(cookie) != COOKIE_BYTES:
        raise OperationError(f"{COOKIE_VARIABLE} must be {2 * COOKIE_BYTES} hexadecimal digits")
    return cookie
